"""The contract's checks find bugs that are planted in two small tasks, one at a time."""

import itertools
import json
import random
import string
from dataclasses import asdict, replace

import gymnasium
import numpy as np
import pytest
from support.dots_task import (
    CELL,
    DOTS_PROMPT,
    MOST,
    Card,
    CardEnv,
    CardGame,
    CardPicture,
    Dots,
    DotsEnv,
    DotsGame,
    DotsPicture,
)

from vlbench import contract
from vlbench.contract import CHECKS
from vlbench.env import Outcome
from vlbench.registry import rules_of
from vlbench.task import Demonstration, Move, Statements, split_in

NUMBERS = itertools.count()
OTHER_PROCESS = contract.another_process_gives_the_same_episode  # it knows no class of this module


@pytest.fixture
def check_class():
    """Run a check on a class, registered under an id for as long."""

    def run(check, env_class):
        env_id = f"tests/Planted{next(NUMBERS)}-v0"  # prompts are cached by id
        gymnasium.register(env_id, env_class)
        try:
            check(env_id)
        finally:
            del gymnasium.registry[env_id]

    return run


@pytest.mark.parametrize("env_class", [DotsEnv, CardEnv])
@pytest.mark.parametrize("check", [check for check in CHECKS if check is not OTHER_PROCESS])
def test_the_tasks_without_a_bug_keep_the_contract(check, env_class, check_class):
    check_class(check, env_class)


def game(base=DotsEnv, **changes):
    """An environment with another method or rule of its game."""
    return type(base.__name__, (base,), {"game_class": type("Game", (base.game_class,), changes)})


def picture(base=DotsEnv, **changes):
    """An environment with another method of its picture."""
    changed = type("Picture", (base.picture_class,), changes)
    return type(base.__name__, (base,), {"picture_class": changed})


def env(base=DotsEnv, **changes):
    """An environment with other methods or attributes."""
    return type(base.__name__, (base,), changes)


honest = DotsGame()
honest_picture = DotsPicture()
honest_card = CardGame()


# The rules


def deal_globally(self, rng):
    return f"dots/{random.randint(1, 9)}-{random.randint(1, 9)}"


def deal_by_numpy(self, rng):
    return f"dots/{np.random.randint(1, 9)}-{np.random.randint(1, 9)}"


def step_by_chance(self, state, action):
    return honest.step(state, random.choice(self.vocabulary))


def never_done(self, state, action):
    return replace_move(honest.step(state, action), terminated=False, success=False)


def never_done_but_rewarded(self, state, action):
    return replace_move(honest.step(state, action), terminated=False)


def never_successful(self, state, action):
    return replace_move(honest.step(state, action), success=False)


def successful_all_along(self, state, action):
    return replace_move(honest.step(state, action), success=True)


def replace_move(move, **changes):
    return Move(*move)._replace(**changes)


class Endless(DotsEnv):
    """It never truncates."""

    def advance(self, reply):
        outcome = super().advance(reply)
        self._over = outcome.terminated
        return Outcome(outcome.reward, outcome.terminated, False, outcome.info)


class TooLong(DotsEnv):
    """It truncates three turns late."""

    def advance(self, reply):
        outcome = super().advance(reply)
        is_late = self._turn >= self.game.max_turns + 3
        self._over = outcome.terminated or is_late
        return Outcome(outcome.reward, outcome.terminated, is_late, outcome.info)


class GoesOn(DotsEnv):
    """It plays on after the end."""

    def advance(self, reply):
        self._over = False
        return super().advance(reply)


class TwoEnds(DotsEnv):
    """It says truncated at each end."""

    def advance(self, reply):
        outcome = super().advance(reply)
        return outcome._replace(truncated=outcome.terminated or outcome.truncated)


# Instances


def accept_anything(self, instance):
    try:
        return honest.start(instance)
    except ValueError:
        return Dots(1, 1)


def accept_other_tasks(self, instance):
    return honest.start(f"dots/{instance.rpartition('/')[2]}")


def accept_large_numbers(self, instance):
    if not instance.startswith("dots/"):
        raise ValueError("wanted one like dots/3-5")
    first, _, second = instance[5:].partition("-")
    if not (first + second).isdecimal():
        raise ValueError("wanted one like dots/3-5")
    return Dots(int(first), int(second))


def accept_negative_numbers(self, instance):
    if instance.startswith("dots/-1-"):
        return Dots(-1, 1)
    return honest.start(instance)


def accept_spaces(self, instance):
    return honest.start(instance.strip())


def accept_capitals(self, instance):
    return honest.start(instance.lower())


