"""Flags: what stands beside an entry's mark because replay can't settle it.

A flag is a measured fact, not a verdict. Each says what was counted, so that a reader can judge.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from leaderboard.schema import Manifest
from vlbench.display import formatting
from vlbench.limits import CLOCK_ERROR
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Turn, episode_key
from vlbench.scoring import Scorecard
from vlbench.solved_env import SolvedEnv

MIN_TURNS = 30
"""Fewer turns or texts than this show nothing."""

MIN_AGREEMENT = 0.95
"""Share of free choices that agree with the expert from which on they are flagged."""

MIN_WORDING = 0.5
"""Share of texts in an expert's wording from which on a model counts as trained on the expert."""

MIN_SHARED = 0.8
"""Share of texts in common with another entry from which on they are flagged."""

MIN_WORDS = 6
"""Shorter texts, like a bare action, are the same in many entries."""


@dataclass(frozen=True, slots=True)
class Flag:
    """An oddity that is no error."""

    label: str
    """A few words for tables."""
    detail: str
    """What was counted, as a sentence without its full stop."""
    suspicious: bool = True
    """Whether the card doesn't explain it."""

    def __str__(self) -> str:
        """Return label and detail."""
        return f"{self.label}: {self.detail}"


def above_ceiling(scorecards: Iterable[Scorecard]) -> list[str]:
    """Return a sentence for each success rate significantly above the ceiling."""
    return [
        f"{card.env} {card.suite}: success {card.success:.4f} (95 % from {card.success_low:.4f}) "
        f"is above the ceiling of {card.ceiling:.4f}"
        for card in scorecards
        if card.ceiling is not None and card.success_low > card.ceiling
    ]


def dated_before_its_run(manifest: Manifest) -> list[Flag]:
    """Return a flag if an entry's date is before the start of one of its runs."""
    submitted = manifest.card.date
    starts = sorted(suite.run.started[:10] for suite in manifest.suites if suite.run.started)
    if not (submitted and starts):
        return []
    if date.fromisoformat(starts[-1]) <= date.fromisoformat(submitted) + CLOCK_ERROR:
        return []
    return [Flag("dated before its run", f"submitted {submitted}, but a run began {starts[-1]}")]


TextKey = tuple[str, str, int]
"""Suite, key of the episode, number of the turn."""


class TextStudy:
    """Compares an entry with two experts, turn by turn, and keeps its texts.

    The experts are the one whose action each turn records, and the demonstrator, whose transcripts
    `agents.train.sft_data` writes. A choice counts only where several actions are optimal and the
    entry played one of them: there a player of its own has no reason to agree.
    """

    def __init__(self) -> None:
        self.texts: dict[TextKey, str] = {}
        """Texts with words of their own: neither bare actions nor in an expert's wording."""
        self._counts: dict[str, Counter[str]] = {}

    def observe(self, suite: str, recording: EpisodeRecorder, turn: Turn) -> None:
        """Count a turn before it is played."""
        row, text = recording.row, turn.reply.text
        env = recording.env.unwrapped
        if isinstance(env, SolvedEnv) and self._compare(env, row.env_id, turn):
            return
        if len(re.findall(r"\w+", text)) >= MIN_WORDS:
            key = episode_key(row.env_id, recording.number, recording.repeat)
            words = re.sub(r"[\W_]+", "", text.casefold())
            place = suite, key, len(recording.turns)
            self.texts[place] = hashlib.sha256(f"{turn.state_hash} {words}".encode()).hexdigest()

    def _compare(self, env: SolvedEnv[Any, Any], env_id: str, turn: Turn) -> bool:
        """Count a turn; return whether its text has the wording of the demonstrator."""
        counts = self._counts.setdefault(env_id, Counter())
        values, demonstration = env.values(), env.demonstrate()
        best = max(values.values())
        optimal = [action for action, value in values.items() if value > best - 1e-9]
        if len(optimal) > 1 and turn.action in optimal:
            counts["choices"] += 1
            counts["as expert"] += turn.action == turn.expert
            if demonstration:
                counts["demonstrated choices"] += 1
                counts["as demonstrated"] += turn.action == demonstration.action
        if not (demonstration and demonstration.fields and env.prompt.reply_fields[:-1]):
            return False
        text = env.write_reply(demonstration.action, demonstration.fields)
        same = wording(turn.reply.text) == wording(text)
        counts["demonstrations"] += 1
        counts["in its words"] += same
        return same

    def flags(self, track: str) -> list[Flag]:
        """Return what the counts show.

        Args:
            track: The entry's track; a zero-shot model isn't trained on the expert.
        """
        flags = []
        for env_id, counts in self._counts.items():
            words = _share(counts, "in its words", "demonstrations")
            if words >= MIN_WORDING:
                flags.append(_trained(env_id, counts, track))
                continue
            pairs = ("as expert", "choices"), ("as demonstrated", "demonstrated choices")
            agreed, total = max(pairs, key=lambda pair: _share(counts, *pair))
            if _share(counts, agreed, total) >= MIN_AGREEMENT:
                flags.append(
                    Flag(
                        "agrees with the expert",
                        f"{env_id}: the expert's action in {counts[agreed]} of {counts[total]} "
                        "turns with several optimal actions",
                        suspicious=track != "pipeline",  # the tasks' own solvers may decide there
                    )
                )
        return flags


def _trained(env_id: str, counts: Mapping[str, int], track: str) -> Flag:
    zero_shot = track == "zero-shot"
    detail = (
        f"{env_id}: {counts['in its words']} of {counts['demonstrations']} texts have the wording "
        "of an expert transcript"
    )
    if zero_shot:
        return Flag("writes like the expert", f"{detail}, although the card says zero-shot")
    return Flag("trained on expert", detail, suspicious=False)


def _share(counts: Mapping[str, int], part: str, whole: str) -> float:
    """Return a share; 0 where too few were counted."""
    return counts.get(part, 0) / counts[whole] if counts.get(whole, 0) >= MIN_TURNS else 0.0


def wording(text: str) -> str:
    """Return a text without its numbers, letter case, white space and punctuation."""
    return re.sub(r"[\W_]+", "", re.sub(r"\d+", "0", text.casefold()))


@dataclass(frozen=True, slots=True)
class Sharing:
    """Texts that two entries wrote for the same pictures."""

    first: int
    """Number of the first entry."""
    second: int
    same: int
    texts: int
    """Texts of the smaller entry."""

    def flag(self, other: str) -> Flag:
        """Return the flag of one of them; `other` names the other."""
        share = formatting.percent(self.same / self.texts)
        return Flag(
            "shares texts",
            f"{self.same} of {self.texts} texts ({share}) equal those of {other} on the same turns",
        )


def find_shared_texts(entries: Sequence[Mapping[TextKey, str]]) -> list[Sharing]:
    """Return the pairs of entries that share more texts than chance explains.

    Args:
        entries: The texts of each entry; see `TextStudy`.
    """
    shared = []
    for (one, first), (two, second) in combinations(enumerate(entries), 2):
        texts = min(len(first), len(second))
        same = len(first.items() & second.items())
        if texts >= MIN_TURNS and same >= MIN_SHARED * texts:
            shared.append(Sharing(one, two, same, texts))
    return shared
