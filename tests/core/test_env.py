"""`make`, `reset` and `step` of the environments, and their errors."""

import json
from importlib.metadata import metadata
from typing import NamedTuple, Unpack

import gymnasium
import numpy as np
import pytest
from support.env_ids import every_light_env

import vlbench
from vlbench.env import VLEnv
from vlbench.prompts import Prompt
from vlbench.recorder import OracleEnv
from vlbench.registry import env_class, needed_extra
from vlbench.spaces import ReplySpace
from vlbench.sprites import load_font, paste, text_blit
from vlbench.task import CommonOptions, Move, split_options
from vlbench.tasks.blackjack import Blackjack
from vlbench.tasks.number_line import NumberLine
from vlbench.wrappers import DiscreteActions


def make(name, **kwargs):
    return gymnasium.make(f"vlbench/{name}-v0", **kwargs)


def test_the_readmes_six_lines_play_an_episode():
    env = gymnasium.make("vlbench:vlbench/Points24-v0")
    observation, info = env.reset(seed=0)
    over = False
    while not over:
        action = vlbench.reply(env.unwrapped.expert(), thoughts="eight tokens to go")
        observation, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    assert info["success"] and reward == 10


def test_the_prompt_states_the_rules_and_hides_the_facts_of_the_picture():
    env = make("Points24", target=36, faces=11)
    observation, _ = env.reset(options={"instance": "points24/1-2-3-12"})
    assert "equals 36" in observation["text"] and '"13"' in observation["text"]
    assert "K counts 13" in observation["text"] and "12, " not in observation["text"].split('"')[0]
    assert 'The current formula is "".' in observation["text"]
    observation, *_ = env.step(vlbench.reply("12"))
    assert 'The current formula is "12".' in observation["text"]
    number_line = make("NumberLine").reset(options={"instance": "number_line/2-5"})[0]["text"]
    assert "2" not in number_line and "0 to 5" in number_line


@every_light_env
def test_cot_facts_states_the_facts_and_action_only_asks_for_the_action(env_id):
    options = {"presentation": 3}
    env = gymnasium.make(env_id, prompt="cot_facts")
    observation, info = env.reset(seed=1, options=options)
    for fact in info["facts"].values():
        text = ", ".join(map(str, fact)) if isinstance(fact, tuple) else str(fact)
        assert text in observation["text"] or text in ("True", "False") or isinstance(fact, tuple)
    only = gymnasium.make(env_id, prompt="action_only").reset(seed=1, options=options)[0]["text"]
    assert '"action"' in only and "thoughts" not in only
    assert "$" not in only + observation["text"]


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("NumberLine", {"max_positon": 9}, 'did you mean "max_position"'),
        ("NumberLine", {"max_position": 10**10}, "at most 999999999, got 10000000000"),
        ("EZPoints", {"target": 2**61 + 11}, "can't be reached with two cards"),
        ("NumberLine", {"theme": ["classic"]}, 'did you mean "classic"'),
        ("NumberLine", {"theme": "clasic"}, 'did you mean "classic"'),
        ("Points24", {"prompt": "cott"}, 'did you mean "cot"'),
        ("Points24", {"split": "tests"}, 'did you mean "test"'),
        ("Points24", {"jitter": 99}, "jitter"),
        ("Blackjack", {"dealer_hits_soft17": True}, 'did you mean "dealer_hits_soft_17"'),
    ],
)
def test_a_wrong_argument_is_one_line_with_the_nearest_name(name, kwargs, message):
    with pytest.raises(ValueError, match=message) as error:
        gymnasium.spec(f"vlbench/{name}-v0").make(**kwargs)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instanse": "points24/3-3-8-8"}, 'did you mean "instance"'),
        ({"instance": "points24/1-1-1-1"}, "has no solution"),
        ({"instance": "blackjack/3"}, "points24/3-3-8-8"),
        ({"presentation": -1}, "presentation must be an integer"),
        ({"presentation": 2**31}, "presentation must be an integer"),
        ({"presentation": "7"}, "presentation must be an integer"),
    ],
)
def test_a_wrong_reset_option_is_one_line(options, message):
    with pytest.raises(ValueError, match=message):
        make("Points24").reset(options=options)