def accept_leading_zeros(self, instance):
    return honest.start(instance.replace("/0", "/"))


def accept_what_follows(self, instance):
    return honest.start(instance[:8])


def raise_an_index_error(self, instance):
    return Dots(*[int(part) for part in (instance.split("/")[1]).split("-")])


def raise_a_key_error(self, instance):
    return {f"dots/{a}-{b}": Dots(a, b) for a in range(1, 10) for b in range(1, 10)}[instance]


def accept_every_decimal_digit(self, instance):
    if not instance.startswith("card/") or not instance[5:].isdecimal():
        raise ValueError("wanted one like card/123")
    return honest_card.start(f"card/{int(instance[5:])}")


def refuse_without_a_word(self, instance):
    try:
        return honest.start(instance)
    except ValueError:
        raise ValueError from None


# Values


def constant(self, state, turns):
    return dict.fromkeys(self.vocabulary, 1.0)


def zero(self, state, turns):
    return dict.fromkeys(self.vocabulary, 0.0)


def too_high(self, state, turns):
    return {action: value + 0.5 for action, value in honest.values(state, turns).items()}


def doubled(self, state, turns):
    return {action: 2 * value for action, value in honest.values(state, turns).items()}


def without_turns(self, state, turns):
    return honest.values(state, 12)


def one_turn_late(self, state, turns):
    return honest.values(state, turns + 1)


def cheap_done(self, state, turns):
    return honest.values(state, turns) | ({} if state.dots == state.target else {"done": -0.5})


def wrong_in_one_state(self, state, turns):
    values = honest.values(state, turns)
    return values | ({"take": 0.25} if state == Dots(3, 7) else {})


def infinite(self, state, turns):
    return honest.values(state, turns) | {"done": float("nan")}


def without_done(self, state, turns):
    values = honest.values(state, turns)
    return {action: values[action] for action in ("add", "take")} | {"finish": 1.0}


def card_values(keep=0.0, draw=3.5):
    return lambda self, state, turns: {"keep": state.rank + keep, "draw": draw}


def wrong_expert_in_one_state(self, state, turns):
    return "done" if state == Dots(9, 1) else honest.expert(state, turns)


def wrong_expert(self, state, turns):
    return "take" if state.dots < state.target else "add"


# Facts


def facts_of(change):
    return lambda self, state, style: change(honest_picture.facts(state, style), state)


def key_at_the_goal(facts, state):
    return facts | ({"equal": True} if state.dots == state.target else {})


def key_of_a_long_row(facts, state):
    return facts | ({"long": True} if state.dots == MOST else {})


def key_missing(facts, state):
    return facts if state.dots > 1 else {"dots": state.dots}


def keys_in_another_order(facts, state):
    return facts if state.dots % 2 else dict(reversed(facts.items()))


def another_type(facts, state):
    return facts | {"target": state.target if state.target < 8 else "many"}


def numbers_or_truths(facts, state):
    return facts | {"dots": state.dots if state.dots > 1 else True}


# Statements


def always(perception, plan=None):
    return lambda self, fields: Statements(perception, plan)


def always_true_if_stated(self, fields):
    return Statements(True if "upper" in fields or "lower" in fields else None)


def statements_of(change):
    def check(self, fields):
        return change(self, fields, DotsEnv.check_statements(self, fields))

    return check


def only_the_upper_row(self, fields, statements):
    return DotsEnv.check_statements(self, {"upper": fields["upper"]} if "upper" in fields else {})


def any_true_is_enough(self, fields, statements):
    verdicts = [
        DotsEnv.check_statements(self, {name: fields[name]}).perception
        for name in ("upper", "lower")
        if name in fields
    ]
    return replace(statements, perception=any(verdicts) if verdicts else None)


def nearly_true(self, fields, statements):
    state = self._state
    pairs = ("upper", state.dots), ("lower", state.target)
    stated = [(fields[name], truth) for name, truth in pairs if name in fields]
    stated = [(number, truth) for number, truth in stated if isinstance(number, (int, float))]
    right = all(abs(number - truth) <= 1 for number, truth in stated)
    return replace(statements, perception=right if stated else None)


def false_is_not_found(self, fields, statements):
    return replace(statements, perception=statements.perception or None)


def plan_of_the_expert(self, fields, statements):
    return replace(statements, plan=self.expert())


def any_text_is_true(self, fields, statements):
    texts = [value for value in fields.values() if isinstance(value, str) and value[:1] == "n"]
    return replace(statements, perception=True if texts else statements.perception)


# Pictures


def row_of(change):
    def draw_row(self, frame, count, top, style):
        DotsPicture.draw_row(self, frame, change(count, top), top, style)

    return draw_row


