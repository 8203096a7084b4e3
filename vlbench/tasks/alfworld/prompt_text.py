"""The fields of a prompt, filled from a state."""

from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.errors import unknown_name
from vlbench.task import checked_int
from vlbench.tasks.alfworld.commands import GRAMMAR
from vlbench.tasks.alfworld.drawing.picture import MIDDLE, NOTHING
from vlbench.tasks.alfworld.game import CommandState
from vlbench.tasks.alfworld.scene import Place, Scene, Thing

TEXT_OBS = ("full", "feedback", "none")
"""Content of the text besides the intro, the goal and past commands: feedback and admissible
commands; feedback; neither."""

MEMORY = 8
"""Past commands that the text repeats, by default."""

EXAMINE_FIRST = "Before you can take anything from a receptacle, you must examine that receptacle."
"""The prompt's sentence about the rule `examine_first`."""


@dataclass(frozen=True, slots=True)
class PromptText:
    """Fills the prompt's fields.

    Args:
        text_obs: One of TEXT_OBS.
        memory: Number of past commands to repeat, with their feedback unless `text_obs` is "none";
            at least 0.
        rule: The sentence of a changed rule; "" for none.
    """

    text_obs: str
    memory: int
    rule: str = ""

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.text_obs not in TEXT_OBS:
            raise ValueError(unknown_name("text_obs", str(self.text_obs), TEXT_OBS))
        checked_int("memory", self.memory, 0)

    def fields(self, state: CommandState) -> dict[str, str]:
        """Return the prompt's fields."""
        return {
            "intro": _intro(state.feedback[0]),
            "goal": goal_of(state.feedback[0]),
            "rule": self.rule and f" {self.rule}",
            "history": self._history(state),
            "commands": self._commands(state),
            "shown": describe_scene(state.scene),
        }

    def _history(self, state: CommandState) -> str:
        first = max(len(state.commands) - self.memory, 0)
        pairs = list(zip(state.commands, state.feedback[1:], strict=True))[first:]
        if not pairs:
            return f"Commands given so far: {len(state.commands)}."
        lines = []
        for command, feedback in pairs:
            lines.append(f"> {command}")
            if self.text_obs != "none":
                lines.append(feedback.strip())
        title = "Your commands so far" if not first else f"Your last {len(pairs)} commands"
        answers = "" if self.text_obs == "none" else ", and what came of them"
        return "\n".join([f"{title}{answers}:", *lines])

    def _commands(self, state: CommandState) -> str:
        if self.text_obs == "full":
            return f"Your admissible actions now: {_quoted_list(state.admissible)}."
        return (
            f"The forms of actions: {_quoted_list(GRAMMAR)}. "
            "Name receptacles and objects with their numbers. "
            "Only what can be done where you stand is understood."
        )


def goal_of(intro: str) -> str:
    """Return the goal's sentence with its full stop, e.g. "put a hot apple in fridge."."""
    return intro.rpartition("Your task is to: ")[2].strip()


def _intro(intro: str) -> str:
    """Return the sentences about the room, without TextWorld's greeting."""
    return " ".join(intro.partition("=-")[2].partition("Your task is to: ")[0].split())


def describe_scene(scene: Scene) -> str:
    """Return a description of a scene."""
    parts = [f"you stand in the {MIDDLE}" if not scene.at else f"you stand at the {scene.at}"]
    for place in scene.places:
        if place.contents is not None or place.name == scene.at:
            parts.append(_inside(place))
    parts.append(f"in your hand is {_with_states(scene.holding) if scene.holding else NOTHING}")
    return "; ".join(parts) + "."


def _inside(place: Place) -> str:
    if place.contents is None:
        return f"the {place.name} is closed"
    preposition = "in the open" if place.openable else "in or on the"
    contents = ", ".join(map(_with_states, place.contents)) or NOTHING
    return f"{preposition} {place.name} you see {contents}"


def _with_states(thing: Thing) -> str:
    states = ", ".join(sorted(thing.states))
    return f"{thing.name} ({states})" if states else thing.name


def _quoted_list(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