def test_an_unknown_render_mode_suggests_the_nearest():
    with pytest.raises(ValueError, match='did you mean "rgb_array"'):
        Blackjack(render_mode="rgb")


def test_an_unknown_id_suggests_the_nearest():
    with pytest.raises(gymnasium.error.NameNotFound, match="NumberLine"):
        gymnasium.make("vlbench/NumberLines-v0")


@pytest.mark.parametrize("name", ["NumberLine", "EZPoints", "Points24", "Blackjack"])
def test_nothing_is_demonstrated_before_the_first_reset(name):
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        make(name).unwrapped.demonstrate()


def test_a_demonstration_is_written_as_its_prompt_asks():
    options = {"instance": "blackjack/15", "presentation": 1}
    for prompt, names in (
        ("cot", ["dealer card", "player cards", "thoughts", "player total", "action"]),
        ("action_only", ["action"]),
    ):
        env = make("Blackjack", prompt=prompt).unwrapped
        env.reset(options=options)
        demonstration = env.demonstrate()
        reply = env.write_reply(demonstration.action, demonstration.fields)
        assert list(json.loads(reply)) == names
        assert env.step(reply)[4]["action"] == demonstration.action


def test_a_presentation_changes_the_picture_and_not_the_game():
    env = make("Points24")
    frames, facts = set(), []
    for presentation in range(20):
        options = {"instance": "points24/3-3-8-8", "presentation": presentation}
        observation, info = env.reset(options=options)
        frames.add(observation["image"].tobytes())
        facts.append(tuple(sorted(info["facts"]["numbers"])))
    assert len(frames) > 15 and set(facts) == {(3, 3, 8, 8)}


def test_an_instance_named_without_a_seed_has_a_presentation_of_its_own():
    first = make("Blackjack").reset(options={"instance": "blackjack/7"})[1]
    again = make("Blackjack").reset(options={"instance": "blackjack/7"})[1]
    assert first["presentation"] == again["presentation"]
    seeded = make("Blackjack").reset(seed=1, options={"instance": "blackjack/7"})[1]
    assert seeded["presentation"] != first["presentation"]


def test_an_illegal_number_moves_nothing_and_says_what_is_allowed():
    env = make("Points24")
    env.reset(options={"instance": "points24/3-3-8-8", "presentation": 0})
    _, reward, _, _, info = env.step(vlbench.reply("9"))
    assert reward == -1 and info["illegal"] and info["status"] == "ok" and info["action"] == "9"
    assert '"9" is not allowed here; allowed: "3", "8"' in info["hint"]
    assert info["facts"]["formula"] == ""


def test_the_last_allowed_turn_is_played_normally():
    env = make("NumberLine")
    env.reset(options={"instance": "number_line/4-5", "presentation": 0})
    for _ in range(9):
        env.step("no action here")
    _, reward, terminated, truncated, info = env.step(vlbench.reply("+"))
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)


def test_info_never_holds_the_hole_card():
    env = make("Blackjack")
    for seed in range(100):
        _, info = env.reset(seed=seed)
        dealer = env.unwrapped._state.dealer
        assert len(dealer) == 2
        assert set(info["facts"]) == {"dealer_card", "player_cards", "player_total", "usable_ace"}
        from vlbench.cards import rank_text

        assert info["facts"]["dealer_card"] == rank_text(dealer[0])


def test_a_ten_megabyte_reply_is_data():
    env = make("NumberLine")
    env.reset(seed=0)
    _, reward, _, _, info = env.step("{" * 10_000_000)
    assert reward == -1 and info["status"] == "truncated"


def test_a_sampled_reply_plays_a_random_action_of_the_vocabulary():
    space = ReplySpace(("+", "-"), seed=0)
    replies = {space.sample() for _ in range(50)}
    assert replies == {vlbench.reply("+"), vlbench.reply("-")}
    assert "anything" in space and 3 not in space
    assert space == ReplySpace(("+", "-")) and space != ReplySpace(("-", "+"))
    assert space.from_jsonable(space.to_jsonable(["a", "b"])) == ["a", "b"]
    with pytest.raises(ValueError, match="mask"):
        space.sample(mask=np.ones(2, np.int8))


def test_env_instances_share_the_bounds_of_the_picture_space_but_not_its_generator():
    a, b = make("NumberLine").observation_space, make("NumberLine").observation_space
    assert a["image"].low is b["image"].low
    a.seed(0)
    assert a["image"].np_random is not b["image"].np_random