def card_paint(shown):
    def paint(self, frame, state, style):
        CardPicture.paint(self, frame, replace(state, rank=0), style)
        for number in shown(state.rank):
            frame[20 + 40 * number : 50 + 40 * number, 20:50] = style

    return paint


def without_clearing(self, frame, state, style):
    self.draw_row(frame, state.dots, 60, style)
    self.draw_row(frame, state.target, 200, style)


def with_a_corner_left(self, frame, state, style):
    frame[:, 1:] = 10
    self.draw_row(frame, state.dots, 60, style)
    self.draw_row(frame, state.target, 200, style)


def repaint_nothing(self, frame, state, style, previous, previous_style):
    return previous_style is style


def repaint_one_dot_more(self, frame, state, style, previous, previous_style):
    if previous_style is not style or previous.target != state.target:
        return False
    self.draw_row(frame, state.dots, 60, style)  # but never one less
    return True


def one_colour(self, frame, state, style):
    frame[:] = 10


def rows_over_each_other(self, frame, state, style):
    frame[:] = 10
    self.draw_row(frame, state.dots, 60, style)
    self.draw_row(frame, state.target, 60, style)


def off_the_edge(self, frame, state, style):
    frame[:] = 10
    self.draw_row(frame, state.dots, 60, style)
    self.draw_row(
        frame[:, CELL:], state.target, 200, (style[0], tuple(c - 1 for c in style[1] if c))
    )


PROMPT_WITHOUT_A_RULE = DOTS_PROMPT.replace("$most", "$least")
PROMPT_WITHOUT_A_FACT = DOTS_PROMPT.replace("$target", "$goal")
PROMPT_IN_CAPITALS = DOTS_PROMPT.replace("$most", "$MOST")
PROMPT_WITHOUT_A_FIELD = DOTS_PROMPT.replace('[cot, cot_facts] "plan": the next word,\n', "")

