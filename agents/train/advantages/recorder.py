"""Rollouts as files of turns with their advantages, for `vlbench diagnose`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.train.advantages.kinds import BASELINES
from agents.train.distributed import Processes
from agents.train.log.samples import write_samples
from agents.train.rollout_buffer import RolloutBuffer
from agents.vlm.sampling import Generation
from vlbench.diagnose.rollouts import FOLDER, SCHEMA, RolloutTurn, write_turns


class TurnRecorder:
    """Writes every k-th rollout's turns and advantages, for `vlbench.diagnose`, and their page.

    Args:
        env_id: The environment's id.
        kwargs: Keyword arguments of this process's n environments.
        share: Indices of this process's n environments, in 0..N − 1.
        every: k.
        baseline: Name of the baseline behind the advantages, in BASELINES.
    """

    def __init__(
        self,
        env_id: str,
        kwargs: Sequence[Mapping[str, Any]],
        share: range,
        every: int,
        baseline: str,
    ) -> None:
        self._env_id = env_id
        self._kwargs = [dict(each) for each in kwargs]
        self._baseline = baseline
        self._share = share
        self._every = every
        self._finished = [0] * len(share)  # episodes of each environment in this rollout
        self._turns: list[RolloutTurn] = []

    def add(
        self,
        episodes: Sequence[Mapping[str, Any]],
        replies: Sequence[Generation | None],
        rewards: Sequence[float],
        ended: Sequence[bool],
    ) -> None:
        """Add a turn of the n environments.

        Args:
            episodes: Instance, presentation and earlier replies of each running episode.
            replies: The replies; None for an idle environment.
            rewards: n rewards.
            ended: n flags, whether the episode ended.
        """
        is_first = not self._turns
        for i, (episode, reply) in enumerate(zip(episodes, replies, strict=True)):
            if reply is None:
                continue
            turn = RolloutTurn(
                SCHEMA,
                self._env_id,
                self._kwargs[i],
                episode["instance"],
                episode["presentation"],
                episode=f"{self._share[i]}-{self._finished[i]}",
                turn=len(episode["replies"]),
                reply=reply.text,
                earlier=tuple(episode["replies"]) if is_first else (),
                reward=rewards[i],
                value=float(reply.value),
                log_prob=float(reply.log_probs.sum()),
            )
            self._turns.append(turn)
            self._finished[i] += ended[i]

    def finish(
        self, iteration: int, buffer: RolloutBuffer, run: Path, processes: Processes
    ) -> None:
        """Complete a rollout; write it if it is a k-th one.

        Args:
            iteration: The rollout's number, from 1.
            buffer: The rollout with its advantages, before normalisation.
            run: The run's folder.
            processes: The processes that play together.

        Raises:
            OSError: The file can't be written.
        """
        turns, self._turns = self._turns, []
        self._finished = [0] * len(self._share)
        if iteration % self._every:
            return
        advantages = buffer.advantages[buffer.facts.played].tolist()
        own = [
            replace(
                turn,
                episode=f"{iteration}/{turn.episode}",
                iteration=iteration,
                advantage=advantage,
                estimator=self._baseline,
                oracle=BASELINES[self._baseline].oracle,
            )
            for turn, advantage in zip(turns, advantages, strict=True)
        ]
        everyone = [turn for part in processes.gather(own) for turn in part]
        path = run / FOLDER / f"{iteration:06}.jsonl"

        def write() -> None:
            write_turns(path, everyone)
            write_samples(path)

        processes.on_main(write)
