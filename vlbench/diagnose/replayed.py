"""Play recorded turns again, and add what the environment knows about each of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from vlbench.diagnose.rollouts import RolloutEpisode, RolloutTurn
from vlbench.env import VLEnv
from vlbench.errors import user_code
from vlbench.recorder import EnvCache, EpisodeRecorder, OracleEnv
from vlbench.records import Reply, Turn
from vlbench.task import Statements, split_in

TOLERANCE = 1e-9
"""An advantage or a regret that is this close to 0 counts as 0."""

REWARD_TOLERANCE = 1e-4
"""Largest difference of an engine's reward from the environment's; engines keep float32."""


@dataclass(frozen=True, slots=True)
class ReplayedTurn:
    """A turn, with what the environment knows about it."""

    record: RolloutTurn
    """What the engine recorded."""
    turn: Turn
    """What replay gives: action, status, reward, regret, cause, state hash."""
    best: float | None
    """V*, the optimal return from the turn's state; None if the environment has no values."""
    statements: Statements
    """The reply's fields, checked against the picture."""
    thoughts: str
    """The reply before its action; the whole reply if no action can be read."""
    split: str
    """Split of the instance; "" if the task holds none out."""

    @property
    def exact(self) -> float | None:
        """The exact advantage A* = Q* − V* of the reply, at most 0; None without values."""
        if self.turn.regret is None:
            return None
        return 0.0 if self.turn.regret < TOLERANCE else -self.turn.regret

    @property
    def differs(self) -> bool:
        """Whether the recorded reward or state isn't the environment's."""
        reward, state = self.record.reward, self.record.state_hash
        wrong_reward = reward is not None and abs(reward - self.turn.reward) > REWARD_TOLERANCE
        return wrong_reward or state not in ("", self.turn.state_hash)


class Moment(NamedTuple):
    """A recorded turn that hasn't been played yet."""

    recorder: EpisodeRecorder
    """Stands before the turn."""
    record: RolloutTurn


def replay_turns(episodes: Iterable[RolloutEpisode]) -> list[ReplayedTurn]:
    """Replay the episodes; return their recorded turns.

    Raises:
        ValueError: As for `moments`.
    """
    return [_replay(moment) for moment in moments(episodes)]


def moments(episodes: Iterable[RolloutEpisode]) -> Iterator[Moment]:
    """Yield each recorded turn before it is played. Then it is played, if the caller hasn't.

    Raises:
        ValueError: An episode can't be played: its environment, arguments or instance are refused,
            or it has turns after its end. The message names its place.
    """
    envs = EnvCache()
    for episode in episodes:
        if not episode.turns:  # it failed before its first reply
            continue
        try:
            with user_code():
                yield from _moments(envs, episode)
        except ValueError as error:
            raise ValueError(f"{episode.place}: {error}") from error


def _moments(envs: EnvCache, episode: RolloutEpisode) -> Iterator[Moment]:
    start = episode.start
    recorder = EpisodeRecorder(envs.of(start), start, repeat=episode.repeat)
    for reply in episode.earlier:
        recorder.play(Reply(reply))
    for record in episode.turns:
        if recorder.end:
            raise ValueError(
                f"episode {episode.key:.100} ends after {record.turn} turns in the environment, "
                f"and has a turn {record.turn}"
            )
        yield Moment(recorder, record)
        if len(recorder.turns) == record.turn:
            recorder.play(Reply(record.reply))


def _replay(moment: Moment) -> ReplayedTurn:
    recorder, record = moment
    oracle = recorder.env.unwrapped
    parsed = recorder.read(record.reply)
    best, statements = None, Statements()
    if isinstance(oracle, OracleEnv):
        best = max(oracle.values().values())
        statements = oracle.check_statements(parsed.fields)
    thoughts = record.reply[: parsed.span[0]] if parsed.span else record.reply
    split = _split(oracle, recorder.instance)
    turn = recorder.play(Reply(record.reply))
    return ReplayedTurn(record, turn, best, statements, thoughts, split)


def _split(env: object, instance: str) -> str:
    """Return the split of an instance; "" if the environment holds none out."""
    return split_in(env.game, instance) if isinstance(env, VLEnv) else ""