PLANTED = {
    contract.same_seed_gives_the_same_episode: {
        "global generator": game(deal=deal_globally),
        "numpy's global generator": game(deal=deal_by_numpy),
        "steps by chance": game(step=step_by_chance),
    },
    contract.other_seeds_give_other_episodes: {
        "constant deal": game(deal=lambda self, rng: "dots/3-5"),
        "constant deal of cards": game(CardEnv, deal=lambda self, rng: "card/7"),
    },
    contract.no_two_actions_read_the_same: {
        "actions that fold": game(vocabulary=("add", "ADD", "done")),
        "actions in outer space": game(vocabulary=("add", "take", "done", " add")),
        "a list": game(vocabulary=["add", "take", "done"]),
        "none": game(vocabulary=()),
        "numbers": game(vocabulary=(1, 2, 3)),
    },
    contract.the_prompt_is_filled_in: {
        "missing rule": env(source=PROMPT_WITHOUT_A_RULE),
        "missing fact": env(source=PROMPT_WITHOUT_A_FACT),
        "capital letters": env(source=PROMPT_IN_CAPITALS),
    },
    contract.the_prompt_asks_for_the_fields: {
        "missing field": env(source=PROMPT_WITHOUT_A_FIELD),
    },
    contract.the_episode_ends_in_time: {
        "never truncated": Endless,
        "truncated late": TooLong,
        "plays on": GoesOn,
    },
    contract.passes_gymnasiums_checker: {
        "endless by its rules": game(max_turns=10**9),
        "no limit": game(max_turns=float("inf")),
        "no turns": game(max_turns=0),
    },
    contract.the_expert_ends_the_episode: {
        "never terminates": game(step=never_done),
        "never terminates, with reward": game(step=never_done_but_rewarded),
        "never succeeds": game(step=never_successful),
        "never truncated, never done": type("Game", (Endless, game(step=never_done)), {}),
        "terminated and truncated": TwoEnds,
    },
    contract.start_refuses_what_is_no_instance: {
        "anything": game(start=accept_anything),
        "other tasks": game(start=accept_other_tasks),
        "large numbers": game(start=accept_large_numbers),
        "negative numbers": game(start=accept_negative_numbers),
        "spaces": game(start=accept_spaces),
        "capitals": game(start=accept_capitals),
        "leading zeros": game(start=accept_leading_zeros),
        "what follows": game(start=accept_what_follows),
        "index error": game(start=raise_an_index_error),
        "key error": game(start=raise_a_key_error),
        "no message": game(start=refuse_without_a_word),
        "decimal digits": game(CardEnv, start=accept_every_decimal_digit),
        "any card": game(CardEnv, start=lambda self, instance: Card(instance, 3)),
    },
    contract.the_expert_takes_what_values_promise: {
        "wrong expert": game(expert=wrong_expert),
        "wrong in one state": game(expert=wrong_expert_in_one_state),
        "not a number": game(values=infinite),
        "another action": game(values=without_done),
        "the worse card": game(
            CardEnv, expert=lambda self, state, turns: "draw" if state.rank > 3 else "keep"
        ),
    },
    contract.values_keep_their_promise: {
        "constant": game(values=constant),
        "zero": game(values=zero),
        "too high": game(values=too_high),
        "doubled": game(values=doubled),
        "turns ignored": game(values=without_turns),
        "one turn late": game(values=one_turn_late),
        "one action": game(values=cheap_done),
        "one state": game(values=wrong_in_one_state),
        "constant, in the environment": env(values=lambda self: dict.fromkeys(self.legal, 1.0)),
        "never paid": game(step=lambda self, state, action: Move(state, 0.0)),
        "card too high": game(CardEnv, values=card_values(keep=0.5)),
        "draw too high": game(CardEnv, values=card_values(draw=4.0)),
        "draw too low": game(CardEnv, values=card_values(draw=3.0)),
        "all cards alike": game(
            CardEnv, values=lambda self, state, turns: {"keep": 3.5, "draw": 3.5}
        ),
        "one card of six": game(
            CardEnv,
            values=lambda self, state, turns: {
                "keep": float(state.rank) if state.rank < 6 else 4.5,
                "draw": 3.5,
            },
        ),
        "card zero": game(CardEnv, values=lambda self, state, turns: {"keep": 0.0, "draw": 0.0}),
    },
    contract.info_is_plain_data_of_constant_form: {
        "key at the goal": picture(facts=facts_of(key_at_the_goal)),
        "key of a long row": picture(facts=facts_of(key_of_a_long_row)),
        "key missing": picture(facts=facts_of(key_missing)),
        "other order": picture(facts=facts_of(keys_in_another_order)),
        "other type": picture(facts=facts_of(another_type)),
        "true for one": picture(facts=facts_of(numbers_or_truths)),
        "numpy": picture(
            facts=facts_of(lambda facts, _: facts | {"dots": np.int64(facts["dots"])})
        ),
        "a float": picture(facts=facts_of(lambda facts, _: facts | {"dots": float(facts["dots"])})),
        "a list": picture(facts=facts_of(lambda facts, _: facts | {"dots": [facts["dots"]]})),
        "none": picture(facts=facts_of(lambda facts, _: facts | {"nothing": None})),
        "mixed": picture(facts=facts_of(lambda facts, _: facts | {"both": (1, "one")})),
        "early success": game(step=successful_all_along),
        "illegal is legal": game(legal=lambda self, state: ("add", "dance")),
    },
    contract.a_false_statement_is_found: {
        "always true": env(check_statements=always(True)),
        "always true, if stated": env(check_statements=always_true_if_stated),
        "one row": env(check_statements=statements_of(only_the_upper_row)),
        "any row": env(check_statements=statements_of(any_true_is_enough)),
        "nearly true": env(check_statements=statements_of(nearly_true)),
        "never false": env(check_statements=statements_of(false_is_not_found)),
        "the expert's plan": env(check_statements=statements_of(plan_of_the_expert)),
        "some texts": env(check_statements=statements_of(any_text_is_true)),
        "always false": env(check_statements=always(False)),
        "card always true": env(
            CardEnv,
            check_statements=lambda self, fields: Statements(True if fields else None),
        ),
    },
    contract.the_demonstration_is_read_and_true: {
        "never true": env(check_statements=always(None)),
        "wrong row": env(
            demonstrate=lambda self: Demonstration({"upper": 10}, self.expert()),
        ),
    },
    contract.a_frame_painted_over_equals_one_painted_anew: {
        "forgotten pixels": picture(paint=without_clearing),
        "one column": picture(paint=with_a_corner_left),
        "no repaint": picture(repaint=repaint_nothing),
        "only more": picture(repaint=repaint_one_dot_more),
    },
    contract.the_picture_shows_every_fact: {
        "one colour": picture(paint=one_colour),
        "no lower row": picture(draw_row=row_of(lambda count, top: count if top == 60 else 0)),
        "no ninth dot": picture(draw_row=row_of(lambda count, top: min(count, 8))),
        "no fifth dot": picture(draw_row=row_of(lambda count, top: count - (count == 5))),
        "even rows only": picture(draw_row=row_of(lambda count, top: count // 2 * 2)),
        "rows over each other": picture(paint=rows_over_each_other),
        "off the edge": picture(paint=off_the_edge),
        "a fact that isn't drawn": picture(
            facts=facts_of(lambda facts, state: facts | {"sum": state.dots}),
            paint=lambda self, frame, state, style: DotsPicture.paint(
                self, frame, replace(state, dots=1), style
            ),
        ),
        "no card of six": picture(CardEnv, paint=card_paint(lambda rank: range(min(rank, 5)))),
        "a dot less on cards": picture(CardEnv, paint=card_paint(lambda rank: range(rank - 1))),
        "a dot left out": picture(
            CardEnv, paint=card_paint(lambda rank: [i for i in range(rank) if i != 2])
        ),
    },
    contract.the_picture_shows_everything_counted: {
        "a dot less": picture(
            CardEnv, paint=card_paint(lambda rank: range(rank - 1) if rank > 1 else [])
        ),
        "two dots less": picture(CardEnv, paint=card_paint(lambda rank: range(max(rank - 2, 0)))),
        "a dot that moves, less": picture(
            CardEnv,
            paint=card_paint(lambda rank: [(i + rank) % 6 for i in range(rank) if i != 2]),
        ),
    },
    contract.renders_what_it_observes: {
        "another picture": env(render=lambda self: np.zeros((300, 300, 3), np.uint8)),
    },
}
CASES = [
    pytest.param(check, env_class, id=f"{check.__name__}-{name}".replace(" ", "_"))
    for check, planted in PLANTED.items()
    for name, env_class in planted.items()
]


@pytest.mark.parametrize(("check", "env_class"), CASES)
def test_a_planted_bug_is_found(check, env_class, check_class):
    with pytest.raises(AssertionError) as caught:
        check_class(check, env_class)
    message = str(caught.value)
    assert len(message) > 20 and set(message) <= {*string.printable, *"−±…’"}, message


PACKAGE = """
from support.dots_task import DotsEnv

class Frozen(DotsEnv):
    pass
"""


def frozen_package(folder, name, rows):
    """Write a package with a task and a frozen set; return its id."""
    (folder / name / "sets").mkdir(parents=True)
    (folder / name / "__init__.py").write_text(PACKAGE)
    (folder / name / "sets" / "test.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    env_id = f"tests/{name.title()}-v0"
    gymnasium.register(env_id, f"{name}:Frozen")
    rules = asdict(rules_of(env_id))
    if name == "frozen_other":
        rules["parameters"] = {"most": 6}
    (folder / name / "bounds.json").write_text(json.dumps({"rules": rules}))
    return env_id


def row(instance, presentation=0, **changes):
    env = DotsEnv()
    env.reset(options={"instance": instance, "presentation": presentation})
    start = {"kwargs": {}, "instance": instance, "presentation": presentation}
    return {**start, "frame": env.frame_hash(), **changes}


EVERY_DOTS = [f"dots/{a}-{b}" for a in range(1, 10) for b in range(1, 10)]
TEST_DOTS = [each for each in EVERY_DOTS if split_in(DotsGame(), each) == "test"]
TRAIN_DOTS = [each for each in EVERY_DOTS if split_in(DotsGame(), each) == "train"]
GOOD_ROWS = [row(instance) for instance in TEST_DOTS[:9]]


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("good", GOOD_ROWS, ""),
        ("trained", [*GOOD_ROWS, row(TRAIN_DOTS[0])], f"row 9 .*{TRAIN_DOTS[0]}.* split train"),
        ("first", [row(TRAIN_DOTS[1]), *GOOD_ROWS], "row 0 .* of the split train"),
        ("twice", [*GOOD_ROWS, GOOD_ROWS[3]], "row 9 .* repeats row 3"),
        ("looks", [row(TEST_DOTS[0], frame="0" * 64), *GOOD_ROWS[1:]], "drawn differently"),
        ("gone", [*GOOD_ROWS, {**GOOD_ROWS[0], "presentation": -1}], "no valid presentation"),
        ("empty", [], "is empty"),
        ("other", GOOD_ROWS, "are for other rules: .*freeze them again"),
    ],
)
def test_frozen_rows_that_are_not_held_out_are_found(tmp_path, monkeypatch, name, rows, message):
    monkeypatch.syspath_prepend(tmp_path)
    env_id = frozen_package(tmp_path, f"frozen_{name}", rows)
    try:
        if not message:
            contract.frozen_rows_are_held_out(env_id)
        else:
            with pytest.raises(AssertionError, match=message):
                contract.frozen_rows_are_held_out(env_id)
    finally:
        del gymnasium.registry[env_id]
