"""The player `ocr`: reads the picture with a general text recognizer and decides with a solver.

    python -m agents.evaluate --agent ocr --env NumberLine --episodes 20

It is trained on none of the tasks. The weights come in the wheel of rapidocr-onnxruntime. It says
in its thoughts what it can't read, and then guesses. It sees one picture at a time and remembers
nothing. ALFWorld isn't played: its pictures show drawings of rooms, and hardly any text.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

import gymnasium

from agents.agent import Agent, Observation
from agents.batching import Batcher
from agents.players.ocr import blackjack, formula, number_line
from agents.players.ocr.play import Play, TaskPlayer
from agents.players.ocr.words import ENLARGED, LEAST_SCORE, PACKAGE, Recognizer, model_info
from vlbench.records import Reply

PLAYERS: dict[str, TaskPlayer] = {
    env_id: module.play for module in (number_line, formula, blackjack) for env_id in module.ENV_IDS
}
"""Environment id → what plays it."""


class Reader:
    """Reads the pictures of observations, and makes of them what a task's player makes.

    Raises:
        ValueError: The package isn't installed.
    """

    def __init__(self) -> None:
        self._recognizer = Recognizer()

    def play(self, observation: Observation) -> Play:
        """Return the decision of the task's player, with the facts that were read.

        A picture that isn't read whole is read again in negative, where pale signs get dark.
        """
        player, image = PLAYERS[observation["env_id"]], observation["image"]
        play = player(self._recognizer.read(image), observation["text"])
        if not play.lost:
            return play
        again = player(self._recognizer.read(255 - image), observation["text"])
        return again if again.lost < play.lost else play


class Ocr(Agent):
    """Plays by what a text recognizer reads.

    Raises:
        ValueError: The package isn't installed.
    """

    env_ids = tuple(PLAYERS)

    def __init__(self) -> None:
        self._reader = Reader()
        self.name = f"ocr ({PACKAGE})"
        self.settings: dict[str, Any] = {"enlarged": ENLARGED, "least_score": LEAST_SCORE}
        self.models = {"": model_info()}
        self._batcher = Batcher(self._answer, 1)

    async def act(
        self, observation: Observation, env: gymnasium.Env[Any, str] | None = None
    ) -> Reply:
        """Answer an observation."""
        return await self._batcher.ask(observation)

    def _answer(self, observations: Sequence[Observation]) -> list[Reply]:
        replies = []
        for observation in observations:
            start = time.perf_counter()
            play = self._reader.play(observation)
            text = json.dumps({**play.fields, "action": play.action}, ensure_ascii=False)
            seconds = time.perf_counter() - start
            mark = self.models[""].mark
            replies.append(Reply(text, usd=0.0, seconds=seconds, provider_id=mark))
        return replies
