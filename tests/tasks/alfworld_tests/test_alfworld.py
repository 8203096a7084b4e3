"""ALFWorld's games, texts and runs on the real engine."""

import pickle
from collections import Counter, defaultdict
from random import Random

import gymnasium
import numpy as np
import pytest
from support.alfworld_games import HEAT, env_of, games, needs_engine, walk
from support.cli_process import call
from support.env_ids import ALFWORLD

import vlbench
from agents.evaluate import evaluate
from agents.players.scripted import Random as RandomAgent
from agents.report import write_report
from vlbench.errors import unknown_name
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Reply
from vlbench.suites import Row, frozen_rows
from vlbench.task import split_in
from vlbench.tasks.alfworld import game as game_module
from vlbench.tasks.alfworld.game import AlfworldGame, FrozenGame
from vlbench.tasks.alfworld.games import package_data
from vlbench.tasks.alfworld.games.generator import KINDS, LAMP_SPOTS, generate
from vlbench.tasks.alfworld.games.options import USUAL, GameOptions
from vlbench.tasks.alfworld.planner import distances
from vlbench.tasks.alfworld.simulation import admissible, start_of

# The games


@needs_engine
def test_every_generated_game_is_sound():
    game = AlfworldGame()
    for instance in games(24, seed=1):
        room, state = game.room(instance), game.start(instance)
        assert not state.won and room.conditions_met(state.world) < room.conditions
        assert len({spot.location for spot in room.spots}) == len(room.spots)
        assert max(Counter(spot.kind for spot in room.spots).values()) <= 6
        assert len(state.world.placements) == len(room.items) == 18
        for thing, place in state.world.placements:
            if thing.startswith("desklamp"):
                assert room.spot[place].kind in {kind.lower() for kind in LAMP_SPOTS}
        for spot in room.spots:  # nowhere can something be gone to that isn't
            assert f"go to {spot.name}" in state.admissible
        assert not any(command.startswith("slice") for command in state.admissible)


@needs_engine
@pytest.mark.parametrize("scene", [418, 425, 429])
def test_a_basin_whose_place_nobody_recorded_is_called_like_the_others(scene):
    room = AlfworldGame().room(f"alfworld/pick_and_place_simple/{scene}-0")
    names = [spot.name for spot in room.spots if "sink" in spot.name]
    assert names == ["sinkbasin 1"]


@needs_engine
def test_one_group_of_games_can_be_dealt_alone():
    kind = "pick_heat_then_place_in_recep"
    game, rng = AlfworldGame(group=kind), np.random.default_rng(0)
    assert {game.deal(rng).split("/")[1] for _ in range(20)} == {kind}
    other = "alfworld/look_at_obj_in_light/301-5"
    assert game.start(other).instance == other
    assert pickle.loads(pickle.dumps(game)).group == kind
    with pytest.raises(ValueError, match='did you mean "pick_and_place_simple"'):
        AlfworldGame(group="pick_and_place")


@needs_engine
def test_hidden_things_start_behind_doors_and_rooms_hold_as_much_as_asked():
    game = AlfworldGame(GameOptions(objects=36, hidden=True))
    behind = 0
    for instance in games(18, seed=2):
        room, state = game.room(instance), game.start(instance)
        copies = Counter(item.kind for item in room.items)
        full = all(
            copies[kind] == 3 for kind in copies if kind not in (room.goal.target, "desklamp")
        )
        assert len(room.items) == 36 or full  # a small room has few kinds of objects
        places = [room.spot[state.world.place_of[item.name]] for item in room.targets]
        could = any(
            spot.openable
            and spot.kind != room.goal.parent
            and (spot.kind, room.goal.target) in room.fits
            for spot in room.spots
        )
        assert all(place.openable for place in places) == could
        behind += could
    assert behind > 6


@needs_engine
def test_games_depend_on_nothing_but_their_name_and_difficulty():
    one = generate(KINDS[3], 12, 345)
    assert one.sha256 == generate(KINDS[3], 12, 345).sha256
    others = [
        generate(KINDS[3], 12, 346),
        generate(KINDS[3], 13, 345),
        generate(KINDS[3], 12, 345, GameOptions(objects=19)),
        generate(KINDS[4], 12, 345),
        generate(KINDS[3], 12, 345, GameOptions(examine_first=True)),
        generate(KINDS[3], 12, 345, GameOptions(wording="other")),
    ]
    assert len({one.sha256, *(other.sha256 for other in others)}) == 7


