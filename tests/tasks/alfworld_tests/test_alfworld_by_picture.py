"""The player that sees ALFWorld's picture alone: it wins, and under controls it doesn't."""

from support.alfworld_games import env_of, games, needs_engine

import vlbench

pytestmark = needs_engine


def success(env, instance):
    _, info = env.reset(options={"instance": instance, "presentation": 0})
    while not env.is_over:
        *_, info = env.step(vlbench.reply(env.expert_by_picture(env.seen_facts)))
    return info["success"]


def test_the_picture_the_goal_and_the_last_commands_are_enough():
    env = env_of(text_obs="none")
    assert all(success(env, instance) for instance in games(12))
    hidden = env_of(text_obs="none", hidden=True)
    assert sum(success(hidden, instance) for instance in games(6)) >= 5


def test_another_rooms_picture_is_not():
    env = env_of(text_obs="none", picture="shuffled")
    assert sum(success(env, instance) for instance in games(6)) <= 2


def test_a_blank_picture_has_no_facts():
    env = env_of(picture="blank")
    env.reset(seed=0)
    assert env.seen_facts == {} and env.observe()["image"].std() == 0
