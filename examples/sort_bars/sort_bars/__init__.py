"""SortBars: a task outside of vlbench, with its own rules, pictures, prompt and frozen sets."""

from collections.abc import Mapping
from typing import Unpack

import gymnasium

from sort_bars.game import BARS, Bars, SortBarsGame
from sort_bars.picture import SortBarsPicture
from vlbench.parsing import Json
from vlbench.prompts import Prompt
from vlbench.solved_env import SolvedEnv
from vlbench.task import Demonstration, EnvOptions, Fact, Field, Statements

HEIGHTS = Field("heights", "perception")
THOUGHTS = Field("thoughts", "reasoning")


class SortBars(SolvedEnv):
    """Put six bars in order by swapping neighbours.

    Picture:
        Six bars of different heights on a ground line.
    Text:
        The prompt. It states no height; `cot_facts` states them.
    Actions:
        "1" to "5": swap the bar at that place with its right neighbour.
    Rewards:
        +1 when all bars are in order, 0 for a swap that orders two neighbours, −1 for any other.
        An unreadable reply changes nothing and costs −1.
    Episode end:
        Terminated in order; truncated after 20 turns.
    Success:
        The bars are in order.
    Instances:
        `sort_bars/<heights>`: the 718 orders that aren't sorted, uniform. 30 % are `test`, 10 %
        `val`.
    Version history:
        v0: first version.

    Args:
        descending: Whether the highest bar belongs on the left; the prompt says so.
        theme: "train", or "heldout" for colours that training never shows.
        prompt: "cot", "action_only" or "cot_facts".
        **options: See `vlbench.task.EnvOptions`.
    """

    fields = (HEIGHTS, THOUGHTS)

    def __init__(
        self,
        *,
        descending: bool = False,
        theme: str = "train",
        prompt: str = "cot",
        **options: Unpack[EnvOptions],
    ) -> None:
        game = SortBarsGame(descending)
        first, last = ("highest", "lowest") if descending else ("lowest", "highest")
        rules: dict[str, Fact] = {"bars": BARS, "first": first, "last": last}
        words = Prompt.load(__name__, prompt, rules)
        super().__init__(game, SortBarsPicture(theme), words, **options)

    def demonstrate(self) -> Demonstration:
        """State the heights and the first neighbours in the wrong order."""
        heights, action = self.state.heights, self.expert()
        left, right = heights[int(action) - 1], heights[int(action)]
        sign = "<" if left < right else ">"
        fields: dict[str, Fact] = {
            HEIGHTS.name: " ".join(map(str, heights)),
            THOUGHTS.name: f"{left} {sign} {right}",
        }
        return Demonstration(fields, action)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Compare the stated heights with the picture."""
        stated = fields.get(HEIGHTS.name)
        parts = str(stated).replace(",", " ").split()
        if not isinstance(stated, str) or not all(part in "123456" for part in parts):
            return Statements()
        return Statements(tuple(map(int, parts)) == self.state.heights)

    def expert_by_picture(self, facts: Mapping[str, Fact]) -> str:
        """Return the action of an expert who sees these facts."""
        heights = facts["heights"]
        assert isinstance(heights, tuple)
        return self.game.expert(Bars(tuple(map(int, heights))), self.turns_left)


gymnasium.register(
    id="bars/SortBars-v0",
    entry_point="sort_bars:SortBars",
    order_enforce=False,  # the environment enforces the order itself
    disable_env_checker=True,  # and the contract checks more
)