@needs_engine
def test_a_game_that_is_not_what_was_frozen_is_refused_in_one_line(monkeypatch):
    changed = {(HEAT, USUAL): FrozenGame("0" * 64, ())}
    monkeypatch.setattr(game_module, "frozen_games", lambda: changed)
    with pytest.raises(ValueError, match="has changed since it was frozen") as error:
        env_of().reset(options={"instance": HEAT})
    assert "\n" not in str(error.value) and "alfworld 0." in str(error.value)


@needs_engine
@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ("alfworld/pick_heat_then_place/12-3", 'did you mean "pick_heat_then_place_in_recep"'),
        ("alfworld/pick_heat_then_place_in_recep/212-3", "is played in the floor plans 1, 2"),
        ("alfworld/pick_heat_then_place_in_recep/12-03", "with a number from 0 to 999999"),
        ("alfworld/pick_heat_then_place_in_recep/12", "with a number from 0 to 999999"),
        ("points24/3-3-8-8", "wanted one like"),
    ],
)
def test_a_wrong_instance_is_one_line(instance, message):
    with pytest.raises(ValueError) as error:
        env_of().reset(options={"instance": instance})
    assert message in str(error.value) and "\n" not in str(error.value)


@needs_engine
def test_splits_hold_out_whole_floor_plans():
    for split in ("train", "test"):
        env = env_of(split=split)
        for seed in range(6):
            instance = env.reset(seed=seed)[1]["instance"]
            assert split_in(env.unwrapped.game, instance) == split


# What the expert thinks ahead with


@needs_engine
@pytest.mark.parametrize("options", [USUAL, GameOptions(examine_first=True)])
def test_rooms_change_as_the_engine_says(options):
    game = AlfworldGame(options)
    verbs = Counter()
    for instance in games(18, seed=3):
        room, start = game.room(instance), start_of(instance, options)
        assert start.room == room and start.world == game.start(instance).world
        for state, command, move in walk(game, instance, 0, 40):
            assert room.successor(state.world, command) == move.state.world, (instance, command)
            assert admissible(room, state.world) == list(state.admissible)
            assert (move.state.conditions_met == room.conditions) == move.state.won
            verbs[command.split()[0]] += 1
    assert {"go", "open", "take", "move", "heat", "cool", "clean", "use"} <= set(verbs)


@needs_engine
@pytest.mark.parametrize("options", [USUAL, GameOptions(examine_first=True)])
def test_the_expert_wins_from_wherever_a_game_was_left(options):
    game = AlfworldGame(options)
    for instance in games(12, seed=4):
        room, rng, state = game.room(instance), Random(instance), game.start(instance)
        for _ in range(25):
            state = game.step(state, rng.choice(state.admissible)).state
            if state.won:
                break
        if state.won:
            continue
        turns = distances(room, state.world)[-1]
        for remaining in range(turns, 0, -1):
            values = game.values(state, remaining)
            assert (
                max(values.values())
                == 50 + (room.conditions - state.conditions_met) / room.conditions
            )
            state = game.step(state, game.expert(state, remaining)).state
            assert state.won == (remaining == 1)


@needs_engine
def test_values_count_what_the_turns_left_allow():
    game = AlfworldGame()
    state, room = game.start(HEAT), game.room(HEAT)
    away = distances(room, state.world)
    assert away == (0, *sorted(away[1:])) and away[3] >= 6
    best = {turns: max(game.values(state, turns).values()) for turns in range(1, away[3] + 1)}
    for turns, value in best.items():
        most = max(met for met, distance in enumerate(away) if distance <= turns)
        assert value == pytest.approx(most / 3 + 50 * (most == 3))


@needs_engine
def test_rewards_are_fifty_and_the_change_of_the_rate():
    env = env_of()
    env.reset(options={"instance": HEAT})
    rewards = {}
    while not env._over:
        command = env.expert()
        rewards[command.split()[0]] = env.step(vlbench.reply(command))[1]
    assert rewards["heat"] == pytest.approx(1 / 3) and rewards["take"] == rewards["go"] == 0
    assert rewards["move"] == pytest.approx(50 + 2 / 3)


@needs_engine
def test_the_heuristic_wins_by_looking_around():
    env = env_of()
    won = 0
    for instance in games(12, seed=6):
        env.reset(options={"instance": instance})
        while not env._over:
            _, reward, *_ = env.step(vlbench.reply(env.heuristic()))
        won += reward > 40
    assert won >= 11


