"""NumberLine with the rules of RL4VLM."""

from collections.abc import Mapping
from typing import Unpack

import numpy as np

from vlbench.instances import Presentation
from vlbench.parsing import Json
from vlbench.rl4vlm.env import RL4VLMEnv, load_prompt
from vlbench.rl4vlm.lettering import line_blit
from vlbench.sprites import Font, background, load_font, paste
from vlbench.task import SIZE, EnvOptions, Fact, Frame, Statements
from vlbench.tasks.number_line.demonstrate import CURRENT, FIELDS, TARGET
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState
from vlbench.themes import THEMES
from vlbench.vector import VLVectorEnv

THEME = THEMES["classic"]


class RL4VLMNumberLineGame(NumberLineGame):
    """The rules of NumberLine, unchanged by vlbench, with the original's deal."""

    name = "rl4vlm_number_line"
    vocabulary: tuple[str, ...] = ("-", "+")

    def deal(self, rng: np.random.Generator) -> str:
        """Draw both numbers; if they are equal, move the target by one modulo 5, not 6."""
        start, target = rng.integers(self.max_position + 1, size=2).tolist()
        if target == start:
            target = (target + 1) % self.max_position
        return f"{self.name}/{start}-{target}"


class NumberLinePicture:
    """Draws NumberLine as the original does: two lines of text, black on white."""

    def style(self, start: NumberLineState, presentation: Presentation) -> Font:
        """Return the font; there is nothing to choose."""
        return load_font(THEME, "display", paper=True)

    def paint(self, frame: Frame, state: NumberLineState, style: Font) -> None:
        """Draw both lines."""
        frame[:] = background(THEME.paper)
        lines = (("Target:", state.target, 60), ("Current:", state.current, 180))
        paste(
            frame,
            [line_blit(style, "display", (word, f" {n}"), (30, y), SIZE) for word, n, y in lines],
        )

    def facts(self, state: NumberLineState, style: Font) -> dict[str, Fact]:
        """Return both numbers."""
        return {"target": state.target, "current": state.current}


class NumberLine(RL4VLMEnv[NumberLineState, Font]):
    """RL4VLM's NumberLine: move the current number to the target, one unit a turn.

    Example: `gymnasium.make("rl4vlm/NumberLine-v0")`.

    Picture:
        `Target: t` at (30, 60), `Current: c` at (30, 180), black on white, as in the original.
    Text:
        The original's prompt, word for word. It states neither number.
    Actions:
        "-" subtracts one and "+" adds one, read as in the original: a reply that names neither or
        both plays one drawn uniformly. A move past either end leaves the number unchanged.
    Rewards:
        +1 for reaching the target, 0 for any other move closer to it, −1 for a move that isn't
        closer, such as a move past the end.
    Episode end:
        Terminated at the target; truncated after 10 turns.
    Success:
        The return is above 0: the target is reached without a wrong move.
    Instances:
        `rl4vlm_number_line/<start>-<target>`. Both numbers are uniform in 0..5. A target equal to
        the start becomes (target + 1) modulo 5, so a target of 1 comes 7 times in 36 and one of 5
        comes 5 times. The presentation fixes the random actions and nothing in the picture.
    Differences from RL4VLM:
        Seeding works. The text is drawn from this project's atlas of the same font, with the
        positions that Pillow's layout engine libraqm gives its characters.
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
        super().__init__(RL4VLMNumberLineGame(), NumberLinePicture(), words, **options)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Compare `current number` and `target number` with the picture."""
        pairs = (CURRENT.name, self._state.current), (TARGET.name, self._state.target)
        checks = [str(fields[name]).strip() == str(true) for name, true in pairs if name in fields]
        return Statements(all(checks) if checks else None)


class NumberLineVector(VLVectorEnv):
    """Several NumberLine environments in one process."""

    env_class = NumberLine
