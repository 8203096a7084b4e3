"""Rules that vary between the episodes of one training: `--mix faces=10,13,20`."""

from dataclasses import dataclass
from typing import Any

from agents.sweep.plan import ALL_RUNGS, parse_sweep

MIX_HELP = (
    "values of one rule that episodes take in turn, as in max_position=5,10,20; environment i of N "
    "keeps the value i modulo their number, and so do the episodes of a group in ppo"
)


@dataclass(frozen=True, slots=True)
class Mixture:
    """A rule and the values that episodes take in turn.

    Attributes:
        name: The rule, a keyword argument of the environment; "" for none.
        values: Its values, in the order given.
    """

    name: str = ""
    values: tuple[Any, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Mixture":
        """Parse NAME=V1,V2,…, with JSON values where possible; "" for no mixture.

        Raises:
            ValueError: It is neither.
        """
        if not text:
            return cls()
        if text == ALL_RUNGS:
            raise ValueError(f'must be NAME=V1,V2,… as in max_position=5,10,20; got "{text}"')
        sweep = parse_sweep(text)
        return cls(sweep.name, sweep.values)

    def rules(self, number: int) -> dict[str, Any]:
        """Return the keyword argument of episode or environment `number`, from 0; {} for none."""
        return {self.name: self.values[number % len(self.values)]} if self.values else {}

    def all_rules(self) -> list[dict[str, Any]]:
        """Return each value's keyword argument; [{}] if there is no mixture."""
        return [self.rules(number) for number in range(max(1, len(self.values)))]


def check_mix(text: str) -> None:
    """Check a mixture.

    Raises:
        ValueError: It is neither "" nor NAME=V1,V2,….
    """
    Mixture.parse(text)