# Commands and texts


@needs_engine
def test_cabinet_10_is_not_cabinet_1_and_both_spellings_of_move_are_understood():
    env = env_of()
    env.reset(options={"instance": HEAT})
    assert "go to cabinet 1" in env.vocabulary and "go to cabinet 10" not in env.vocabulary
    assert env.step(vlbench.reply("go to cabinet 10"))[4]["status"] == "unknown"
    assert env.step(vlbench.reply("go to cabinet"))[4]["status"] == "unknown"
    assert env.step(vlbench.reply("Go to Cabinet 1"))[4]["action"] == "go to cabinet 1"
    env.reset(options={"instance": HEAT})
    while not (move := env.expert()).startswith("move"):
        env.step(vlbench.reply(move))
    put = "put" + move[4:].replace(" to ", " in/on ")
    assert move in env.vocabulary and put not in env.vocabulary
    _, reward, terminated, _, info = env.step(vlbench.reply(put))
    assert terminated and reward > 50 and info["action"] == move and info["status"] == "ok"


@pytest.mark.parametrize(
    ("form", "strict"), [('{{"action": "{}"}}', True), ('So: {{"action": "{}"}}', False)]
)
@needs_engine
def test_the_strict_level_reads_both_spellings_of_move_too(form, strict):
    recording = EpisodeRecorder(gymnasium.make(ALFWORLD), Row(ALFWORLD, {}, HEAT, 0))
    while not (move := recording.env.unwrapped.expert()).startswith("move"):
        recording.play(Reply(vlbench.reply(move)))
    turn = recording.play(Reply(form.format("put" + move[4:].replace(" to ", " in/on "))))
    assert (turn.action, turn.strict) == (move, strict)


def texts_and_sights(**kwargs):
    """Play games of one room and goal in the same way; return texts and sights by command."""
    alike = defaultdict(list)
    for number in range(600):
        game_data = generate(KINDS[0], 402, number)
        alike[game_data.grammar].append(f"alfworld/{KINDS[0]}/402-{number}")
    env = env_of(**kwargs)
    texts, sights = defaultdict(set), defaultdict(set)
    for instance in max(alike.values(), key=len)[:8]:
        env.reset(options={"instance": instance})
        for place in env._facts["receptacles"]:
            for command in (f"go to {place}", f"open {place}"):
                if command in env.legal:
                    env.step(vlbench.reply(command))
                    texts[command].add(env.text)
                    sights[command].add((env._facts["door"], env._facts["visible"]))
    return texts, sights


@needs_engine
def test_under_none_the_text_does_not_tell_what_the_picture_shows():
    texts, sights = texts_and_sights(text_obs="none")
    assert sum(len(views) > 1 for views in sights.values()) > 8
    assert all(len(variants) == 1 for variants in texts.values())
    texts, sights = texts_and_sights(text_obs="feedback")
    assert all(len(texts[command]) >= len(sights[command]) for command in sights)


@needs_engine
def test_the_text_tells_the_intro_the_last_commands_and_what_is_admissible():
    env = env_of(memory=2)
    env.reset(options={"instance": HEAT})
    assert "Commands given so far: 0." in env.text and '"go to cabinet 1", ' in env.text
    for command in ("look", "inventory", "go to fridge 1"):
        env.step(vlbench.reply(command))
    assert "Looking quickly around you, you see a cabinet" in env.text
    assert "Your last 2 commands, and what came of them:\n> inventory\nYou are not" in env.text
    assert "> go to fridge 1\nYou arrive at fridge 1. The fridge 1 is closed." in env.text
    assert "> look" not in env.text and '"open fridge 1"' in env.text
    assert env.text.count("Your task is to: ") == 1 and "$" not in env.text
    facts = env_of(prompt="cot_facts", text_obs="none")
    facts.reset(options={"instance": HEAT})
    facts.step(vlbench.reply("go to fridge 1"))
    facts_text = "you stand at the fridge 1; the fridge 1 is closed; in your hand is nothing."
    assert f"The image shows this: {facts_text}" in facts.text


@needs_engine
def test_a_closed_receptacle_shows_nothing():
    game = AlfworldGame()
    for instance in games(6, seed=7):
        for _, _, move in walk(game, instance, 2, 25):
            for place in move.state.scene.places:
                if place.contents is not None:
                    assert place.name == move.state.scene.at
                    assert place.opened or not place.openable


