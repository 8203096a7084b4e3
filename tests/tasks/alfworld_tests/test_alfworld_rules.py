"""Games played by this package's own rules are the engine's: states, commands and texts."""

import pickle
from dataclasses import fields
from random import Random

import pytest
from support.alfworld_games import HEAT, env_of, needs_engine

from vlbench.tasks.alfworld.engine.rules import RuleEngine
from vlbench.tasks.alfworld.game import AlfworldGame
from vlbench.tasks.alfworld.games.generator import KINDS, scenes
from vlbench.tasks.alfworld.games.options import GameOptions

pytestmark = needs_engine

SAME_PLACE = ("go", "examine", "help")
"""First words of commands that move nothing; fewer of them are played."""


def some_command(legal, rng):
    moving = [command for command in legal if not command.startswith(SAME_PLACE)]
    return rng.choice(moving if moving and rng.random() < 0.6 else legal)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("examine_first", [False, True])
@pytest.mark.parametrize("wording", ["usual", "other"])
def test_states_and_texts_are_those_of_the_engine(kind, examine_first, wording):
    """One game of 30 random commands; help, look and inventory are among them."""
    rng = Random(f"{kind} {examine_first} {wording}")
    options = GameOptions(examine_first=examine_first, wording=wording, hidden=rng.random() < 0.5)
    engine, rules = AlfworldGame(options), AlfworldGame(options, RuleEngine())
    instance = f"alfworld/{kind}/{rng.choice(scenes(kind))}-{rng.randrange(10**6)}"
    expected, state = engine.start(instance), rules.start(instance)
    for _ in range(30):
        for field in fields(expected):
            assert getattr(state, field.name) == getattr(expected, field.name), state.commands[-3:]
        if expected.won:
            break
        command = some_command(engine.legal(expected), rng)
        expected, state = engine.step(expected, command).state, rules.step(state, command).state


def test_an_episode_by_the_rules_shows_the_same_pictures_and_pays_the_same():
    engine, rules = env_of(), env_of(engine="rules")
    for env in (engine, rules):
        env.reset(seed=0, options={"instance": HEAT, "presentation": 3})
    while True:
        command = engine.unwrapped.expert()
        assert rules.unwrapped.expert() == command
        expected, result = (env.step(f'{{"action": "{command}"}}') for env in (engine, rules))
        assert (result[0]["image"] == expected[0]["image"]).all()
        assert result[0]["text"] == expected[0]["text"]
        assert result[1:4] == expected[1:4]
        if expected[2]:
            return


def test_an_official_game_needs_the_engine():
    with pytest.raises(ValueError, match='official game; play it with engine="textworld"'):
        AlfworldGame(engine=RuleEngine()).data("alfworld/pick_and_place_simple/1-T2019")


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match='unknown engine "unity"'):
        env_of(engine="unity")


def test_a_copy_of_the_rules_leaves_the_games_out():
    engine = RuleEngine()
    game = AlfworldGame(engine=engine)
    state = game.start(HEAT)
    copy = pickle.loads(pickle.dumps(game))
    assert len(pickle.dumps(engine)) < 200
    assert copy.start(HEAT) == state
