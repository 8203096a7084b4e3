"""Checks of an entry before it is replayed: what a run can have written, and nothing else."""

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any

import vlbench
from leaderboard.archive import Refused
from leaderboard.entry import check_person, read_episodes
from leaderboard.same_agent import check_same_agent
from leaderboard.schema import (
    MANIFEST,
    MAX_ERRORED,
    Attempt,
    Manifest,
    Suite,
    canonical,
    list_irregularities,
    too_many_errored,
)
from vlbench.errors import unknown_name
from vlbench.limits import UtcTime
from vlbench.parsing import RULES
from vlbench.prompts import template_hash
from vlbench.records import SCHEMA, Episode, Preamble, RunHeader, episode_key, to_json
from vlbench.suites import RETIRED, Row, frozen_hash, shipped_suites

PROMPTS = ("cot", "action_only")
"""Prompts that an entry may use; `cot_facts` tells what the picture shows."""

MAX_LATE = 0.02
"""Largest share of episodes that were begun out of order."""


def check_manifest(manifest: Manifest, env_ids: Collection[str] = vlbench.ENV_IDS) -> None:
    """Check a manifest against this installation, and its fields against each other.

    Args:
        manifest: The manifest.
        env_ids: The environments that an entry may hold; see `leaderboard.outside`.

    Raises:
        ValueError: Names the first field that is wrong, what was expected and what was found.
    """
    for number, suite in enumerate(manifest.suites):
        place = f"suites.{number}.run."
        same(f"suites.{number}.part.name", f"{suite.run.part}.jsonl", suite.part.name)
        _check_spec(place, suite.run)
        _check_environments(place, suite.run, env_ids)
        _check_versions(place, suite.run)
        _check_start_time(place, suite.run)
        if suite.run.privileged != (manifest.card.track == "reference"):
            expected = "reference" if suite.run.privileged else "another than reference"
            raise ValueError(
                f"card.track: wanted {expected}, since privileged is {suite.run.privileged}, "
                f"found {manifest.card.track}"
            )
        check_person(suite.run, manifest.card.track)
    check_same_agent([suite.run for suite in manifest.suites])


def expected_keys(header: RunHeader) -> list[str]:
    """Return the keys of the episodes of a run's rows, in order."""
    return [
        episode_key(env_id, number, 0)
        for env_id in header.env_ids
        for number in range(len(header.rows(env_id)))
    ]


def _check_spec(place: str, run: RunHeader) -> None:
    same(place + "schema", SCHEMA, run.schema)
    same(place + "parser", RULES, run.parser)
    same(place + "theme", "", run.theme)
    same(place + "repeats", 1, run.repeats)
    same(place + "env_kwargs", {}, run.env_kwargs)
    same(place + "bounds", {}, run.bounds)
    same(place + "shard", None, run.shard)
    same(place + "prompt_text", "", run.prompt_text)
    same(place + "preamble", to_json(Preamble()), to_json(run.preamble))
    same(place + "not_replayable", [], run.not_replayable)
    if run.challenge:
        same(place + "challenge: the suite", "test", run.suite)
    if run.prompt not in PROMPTS:
        raise ValueError(place + f"prompt: {unknown_name('prompt', run.prompt, PROMPTS)}")


def _check_environments(place: str, run: RunHeader, env_ids: Collection[str]) -> None:
    if not run.env_ids:
        raise ValueError(place + "env_ids: wanted at least one, found none")
    for env_id in [*run.env_ids, *(shot.env_id for shot in run.preamble.shots)]:
        if env_id not in env_ids:
            outside = f"; if you trust its module, pass --env {env_id}" if ":" in env_id else ""
            raise ValueError(place + f"env_ids: {unknown_name('env id', env_id, env_ids)}{outside}")
        if run.suite not in shipped_suites(env_id):
            retired = "; it was replaced by others" if run.suite in RETIRED else ""
            raise ValueError(place + f"suite: {env_id} has no suite {run.suite!r:.40}{retired}")
    if len(set(run.env_ids)) < len(run.env_ids):
        raise ValueError(place + "env_ids: wanted each once, found one twice")
    sets = {env_id: frozen_hash(env_id, run.suite) for env_id in run.env_ids}
    if changed := [env_id for env_id in sets if run.frozen_hashes.get(env_id) != sets[env_id]]:
        made = run.frozen_hashes.get(changed[0], "none")
        raise ValueError(
            f"{place}frozen_hashes.{changed[0]}: wanted {sets[changed[0]]}, found {made!r:.80}: "
            "the run was made on another set than this version has"
        )
    same(place + "frozen_hashes", sets, run.frozen_hashes)
    words = {env_id: template_hash(env_id, run.prompt) for env_id in run.env_ids}
    same(place + "prompt_hashes", words, run.prompt_hashes)
    largest = max(len(run.rows(env_id)) for env_id in run.env_ids)
    if run.episodes is not None and run.episodes < largest:
        raise ValueError(
            f"{place}episodes: wanted none or at least {largest}, since all rows were played, "
            f"found {run.episodes}"
        )
    for env_id in run.models:
        if env_id not in ("", *run.env_ids):
            raise ValueError(f"{place}models: wanted ids of env_ids, found {env_id!r:.80}")


def _check_versions(place: str, run: RunHeader) -> None:
    current, recorded = vlbench.__version__, run.versions.get("vlbench", "none")
    numbers = [part for part in recorded.split(".") if part.isascii() and part.isdecimal()]
    if len(numbers) != 3 or recorded != ".".join(numbers) or max(map(len, numbers)) > 4:
        raise ValueError(
            f"{place}versions.vlbench: wanted one like {current}, found {recorded!r:.40}"
        )
    if [int(n) for n in numbers] > [int(n) for n in current.split(".")]:
        raise ValueError(
            f"{place}versions.vlbench: wanted at most {current}, this verifier's, found {recorded}"
        )