@needs_engine
def test_statements_are_held_against_the_scene():
    env = env_of()
    env.reset(options={"instance": HEAT})
    right = {"location": "middle of the room", "holding": "Nothing"}
    assert env.check_statements(right).perception is True
    assert env.check_statements({**right, "holding": "egg 1"}).perception is False
    for fields in ({}, {"location": 3}):
        assert env.check_statements(fields).perception is None


@needs_engine
def test_samples_and_the_random_player_command_what_is_admissible():
    env = env_of()
    env.reset(seed=3)
    assert env.action_space == env_of().action_space
    for _ in range(10):
        assert RandomAgent().choose(env) in env.legal
        status = env.step(env.action_space.sample())[4]["status"]
        assert status == "ok"


@needs_engine
def test_a_reply_that_cannot_be_read_leaves_the_engine_alone():
    env = env_of()
    env.reset(seed=3)
    before = env.state_hash()
    for reply in ("", "go to fridge 1", vlbench.reply("fly away")):
        _, reward, *_ = env.step(reply)
        assert reward == -1 and env.state_hash() == before


# Runs


@needs_engine
def test_a_run_is_scored_by_type_and_labelled(tmp_path, capsys):
    run = evaluate("expert", ALFWORLD, episodes=12, out=tmp_path)
    (card,) = run.scorecards
    assert card.notes == ("generated games, schematic pictures",)
    assert set(card.groups) == set(KINDS) and card.success == 1
    assert all(group.episodes == 2 and group.success == 1 for group in card.groups.values())
    code, out, _ = call(
        tmp_path,
        "agents.evaluate",
        "--agent",
        "expert",
        "--env",
        "ALFWorld",
        "--episodes",
        "6",
        "--out",
        "again",
    )
    assert code == 0 and "generated games, schematic pictures: vlbench/ALFWorld-v0" in out
    assert "by type: look_at_obj_in_light 100.0 % of 1" in out
    code, out, _ = call(tmp_path, "agents.compare", str(tmp_path), "again")
    assert code == 0 and "generated games, schematic pictures: vlbench/ALFWorld-v0" in out
    write_report(tmp_path / "again", tmp_path / "report.html")
    assert "generated games, schematic pictures" in (tmp_path / "report.html").read_text()


def test_without_the_extra_it_is_skipped_in_one_line_and_named_outright_an_error(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(package_data, "PARTS", {"no_such_module": "alfworld"})
    message = r'ALFWorld needs its engine \(alfworld missing\): pip install "vlbench\[alfworld\]"'
    with pytest.raises(ImportError, match=message):
        gymnasium.make(ALFWORLD)
    run = evaluate("expert", "*L*", episodes=1, out=tmp_path)
    assert [skip.env for skip in run.skipped] == [ALFWORLD]
    assert run.skipped[0].reason.startswith("ALFWorld needs its engine")
    with pytest.raises(ValueError, match=f"{ALFWORLD} can't be played: ALFWorld needs"):
        evaluate("expert", ALFWORLD, episodes=1, out=tmp_path / "named")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"objects": 2}, "objects must be an integer of at least 3"),
        ({"objects": 61}, "objects must be at most 60"),
        ({"hidden": 1}, "hidden must be a bool"),
        ({"text_obs": "ful"}, 'did you mean "full"'),
        ({"memory": -1}, "memory must be an integer of at least 0"),
        ({"lables": "names"}, 'did you mean "labels"'),
    ],
)
@needs_engine
def test_wrong_arguments_are_one_line(kwargs, message):
    with pytest.raises(ValueError) as error:
        env_of(**kwargs)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_hint_of_an_unknown_name_is_the_nearest():
    assert "pick_two" in unknown_name("type of task", "pick_two_obj", KINDS)


@needs_engine
def test_an_episode_is_recorded_and_replayed():
    row = frozen_rows(ALFWORLD, "test")[0]
    recording = EpisodeRecorder(gymnasium.make(ALFWORLD, **row.kwargs), row)
    while not recording.end:
        env = recording.env.unwrapped
        turn = recording.play(Reply(vlbench.reply(env.expert(), location=env._state.scene.at)))
        assert turn.regret == pytest.approx(0) and turn.strict
    assert recording.success
