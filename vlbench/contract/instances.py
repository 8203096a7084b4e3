"""Checks: instances, presentations, splits and frozen rows."""

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from vlbench.contract.plays import AnyEnv, make_env
from vlbench.instances import MAX_PRESENTATION, TRAINING_PRESENTATIONS
from vlbench.suites import PAPER, Row, frozen_rows, rules_difference, shipped_suites
from vlbench.task import split_in

DEALS = 200
STARTS = 4
"""Number of dealt instances that are started."""
MOST_VALUES = 30
"""A number of an instance that takes at most this many values counts as bounded."""
ABSURD = ("999999999", "-1", "0x1", "1e3", "²")
"""Numbers that are no value of a bounded number."""
REDRAWN = 4
"""Number of frozen rows whose first frames are drawn again."""

_NUMBER = re.compile(r"\d+")


def instance_and_presentation_name_the_episode(env_id: str) -> None:
    """Instance and presentation reproduce an episode without its seed."""
    env = make_env(env_id)
    observation, info = env.reset(seed=5)
    options = {"instance": info["instance"], "presentation": info["presentation"]}
    for seed in (None, 6):
        again, info_again = env.reset(seed=seed, options=options)
        assert np.array_equal(observation["image"], again["image"]), (
            f"{options} give another picture; style() must choose by Presentation.pick"
        )
        assert info == info_again, f"{options} give the info {info_again}; it was {info}"


def start_refuses_what_is_no_instance(env_id: str) -> None:
    """`start` takes dealt instances only as they are spelled, and raises ValueError otherwise."""
    env = make_env(env_id)
    rng = np.random.default_rng(0)
    dealt = [env.game.deal(rng) for _ in range(DEALS)]
    for instance in dealt[:STARTS]:
        env.game.start(instance)
    for nonsense in dict.fromkeys(_nonsense(env.game.name, dealt)):
        try:
            env.game.start(nonsense)
        except ValueError as error:
            assert str(error), f"start({nonsense!a}) must say what is wrong, with an example"
        except Exception as error:  # anything else is a defect of the task
            raise AssertionError(
                f"start({nonsense!a}) raises {error!r}; raise ValueError with an example"
            ) from error
        else:
            raise AssertionError(
                f"start({nonsense!a}) accepts what is no instance; raise ValueError with an "
                f'example, such as "{dealt[0]}"'
            )


def _nonsense(name: str, dealt: list[str]) -> Iterator[str]:
    """Yield texts that are no instances."""
    instance = dealt[0]
    body = instance.partition("/")[2]
    yield from ("", "/", name, f"{name}/", f"{name}/no such instance", f"{name}/\n", f"{name}//")
    yield from (body, f"other/{body}", f"{name}x/{body}", f"{name}/{name}/{body}")
    for change in ("{} ", " {}", "{}\n", "{}/", "{}/1", "{}\0", "{};", "{}-", "-{}", "{}, {}"):
        yield change.format(*[instance] * 2)
    if instance.upper() != instance:
        yield instance.upper()
    if numbers := list(_NUMBER.finditer(body)):
        digits = body.translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})
        yield f"{name}/{digits}"  # Arabic digits are decimal, too
        number = numbers[0]
        yield f"{name}/{body[: number.start()]}0{body[number.start() :]}"
    yield from _out_of_range(name, dealt)


def _out_of_range(name: str, dealt: list[str]) -> Iterator[str]:
    """Yield instances in which one of the bounded numbers is absurd."""
    values: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for instance in dealt:
        body = instance.partition("/")[2]
        for place, number in enumerate(_NUMBER.findall(body)):
            values[_NUMBER.sub("#", body), place].add(number)
    body = dealt[0].partition("/")[2]
    for place, number in enumerate(_NUMBER.finditer(body)):
        if len(values[_NUMBER.sub("#", body), place]) <= MOST_VALUES:
            for absurd in ABSURD:
                yield f"{name}/{body[: number.start()]}{absurd}{body[number.end() :]}"


def splits_hold_what_they_say(env_id: str) -> None:
    """If instances are held out, every split deals instances of its own only."""
    for split in ("train", "val", "test"):
        env = make_env(env_id, split=split)
        if env.game.test_share:
            for seed in range(50):
                env.np_random = np.random.default_rng(seed)
                instance = env._deal()  # without starting it, which may take long
                actual = split_in(env.game, instance)
                assert actual == split, (
                    f"the split {split} deals {instance}, an instance of the split {actual}"
                )


def frozen_rows_are_held_out(env_id: str) -> None:
    """Frozen rows differ, start, show their frozen frames, and are of the split `test`.

    Rows of the suite `paper` may be instances that training deals, in other presentations.
    """
    make_env(env_id)  # imports the module of a task outside of the package
    difference = rules_difference(env_id)
    assert not difference, (
        f"the frozen sets are for other rules: {difference}; freeze them again, under a new id"
    )
    for suite in shipped_suites(env_id):
        rows = frozen_rows(env_id, suite)
        assert rows, f"the set {suite} is empty; freeze it with python -m vlbench.freeze"
        envs: dict[str, AnyEnv] = {}
        first: dict[tuple[str, str, int], int] = {}
        for number, row in enumerate(rows):
            if row.env_key not in envs:
                envs[row.env_key] = make_env(env_id, **row.kwargs)
            place = f"row {number} of {suite} ({row.instance})"
            twin = first.setdefault((row.env_key, row.instance, row.presentation), number)
            assert twin == number, f"{place} repeats row {twin}; freeze different rows"
            _check_row(envs[row.env_key], row, place, is_paper=suite == PAPER)
        for row in rows[:: -(-len(rows) // REDRAWN)]:
            env = envs[row.env_key]
            env.begin(None, row.options)
            assert env.frame_hash() == row.frame_hash, (
                f"{row.instance} of {suite} is drawn differently than it was frozen; freeze the "
                "set again, under a new version"
            )


def _check_row(env: AnyEnv, row: Row, place: str, *, is_paper: bool) -> None:
    assert 0 <= row.presentation < MAX_PRESENTATION, f"{place} has no valid presentation"
    split = split_in(env.game, row.instance)
    if is_paper:
        assert row.presentation >= TRAINING_PRESENTATIONS, (
            f"{place} has a presentation that training deals; use vlbench.freeze.presentation"
        )
    elif split:
        assert split == "test", (
            f"{place} is an instance of the split {split}; freeze instances of the split test"
        )
