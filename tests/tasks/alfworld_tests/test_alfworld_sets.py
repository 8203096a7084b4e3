"""ALFWorld's frozen sets: rooms, one factor a set, floor plans of the splits, and plans.

`python -m vlbench.tasks.alfworld.confirm` checks every game against ALFWorld's planner.
"""

from collections import Counter
from dataclasses import replace

import gymnasium
import pytest
from support.alfworld_games import env_of, needs_engine
from support.env_ids import ALFWORLD

import vlbench
from vlbench import freeze
from vlbench.freeze.players import reference_results, visual_gain
from vlbench.instances import group_of, unit_of
from vlbench.outcomes import read_outcomes, row_outcomes
from vlbench.suites import frozen_rows, shipped_suites, suite_facts
from vlbench.task import split_in
from vlbench.tasks.alfworld import suites
from vlbench.tasks.alfworld.confirm import GAMES, entries, known_records
from vlbench.tasks.alfworld.game import AlfworldGame, frozen_games
from vlbench.tasks.alfworld.games import game_texts, package_data
from vlbench.tasks.alfworld.games.generator import KINDS, generate, scenes
from vlbench.tasks.alfworld.games.options import USUAL, GameOptions, options_of
from vlbench.tasks.alfworld.planner import distances
from vlbench.tasks.alfworld.reference import reference_results as simulated_results
from vlbench.tasks.alfworld.simulation import start_of

SUITES = ("test", *suites.CHANGES, *(f"ladder-{rung}" for rung in suites.LADDER))
FROM_TEST = [suite for suite in suites.CHANGES]
TRAINED_TYPES = KINDS
"""Without `group`, training deals all six types; the preset `rl4vlm-alfworld` does so."""


def rooms(suite):
    return {row.instance: row for row in frozen_rows(ALFWORLD, suite)}


# Which rooms


def test_the_headline_has_100_rooms_of_each_type_that_training_uses_and_no_picture_in_its_text():
    counts = Counter(group_of(instance) for instance in rooms("test"))
    assert {kind: counts[kind] >= 100 for kind in TRAINED_TYPES} == dict.fromkeys(KINDS, True)
    assert {row.kwargs["text_obs"] for row in frozen_rows(ALFWORLD, "test")} == {"none"}
    assert {row.kwargs["text_obs"] for row in frozen_rows(ALFWORLD, "full")} == {"full"}


def test_every_other_set_has_30_rooms_of_each_type_and_its_rooms_are_distinct():
    assert set(shipped_suites(ALFWORLD)) == set(SUITES)
    for suite in SUITES:
        rows = frozen_rows(ALFWORLD, suite)
        counts = Counter(group_of(row.instance) for row in rows)
        assert len(rooms(suite)) == len(rows)
        if suite in suites.CHANGES:
            assert len(counts) == 6 and min(counts.values()) >= 30 and len(rows) >= 200
        if suite.startswith("ladder"):
            assert len(rows) == 100 and len(set(counts.values())) == 1


@pytest.mark.parametrize("suite", FROM_TEST)
def test_a_set_differs_from_the_headline_in_what_its_name_says_alone(suite):
    usual = rooms("test")
    for row in frozen_rows(ALFWORLD, suite):
        same = usual[row.instance]
        assert row.presentation == same.presentation
        changed = {k: v for k, v in row.kwargs.items() if same.kwargs.get(k) != v}
        assert changed == suites.CHANGES[suite] and same.kwargs.keys() <= row.kwargs.keys()
    factors = 2 if suite == "ood-both" else 1
    assert len(suites.CHANGES[suite]) == factors


@needs_engine
def test_no_floor_plan_is_in_two_splits_and_each_split_can_play_every_type():
    game = AlfworldGame()
    plans = {
        kind: Counter(split_in(game, f"alfworld/{kind}/{scene}-0") for scene in scenes(kind))
        for kind in KINDS
    }
    for counts in plans.values():
        assert set(counts) == {"train", "val", "test"} and min(counts.values()) >= 4
    held_out = {unit_of(instance) for suite in SUITES for instance in rooms(suite)}
    for split in ("train", "val"):
        env = env_of(split=split)
        dealt = {unit_of(env._deal()) for _ in range(300)}
        assert not dealt & held_out and len(dealt) > 8


# What a factor changes