def test_discrete_actions_need_a_fixed_vocabulary():
    class Moody(NumberLine):
        actions_change = True

        @property
        def vocabulary(self):
            return ("+",) if self.turns_left % 2 else ("-",)

    with pytest.raises(ValueError, match="actions that stay the same"):
        DiscreteActions(Moody())


def test_discrete_actions_are_the_vocabulary_in_order():
    env = DiscreteActions(make("Points24"))
    assert env.action_space.n == 17 and env.observation_space.shape == (300, 300, 3)
    image, _ = env.reset(options={"instance": "points24/1-1-4-6", "presentation": 0})
    assert image.shape == (300, 300, 3)
    for action in (3, 12, 5, 12, 0, 12, 0):  # 4 * 6 * 1 * 1
        env.step(action)
    _, reward, terminated, _, info = env.step(16)
    assert reward == 10 and terminated and info["success"]


@pytest.mark.parametrize("env_id", [*vlbench.ENV_IDS, *vlbench.UNRANKED_IDS, *vlbench.RL4VLM_IDS])
def test_the_class_docstring_is_a_specification(env_id):
    text = env_class(env_id).__doc__
    headings = "Picture Text Actions Rewards Success Instances Args".split() + [
        "Episode end",
        "Differences from RL4VLM",
        "Version history",
    ]
    assert all(f"{heading}:\n" in text for heading in headings)


def test_a_task_says_which_extra_it_needs():
    extras = metadata("vlbench").get_all("Provides-Extra")
    needs = {env_id: needed_extra(env_id) for env_id in (*vlbench.ENV_IDS, *vlbench.UNRANKED_IDS)}
    assert all(extra in ("", *extras) for extra in needs.values())
    assert needs["vlbench/ALFWorld-v0"] == "alfworld"
    assert needs["vlbench/ALFWorldThor-v0"] == "thor"
    assert needs["vlbench/Points24-v0"] == ""


class Coin(NamedTuple):
    """A state of the smallest possible task."""

    side: str


class CoinGame:
    """Name the upper side of a coin; the game has no expert and no values."""

    name = "coin"
    vocabulary = ("heads", "tails")
    max_turns = 1
    test_share = 0.0
    val_share = 0.0

    def deal(self, rng):
        return f"coin/{self.vocabulary[int(rng.integers(2))]}"

    def start(self, instance):
        return Coin(instance.partition("/")[2])

    def legal(self, state):
        return self.vocabulary

    def step(self, state, action):
        return Move(state, float(action == state.side), True, action == state.side)


class CoinPicture:
    """Paints whole frames, in a theme."""

    def __init__(self, themes):
        self.themes = themes

    def style(self, start, presentation):
        return self.themes.of(presentation)

    def paint(self, frame, state, style):
        frame[:] = style.table
        label = text_blit(load_font(style, "display"), f"{state.side.upper()}!", 20, 100)
        paste(frame, [label])

    def facts(self, state, style):
        return {"side": state.side}


class CoinEnv(VLEnv):
    """Takes the common keyword arguments."""

    def __init__(self, **options: Unpack[CommonOptions]):
        common = split_options(options)
        prompt = Prompt.from_text("Which side is up?", {})
        super().__init__(CoinGame(), CoinPicture(common.themes), prompt, **common.rest)


def test_a_task_needs_neither_an_expert_nor_a_way_to_repaint():
    env = CoinEnv(theme="train", jitter=3, prompt="cot", render_mode="rgb_array")
    frames = set()
    for presentation in range(4):
        for side in ("heads", "tails"):
            options = {"instance": f"coin/{side}", "presentation": presentation}
            image = env.reset(options=options)[0]["image"]
            assert np.array_equal(image, env.render())
            frames.add(image.tobytes())
            assert env.step(vlbench.reply(side))[1] == 1
    assert len(frames) == 8
    assert not isinstance(env, OracleEnv) and not hasattr(env, "expert")
    with pytest.raises(ValueError, match='unknown keyword argument "thme"; did you mean "theme"'):
        CoinEnv(thme="classic")
    with pytest.raises(ValueError, match='unknown keyword argument "target"'):
        CoinEnv(target=3)
