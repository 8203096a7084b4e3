"""Every registered id fulfils the contract, and every expert reaches the ceiling."""

import gymnasium
import numpy as np
import pytest
from PIL import Image
from support.env_ids import every_env, every_set

import vlbench
from vlbench import contract
from vlbench.contract import CHECKS
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Reply
from vlbench.registry import needed_extra, short_name
from vlbench.suites import bounds, frozen_rows
from vlbench.task import Demonstration
from vlbench.tasks.number_line import NumberLine


@every_env
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_id_keeps_the_contract(env_id, check):
    check(env_id)


@pytest.fixture
def sized_id(env_id, size):
    """An id of the same task that shows pictures of a size."""
    name = f"sized/{short_name(env_id)}{size}-v0"
    spec = gymnasium.spec(env_id)
    ways = {"entry_point": spec.entry_point, "vector_entry_point": spec.vector_entry_point}
    gymnasium.register(id=name, **ways, kwargs={"picture_size": size})
    yield name
    del gymnasium.registry[name]


NOT_OF_A_SIZE = (
    contract.frozen_rows_are_held_out,
    contract.another_process_gives_the_same_episode,  # which doesn't know the id
)


@pytest.mark.parametrize("size", [224, 448, pytest.param(672, marks=pytest.mark.slow)])
@every_env
@pytest.mark.parametrize("check", [check for check in CHECKS if check not in NOT_OF_A_SIZE])
def test_every_size_keeps_the_contract(sized_id, size, check):
    assert gymnasium.make(sized_id).reset(seed=0)[0]["image"].shape == (size, size, 3)
    check(sized_id)


NEAREST, BOX = Image.Resampling.NEAREST, Image.Resampling.BOX


def resampled(frame, size, kind):
    return np.asarray(Image.fromarray(frame).resize((size, size), kind))


def loss(frame, kind):
    """What a frame loses, a pixel, when it is reduced to 300 pixels and enlarged again."""
    reduced = resampled(frame, 300, NEAREST if kind == NEAREST else BOX)
    return np.abs(frame.astype(int) - resampled(reduced, len(frame), kind)).mean()


@pytest.mark.parametrize("kind", [NEAREST, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
@every_env
def test_a_large_picture_is_drawn_for_its_size_and_no_small_one_enlarged(env_id, kind):
    small, large = (
        gymnasium.make(env_id, picture_size=size).reset(seed=0)[0]["image"] for size in (300, 672)
    )
    assert loss(large, kind) > 1.5 * loss(resampled(small, 672, kind), kind) + 0.3


@every_set
def test_the_expert_wins_as_many_frozen_rows_as_the_ceiling_says(env_id, suite):
    rows = frozen_rows(env_id, suite)[: 6 if needed_extra(env_id) else 100]
    envs = {}
    won = 0
    for number, row in enumerate(rows):
        key = str(row.kwargs)
        if key not in envs:
            envs[key] = gymnasium.make(env_id, **row.kwargs)
        recording = EpisodeRecorder(envs[key], row, number)
        while not recording.end:
            expert = recording.env.unwrapped.expert()
            turn = recording.play(Reply(vlbench.reply(expert)))
            assert turn.regret == pytest.approx(0, abs=1e-9), row
        won += recording.success
    ceiling = bounds(env_id, suite).ceiling
    # 3.29 standard errors make the 99.9 % interval; it is a point where the best play always wins.
    spread = 3.2905 * (ceiling * (1 - ceiling) / len(rows)) ** 0.5
    assert abs(won / len(rows) - ceiling) <= spread


@every_env
def test_only_an_uncopied_slab_is_overwritten_and_read_only(env_id):
    for copy in (True, False):
        envs = gymnasium.make_vec(
            env_id, num_envs=3, vectorization_mode="vector_entry_point", copy=copy
        )
        first, _ = envs.reset(seed=0)
        before = first["image"].copy()
        for _ in range(30):
            envs.step([envs.single_action_space.sample() for _ in range(3)])
        assert (first["image"] == before).all() == copy
        assert first["image"].flags.writeable == copy


class OtherOrder(NumberLine):
    fields = NumberLine.fields[::-1]


class Blind(NumberLine):
    def demonstrate(self):
        return Demonstration({"current number": self._state.target}, self.expert())


class Unordered(NumberLine):
    def demonstrate(self):
        demonstration = super().demonstrate()
        return Demonstration(dict(reversed(demonstration.fields.items())), demonstration.action)


class Inventive(NumberLine):
    def demonstrate(self):
        return Demonstration({"mood": "good"}, self.expert())


class Weak(NumberLine):
    def demonstrate(self):
        return Demonstration({}, "-" if self.expert() == "+" else "+")


@pytest.mark.parametrize(
    ("env_class", "check", "message"),
    [
        (OtherOrder, contract.the_prompt_asks_for_the_fields, "the fields are"),
        (Blind, contract.the_demonstration_is_read_and_true, "contradicts the picture"),
        (Unordered, contract.the_demonstration_is_read_and_true, "the perception must come first"),
        (Inventive, contract.the_demonstration_is_read_and_true, "all fields of the task"),
        (Weak, contract.the_demonstration_is_read_and_true, " of {"),
    ],
)
def test_prompts_and_demonstrations_that_break_the_contract_are_found(env_class, check, message):
    gymnasium.register("tests/Broken-v0", env_class)
    try:
        with pytest.raises(AssertionError, match=message):
            check("tests/Broken-v0")
    finally:
        del gymnasium.registry["tests/Broken-v0"]