def starts(suite):
    """Yield each room of a set as it is in `test`, and as it is in the set."""
    for row in frozen_rows(ALFWORLD, suite):
        yield start_of(row.instance, USUAL), start_of(row.instance, options_of(row.kwargs))


def by_class(world):
    return Counter((thing.rpartition(" ")[0], place) for thing, place in world.placements)


@needs_engine
def test_more_objects_join_those_that_are_there_already():
    for usual, fuller in starts("ood-objects"):
        assert usual.room.goal == fuller.room.goal and len(usual.room.items) == 18
        assert 34 <= len(fuller.room.items) <= 36
        assert not by_class(usual.world) - by_class(fuller.world)
        assert distances(usual.room, usual.world) == distances(fuller.room, fuller.world)


@needs_engine
def test_hiding_moves_the_targets_behind_doors_and_nothing_else():
    for usual, hidden in starts("ood-hiding"):
        room = hidden.room
        targets = {item.name for item in room.targets}
        assert usual.room.goal == room.goal and usual.world != hidden.world
        for name, place in hidden.world.placements:
            assert room.spot[place].openable or name not in targets
        for name, place in usual.world.placements:
            assert name in targets or hidden.world.place_of[name] == place


@needs_engine
def test_other_words_tell_of_the_same_games_and_none_is_one_of_alfworlds_sentences():
    for usual, other in starts("ood-text"):
        assert usual == other
    verbs = {"put", "look", "examine", "clean", "heat", "cool", "find"}
    for kind in KINDS:
        for sentence in package_data.templates(kind).sentences:
            assert verbs & set(sentence.split())
        for sentence in game_texts.OTHER_SENTENCES[kind]:
            assert not verbs & set(sentence.replace(",", "").split())
    env, plain = env_of(wording="other", text_obs="none"), env_of(text_obs="none")
    for row in frozen_rows(ALFWORLD, "ood-text")[:2]:
        env.reset(options=row.options)
        plain.reset(options=row.options)
        assert "This room is furnished with" in env.text and "Looking quickly" not in env.text
        assert env.text.partition("Your task is to: ")[2] != plain.text.partition("task is to: ")[2]
        assert env.frame_hash() == plain.frame_hash()
        assert env.legal == plain.legal


@needs_engine
def test_under_the_changed_rule_the_usual_expert_never_gets_hold_of_anything():
    facts = suite_facts(ALFWORLD, "ood-rules").references
    assert facts["old_expert"].success == 0 and facts["expert"].success == 1
    for usual, changed in starts("ood-rules"):
        assert usual.world == changed.world and usual.room == replace(
            changed.room, examine_first=False
        )
        away = distances(usual.room, usual.world)[-1]
        two = usual.room.goal.kind == "pick_two_obj_and_place"
        assert away < distances(changed.room, changed.world)[-1] <= away + 1 + two


@needs_engine
def test_one_must_examine_before_taking_and_the_prompt_says_so():
    env = env_of(examine_first=True, text_obs="none")
    row = next(r for r in frozen_rows(ALFWORLD, "ood-rules") if "simple" in r.instance)
    env.reset(options=row.options)
    assert "must examine that receptacle" in env.text
    assert "must examine" not in env_of_text(row)
    while not (command := env.expert()).startswith("take"):
        env.step(vlbench.reply(command))
    examine = f"examine {command.partition(' from ')[2]}"
    assert env.state.commands.count(examine) == 1 and env.heuristic() == command
    env.reset(options=row.options)
    for other in [c for c in plan_of(env, command) if c != examine]:
        env.step(vlbench.reply(other))
    assert not [c for c in env.legal if c.startswith("take")]
    assert env.step(vlbench.reply(command))[4]["status"] == "unknown"


def plan_of(env, last):
    """Return the expert's commands before one of them."""
    commands = []
    while (command := env.expert()) != last:
        commands.append(command)
        env.step(vlbench.reply(command))
    env.reset(options={"instance": env.presentation.instance, "presentation": 0})
    return commands


def env_of_text(row):
    env = env_of()
    env.reset(options=row.options)
    return env.text


@needs_engine
@pytest.mark.parametrize("rung", suites.LADDER)
def test_a_rung_is_the_fewest_commands_to_the_goal(rung):
    for row in frozen_rows(ALFWORLD, f"ladder-{rung}"):
        start = start_of(row.instance, USUAL)
        assert distances(start.room, start.world)[-1] == rung


