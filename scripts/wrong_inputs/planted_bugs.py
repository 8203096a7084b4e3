"""J: the contract's checks find bugs that are planted in NumberLine."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scripts.wrong_inputs.case import Case


def planted(name: str, check: str, piece: str, **changes: Any) -> Case:
    """A bug that one check must find.

    Args:
        name: What the bug is.
        check: Name of the check.
        piece: A text in its message.
        **changes: Attributes of the game, the picture or the environment, by `game_step` and so on.
    """

    def run() -> None:
        from vlbench import contract
        from vlbench.tasks import number_line
        from vlbench.tasks.number_line.game import NumberLineGame
        from vlbench.tasks.number_line.picture import NumberLinePicture

        parts = {
            "game": NumberLineGame,
            "picture": NumberLinePicture,
            "env": number_line.NumberLine,
        }
        for place, value in changes.items():
            part, _, attribute = place.partition("_")
            original = getattr(parts[part], attribute)
            setattr(parts[part], attribute, value(original))
        try:
            getattr(contract, check)("vlbench/NumberLine-v0")
        except AssertionError as error:
            print(f"{check}: {' '.join(str(error).split())}")
        else:
            print("the bug isn't found")

    return Case(letter="J", name=name, action=run, pieces=(f"{check}: ", piece), code=0)


def constantly(value: Any) -> Callable[[Any], Any]:
    """Return a change of a method, which then returns a constant."""
    return lambda original: lambda self, *arguments: value


def after(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a change of a method, which then returns `change(result, *arguments)`."""
    return lambda original: lambda self, *arguments: change(original(self, *arguments), *arguments)


def without_clearing(original: Any) -> Any:
    def paint(self: Any, frame: Any, state: Any, style: Any) -> None:
        earlier = frame.copy()
        original(self, frame, state, style)
        frame[:20] = earlier[:20] // 2 + 1

    return paint


def without_the_current_number(original: Any) -> Any:
    def paint(self: Any, frame: Any, state: Any, style: Any) -> None:
        original(self, frame, replace(state, current=0), style)

    return paint


def numpy_fact(facts: Any, state: Any, style: Any) -> Any:
    import numpy as np

    return facts | {"current": np.int64(facts["current"])}


def anything(original: Any) -> Any:
    def start(self: Any, instance: str) -> Any:
        try:
            return original(self, instance)
        except ValueError:
            return original(self, "number_line/2-5")

    return start


def train_row_in_the_test_set() -> None:
    """Put a train hand of Blackjack into the frozen set `test`, and check it."""
    import gymnasium

    from vlbench import contract, suites

    env_id = "vlbench/Blackjack-v0"
    env = gymnasium.make(env_id, split="train").unwrapped
    train = env.reset(seed=0)[1]["instance"]
    text = suites._suite_text

    def changed(*place: str) -> str:
        first, *rest = text(*place).splitlines()
        return "\n".join([json.dumps(json.loads(first) | {"instance": train}), *rest]) + "\n"

    suites._suite_text = changed
    try:
        contract.frozen_rows_are_held_out(env_id)
    except AssertionError as error:
        print(f"found: {' '.join(str(error).split())}")


def prompt_without_a_rule() -> None:
    """Take a rule's value out of the prompt's text, and check the prompt."""
    from vlbench import contract, prompts

    fill = prompts.Prompt.from_text.__func__
    prompts.Prompt.from_text = classmethod(
        lambda cls, text, rules: fill(cls, text + " At most $least.", rules)
    )
    try:
        contract.the_prompt_is_filled_in("vlbench/NumberLine-v0")
    except (AssertionError, ValueError) as error:
        print(f"found: {' '.join(str(error).split())}")


CASES = (
    planted(
        "a global random generator",
        "same_seed_gives_the_same_episode",
        "",
        game_deal=lambda original: lambda self, rng: f"number_line/0-{random.randint(1, 5)}",
    ),
    planted(
        "a constant deal",
        "other_seeds_give_other_episodes",
        "",
        game_deal=constantly("number_line/2-5"),
    ),
    planted(
        "a wrong expert", "the_expert_takes_what_values_promise", "", game_expert=constantly("+")
    ),
    planted(
        "facts of NumPy", "info_is_plain_data_of_constant_form", "", picture_facts=after(numpy_fact)
    ),
    planted(
        "forgotten pixels",
        "a_frame_painted_over_equals_one_painted_anew",
        "",
        picture_paint=without_clearing,
    ),
    planted(
        "actions that read the same",
        "no_two_actions_read_the_same",
        "",
        game_vocabulary=lambda original: ("+", "add", "ADD"),
    ),
    planted(
        "constant values",
        "values_keep_their_promise",
        "",
        game_values=constantly({"+": 1.0, "-": 1.0}),
    ),
    planted(
        "values that are too high",
        "values_keep_their_promise",
        "",
        game_values=after(lambda values, *_: {a: v + 0.5 for a, v in values.items()}),
    ),
    planted(
        "values that are NaN",
        "the_expert_takes_what_values_promise",
        "",
        game_values=after(lambda values, *_: values | {"+": float("nan")}),
    ),
    planted(
        "facts whose keys vary",
        "info_is_plain_data_of_constant_form",
        "",
        picture_facts=after(
            lambda facts, state, _: facts | ({"zero": True} if state.current == 0 else {})
        ),
    ),
    planted(
        "start() that takes nonsense", "start_refuses_what_is_no_instance", "", game_start=anything
    ),
    planted(
        "a game that never ends",
        "the_expert_ends_the_episode",
        "",
        game_step=after(lambda move, *_: move._replace(terminated=False, success=False)),
    ),
    planted(
        "statements that are always true",
        "a_false_statement_is_found",
        "",
        env_check_statements=after(lambda found, *_: replace(found, perception=True)),
    ),
    planted(
        "a picture without the current number",
        "the_picture_shows_every_fact",
        "",
        picture_paint=without_the_current_number,
        picture_repaint=lambda original: lambda self, *arguments: False,
    ),
    planted(
        "an expert that errs once",
        "the_expert_takes_what_values_promise",
        "",
        game_expert=after(lambda action, state, _: "-" if state.current == 0 else action),
    ),
    *(
        Case(letter="J", name=name, action=run, pieces=("found: ", piece), code=0)
        for name, run, piece in (
            ("a frozen test row that is a train hand", train_row_in_the_test_set, "split train"),
            ("a prompt with a name that isn't filled in", prompt_without_a_rule, "least"),
        )
    ),
)