def _check_start_time(place: str, run: RunHeader) -> None:
    try:
        if not run.started:
            raise ValueError("must say when the run started, got nothing")
        UtcTime().check(run.started)
    except ValueError as error:
        raise ValueError(f"{place}started {error}") from error


def same(place: str, expected: Any, actual: Any) -> None:
    """Compare plain data.

    Raises:
        ValueError: They differ; names the first place.
    """
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for name in dict.fromkeys([*expected, *actual]):
            same(f"{place}.{name}", expected.get(name, "none"), actual.get(name, "none"))
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, pair in enumerate(zip(expected, actual, strict=True)):
            same(f"{place}.{number}", *pair)
    elif type(expected) is not type(actual) or expected != actual:
        raise ValueError(f"{place}: wanted {expected!r:.80}, found {actual!r:.80}")


def read_checked(file: str, suite: Suite, data: bytes) -> tuple[Episode, ...]:
    """Return a part's episodes, which start from the run's rows, each once and in order.

    Raises:
        Refused: They don't; names the first that differs.
    """
    part, run = suite.part, suite.run
    rows = [(number, row) for env_id in run.env_ids for number, row in enumerate(run.rows(env_id))]
    episodes: list[Episode] = []
    for episode in read_episodes(file, part.name, data):
        place = f"{part.name}:{len(episodes) + 1}"
        if len(episodes) == len(rows):
            raise Refused(
                file,
                place,
                f"{episode.key:.80}: wanted the end of the suite, found another episode",
            )
        _check_start(file, place, episode, *rows[len(episodes)])
        episodes.append(episode)
    if len(episodes) < len(rows):
        missing = expected_keys(run)[len(episodes)]
        raise Refused(
            file, f"{part.name}:{len(episodes) + 1}", f"wanted {missing}, found the end of the part"
        )
    errored = sum(episode.is_errored for episode in episodes)
    if too_many_errored(len(episodes), errored):
        raise Refused(
            file,
            part.name,
            f"wanted at most {MAX_ERRORED:.0%} of {len(episodes)} "
            f"episodes errored, found {errored}",
        )
    for name, expected, actual in (
        ("episodes", len(episodes), part.episodes),
        ("size", len(data), part.size),
        ("sha256", sha256(data).hexdigest(), part.sha256),
    ):
        if expected != actual:
            raise Refused(file, MANIFEST, f"{part.name} {name}: wanted {expected}, found {actual}")
    return tuple(episodes)


def _check_start(file: str, place: str, episode: Episode, number: int, row: Row) -> None:
    expected = {
        "schema": SCHEMA,
        "env_id": row.env_id,
        "row": number,
        "repeat": 0,
        "instance": row.instance,
        "presentation": row.presentation,
        "kwargs": row.kwargs,
        "seed": None,
    }
    for name, value in expected.items():
        actual = getattr(episode, name)
        if canonical(actual) != canonical(value):  # 1, 1.0 and True are equal
            raise Refused(
                file,
                place,
                f"{row.env_id}#{number}/0: {name}: wanted {value!r:.80}, found {actual!r:.80}",
            )
    if not (episode.turns or episode.final_frame_hash):  # it failed before its first frame
        for name, value in {"end": "errored", "success": False, "final_state_hash": ""}.items():
            actual = getattr(episode, name)
            if actual != value:
                raise Refused(
                    file,
                    place,
                    f"{episode.key}: {name}: wanted {value!r}, since "
                    f"nothing was shown, found {actual!r:.80}",
                )
        return
    first_frame = episode.turns[0].frame_hash if episode.turns else episode.final_frame_hash
    if row.frame_hash and first_frame != row.frame_hash:
        raise Refused(
            file,
            place,
            f"{episode.key}: first frame: wanted {row.frame_hash}, found {first_frame!r:.80}",
        )


def check_irregularities(place: str, suite: Suite, episodes: Sequence[Episode]) -> None:
    """Compare a suite's declared irregularities, and its costs, with its episodes.

    Raises:
        ValueError: Names the first difference.
    """
    place = f"{place}.irregularities"
    stated, keys = suite.irregularities, expected_keys(suite.run)
    order = sorted({again.episode for again in stated.replayed})
    if [again.episode for again in stated.replayed] != order:
        raise ValueError(f"{place}.replayed: wanted each episode once, in order")
    for again in stated.replayed:
        if again.episode not in keys or len(again.errors) != again.attempts - 1:
            raise ValueError(
                f"{place}.replayed: wanted episodes of the suite and an error an attempt, "
                f"found {again.episode!r:.80}"
            )
    if list(stated.late) != [key for key in keys if key in set(stated.late)]:
        raise ValueError(f"{place}.late: wanted episodes of the suite, each once and in order")
    if len(stated.late) > MAX_LATE * len(keys):
        raise ValueError(
            f"{place}.late: wanted at most {MAX_LATE:.0%} of {len(keys)} episodes begun out of "
            f"order, found {len(stated.late)}"
        )
    expected = list_irregularities(
        keys, [Attempt.of(e) for e in episodes], stated.replayed, stated.damaged_lines, stated.late
    )
    same(place, *(record.model_dump(mode="json") for record in (expected, stated)))
    priced = any(turn.reply.usd_source == "price" for episode in episodes for turn in episode.turns)
    if priced and suite.run.price is None:
        raise ValueError("run.price: wanted the price by which replies were charged, found none")
