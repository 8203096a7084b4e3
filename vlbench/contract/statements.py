"""Checks: the expert's demonstrations, and the check of a reply's statements."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from vlbench.contract.plays import SEEDS, make_env
from vlbench.parsing import Json
from vlbench.solved_env import SolvedEnv
from vlbench.task import Fact, perception_names

NONSENSE: tuple[Json, ...] = (987654321, "no such thing", -0.5)
"""Statements that are true of no picture."""
MOST_OTHERS = 12
"""Number of other values of a field that are stated in a state."""


def the_demonstration_is_read_and_true(env_id: str) -> None:
    """If a task has an expert: its reply parses to a best action and states nothing false."""
    env = make_env(env_id)
    if not isinstance(env, SolvedEnv):
        return
    names, perception = {field.name for field in env.fields}, perception_names(env.fields)
    plans = {field.name for field in env.fields if field.kind == "plan"}
    for _, fields, action in _demonstrations(env):
        values = env.values()
        reply = env.write_reply(action, fields)
        parsed = env.read(reply)
        assert parsed.action == action, f"{reply} is read as {parsed.action}"
        assert not parsed.recovered, f"{reply} isn't strict JSON"
        assert values[action] == max(values.values()), f"{action} of {values}"
        order = list(parsed.fields)
        assert names.issuperset(order), f"{order} aren't all fields of the task"
        late = [name in perception for name in order[len(perception) :]]
        assert not any(late), f"{order}: the perception must come first"
        statements = env.check_statements(parsed.fields)
        if perception.intersection(order):
            assert statements.perception, f"{reply} contradicts the picture"
        if plans.intersection(order):
            assert statements.plan == action, f"{reply} plans {statements.plan}"


def a_false_statement_is_found(env_id: str) -> None:
    """`check_statements` finds false what doesn't hold, and true nothing that isn't stated.

    One field at a time of the expert's demonstrations is replaced: by nonsense, by a near value,
    and by what the field says in other states.
    """
    env = make_env(env_id)
    env.reset(seed=0)
    silent = env.check_statements({})
    assert silent.perception is None and silent.plan is None, (
        f"a reply without fields is checked as {silent}; return None for what isn't stated"
    )
    for name in perception_names(env.fields):
        for value in NONSENSE:
            assert not env.check_statements({name: value}).perception, (
                f'the statement "{name}": {value!r} is found true; compare it with the picture'
            )
    for name in [field.name for field in env.fields if field.kind == "plan"]:
        plan = env.check_statements({name: "no such plan"}).plan
        assert plan is None, f'the plan "no such plan" is read as the action {plan!r}'
    if isinstance(env, SolvedEnv):
        _check_false_fields(env)


def _check_false_fields(env: SolvedEnv[object, object]) -> None:
    checked = {f.name for f in env.fields if f.kind == "perception" and f.in_prompt}
    elsewhere: defaultdict[str, dict[str, Json]] = defaultdict(dict)
    for _, fields, _ in _demonstrations(env):
        for name in checked & fields.keys():
            elsewhere[name][str(fields[name])] = _as_json(fields[name])
    for place, fields, _ in _demonstrations(env):
        for name in checked & fields.keys():
            truth = _as_json(fields[name])
            for near in _near(truth):
                assert env.check_statements({**_plain(fields), name: near}).perception is False, (
                    f'{place}: the statement "{name}": {near!r} isn\'t found false, although it '
                    f"is {truth!r}"
                )
            others = [v for text, v in elsewhere[name].items() if text != str(fields[name])]
            verdicts = [
                env.check_statements({**_plain(fields), name: other}).perception
                for other in others[:MOST_OTHERS]
            ]
            assert not verdicts or False in verdicts, (
                f'{place}: every "{name}" is found true, {truth!r} and {others[0]!r}; compare the '
                "field with the picture"
            )


def _demonstrations(
    env: SolvedEnv[object, object],
) -> Iterator[tuple[str, Mapping[str, Fact], str]]:
    """Yield place, fields and action of the expert's demonstrations; the env is in their state."""
    for seed in SEEDS:
        instance = env.reset(seed=seed)[1]["instance"]
        for turn in range(env.game.max_turns):
            demonstration = env.demonstrate()
            if demonstration is None:
                break
            yield f"{instance}, turn {turn}", demonstration.fields, demonstration.action
            outcome = env.advance(env.write_reply(demonstration.action, demonstration.fields))
            if outcome.terminated or outcome.truncated:
                break


def _near(truth: Json) -> list[Json]:
    """Return false values that resemble a true one."""
    if isinstance(truth, bool):
        return [not truth]
    if isinstance(truth, int):
        return [truth + 1, truth - 1, str(truth + 1)]
    if isinstance(truth, list) and truth:
        return [truth[:-1], [*truth, truth[0]]]
    return []


def _as_json(fact: Fact) -> Json:
    return list(fact) if isinstance(fact, tuple) else fact


def _plain(fields: Mapping[str, Fact]) -> dict[str, Json]:
    return {name: _as_json(value) for name, value in fields.items()}
