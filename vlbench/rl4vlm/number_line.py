"""NumberLine with the rules of RL4VLM."""

from collections.abc import Mapping
from typing import Unpack

import numpy as np

from vlbench.parsing import Json
from vlbench.rl4vlm.env import RL4VLMEnv, load_prompt
from vlbench.task import EnvOptions, Statements
from vlbench.tasks.number_line.demonstrate import CURRENT, FIELDS, TARGET
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState
from vlbench.tasks.number_line.picture import NumberLinePicture, NumberLineStyle
from vlbench.themes import ThemeChoice
from vlbench.vector import VLVectorEnv


class RL4VLMNumberLineGame(NumberLineGame):
    """The rules of NumberLine, which vlbench didn't change, and the original's deal."""

    name = "rl4vlm_number_line"
    vocabulary: tuple[str, ...] = ("-", "+")

    def deal(self, rng: np.random.Generator) -> str:
        """Draw both numbers; where they are equal, the target is moved by one modulo 5, not 6."""
        start, target = rng.integers(self.max_position + 1, size=2).tolist()
        if target == start:
            target = (target + 1) % self.max_position
        return f"{self.name}/{start}-{target}"


class NumberLine(RL4VLMEnv[NumberLineState, NumberLineStyle]):
    """RL4VLM's NumberLine: walk the current number onto the target.

    Picture:
        `Target: t` at (30, 60), `Current: c` at (30, 180), black on white, as in the original.
    Text:
        The original's prompt, word for word; it names neither number.
    Actions:
        "-" and "+": one down, one up. A step off the line leaves the number where it is. They are
        read as the original reads them; where a reply names none or both, one is drawn uniformly.
    Rewards:
        +1 at the target; −1 when the move comes no closer (at a wall too); 0 when it comes closer.
    Episode end:
        Terminated at the target; truncated after 10 turns.
    Success:
        The return is above 0: the target was reached without any wrong move.
    Instances:
        `rl4vlm_number_line/<start>-<target>`. Both numbers are uniform in 0..5; a target that
        equals the start is moved to (target + 1) modulo 5, so a target of 1 comes 7 times in 36,
        and one of 5 comes 5 times. The presentation fixes what is drawn where a reply can't be
        read, and nothing in the picture.
    Differences from RL4VLM:
        The seed has an effect. The lettering is drawn from this project's atlas of the same font,
        so that single pixels may differ.
    Version history:
        v0: the archived commit b989b57. Commit 202229a dealt equal numbers unmoved; see
        docs/rl4vlm-audit.md.

    Args:
        prompt: "cot" or "action_only".
        **options: See `vlbench.task.EnvOptions`.
    """

    fields = FIELDS

    def __init__(self, *, prompt: str = "cot", **options: Unpack[EnvOptions]) -> None:
        words = load_prompt("number_line", prompt)
        picture = NumberLinePicture(ThemeChoice())
        super().__init__(RL4VLMNumberLineGame(), picture, words, **options)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Hold `current number` and `target number` against the picture."""
        pairs = (CURRENT.name, self._state.current), (TARGET.name, self._state.target)
        checks = [str(fields[name]).strip() == str(true) for name, true in pairs if name in fields]
        return Statements(all(checks) if checks else None)


class NumberLineVector(VLVectorEnv):
    """Many NumberLines in one process."""

    env_class = NumberLine