# Plans, outcomes and players


@needs_engine
def test_every_game_of_the_sets_has_its_hash_and_a_plan_as_short_as_can_be():
    records, games = known_records(GAMES), {entry.key: entry for entry in entries()}
    assert records.keys() == games.keys() and len(frozen_games()) == len(records)
    for key, entry in games.items():
        record, start = records[key], start_of(entry.instance, entry.options)
        world = start.world
        assert record["sha256"] == entry.data().sha256
        assert len(record["plan"]) == distances(start.room, world)[-1]
        for command in record["plan"]:
            world = start.room.successor(world, command)
        assert start.room.conditions_met(world) == start.room.conditions


def test_alfworlds_own_planner_found_no_shorter_plan():
    verdicts = Counter(record["planner"] for record in known_records(GAMES).values())
    assert set(verdicts) <= {"", "equal", "silent"}


@needs_engine
def test_the_plans_reach_their_goals_in_the_engine():
    known = frozen_games()
    for suite in SUITES:
        for row in frozen_rows(ALFWORLD, suite)[:1]:
            game = AlfworldGame(options_of(row.kwargs))
            state = game.start(row.instance)
            for command in known[row.instance, game.options].plan:
                state = game.step(state, command).state
            assert state.won


def test_the_expert_won_every_row_in_the_engine_when_its_outcome_was_recorded():
    for suite in SUITES:
        for row, (expert, drawn) in zip(
            frozen_rows(ALFWORLD, suite), read_outcomes(ALFWORLD, suite), strict=True
        ):
            assert expert.success and expert.end == "terminated", row
            assert len(drawn.actions) == 25 or drawn.end


@needs_engine
@pytest.mark.parametrize("suite", SUITES)
def test_recorded_frames_and_outcomes_are_those_of_the_engine(suite):
    rows, recorded = frozen_rows(ALFWORLD, suite), read_outcomes(ALFWORLD, suite)
    for number in (len(rows) // 2, len(rows) - 1):
        row = rows[number]
        env = gymnasium.make(ALFWORLD, **row.kwargs)
        env.reset(options=row.options)
        assert env.unwrapped.frame_hash() == row.frame_hash
        assert row_outcomes(env, row) == recorded[number]


@needs_engine
@pytest.mark.parametrize("suite", ["test", "ood-hiding", "ood-rules"])
def test_players_earn_without_the_engine_what_they_earn_in_it(suite, monkeypatch):
    rows = freeze.interleave_groups(suites.rows(suite))[:4]
    expected = simulated_results(suite, rows)
    gain = suites.visual_gain(rows[:3])
    monkeypatch.delattr(suites, "references")  # then the environment is played
    assert visual_gain(ALFWORLD, suites, rows[:3]) == gain
    actual = reference_results(ALFWORLD, suites, suite, rows)
    if suite == "ood-rules":  # the environment's usual expert can only choose what is admissible
        assert expected.pop("old_expert").success == 0
        actual.pop("old_expert")
    assert actual.keys() == expected.keys()
    for name, reference in actual.items():
        for field in ("success", "regret", "optimal"):
            assert getattr(reference, field) == pytest.approx(getattr(expected[name], field)), name


# Wrong options


@needs_engine
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"objects": 2}, "objects must be an integer of at least 3, got 2"),
        ({"objects": 61}, "objects must be at most 60, got 61"),
        ({"hidden": 1}, "hidden must be a bool, got 1"),
        ({"examine_first": "yes"}, "examine_first must be a bool, got 'yes'"),
        ({"wording": "othr"}, 'did you mean "other"'),
    ],
)
def test_a_wrong_option_is_one_line(kwargs, message):
    with pytest.raises(ValueError, match=message) as error:
        env_of(**kwargs)
    assert "\n" not in str(error.value)


@needs_engine
def test_a_package_with_other_texts_is_refused_in_one_line(monkeypatch):
    with pytest.raises(ValueError, match="wanted alfworld 0.4.2"):
        game_texts._replaced("some text", "another", "")
    assert generate(KINDS[0], 402, 1, GameOptions(examine_first=True)).domain != (
        generate(KINDS[0], 402, 1).domain
    )
