"""Random walks that compare `vlbench.rl4vlm` with a plain restatement and with the original."""

import importlib
import os
import random
import sys
import types
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from support.rl4vlm_reference import ACTIONS, EPISODES, NUMBERS, read

import vlbench

STEPS = 10_000
TASKS = tuple(ACTIONS)
PATH = os.environ.get("RL4VLM_PATH")
beside_the_original = pytest.mark.skipif(
    not PATH, reason="RL4VLM_PATH doesn't name a checkout of the original"
)
GARBAGE = (
    "",
    " ",
    "\n",
    "I'd rather not say",
    '{"action": ""}',
    '"action": "12"',
    '"action" : "+"',
    '{"action": "hit" or "stand"}',
    '"ACTION": "10"',
    '{"action": "100"}',
    "+",
    "…=",
    "9",
    "stand",
    '"action": "1", "action": "1"',
    '{"thoughts": "\\"action\\": 3", "action": "3"}',
    "İ",
    '{"action": "hit", "why": "white"}',
    '{"action": "10", "why": "1010 and 10"}',
    "'action': '*'",
)


def replies(task, rng, numbers, env):
    """Yield an episode's replies: random ones, plausible formulas and some good play."""
    vocabulary = ACTIONS[task]
    plan = []
    if numbers and rng.random() < 0.7:
        operators = [a for a in vocabulary if a not in NUMBERS and a != "="]
        for number in rng.sample(numbers, len(numbers)):
            plan += [str(number), *rng.choices(operators, k=rng.choice((0, 1, 1, 1, 2)))]
            if rng.random() < 0.1:
                plan.append(rng.choice(NUMBERS))  # perhaps an illegal one
        if "(" in vocabulary and rng.random() < 0.5:
            plan.insert(rng.randrange(len(plan)), "(")
            plan.insert(rng.randint(plan.index("(") + 1, len(plan)), ")")
        while plan and plan[-1] in operators and plan[-1] != ")":
            plan.pop()
        plan.append("=")
    for action in plan:
        yield vlbench.reply(action, thoughts="10 + 1 = hit")
    good = not plan and rng.random() < 0.3
    while True:
        if good and rng.random() < 0.95:
            yield vlbench.reply(env.unwrapped.expert())
            continue
        blind = rng.random() < 0.8
        yield vlbench.reply(rng.choice(vocabulary)) if blind else rng.choice(GARBAGE)


@pytest.mark.parametrize("task", TASKS)
def test_ten_thousand_steps_agree_with_the_restatement(task):
    env = gymnasium.make(f"rl4vlm/{task}-v0")
    rng = random.Random(0)
    steps = wins = drawn = 0
    seed = 0
    while steps < STEPS:
        observation, info = env.reset(seed=seed)
        seed += 1
        episode = EPISODES[task](info["instance"])
        total = 0
        over = False
        for reply in replies(task, rng, getattr(episode, "values", []), env):
            observation, reward, terminated, truncated, info = env.step(reply)
            steps += 1
            choice = read(reply, task)
            assert info["random_action"] == (choice is None)
            assert info["status"] == ("ok" if choice else "malformed" if reply.strip() else "empty")
            drawn += choice is None
            action = choice or info["action"]
            assert info["action"] == action and action in ACTIONS[task]
            assert (reward, terminated, truncated) == episode.step(action)
            facts = episode.shown()
            assert {name: info["facts"][name] for name in facts} == facts
            if "formula" in facts:
                assert f"current formula: {''.join(episode.formula)}. You" in observation["text"]
            total += reward
            over = terminated or truncated
            assert info["success"] == (over and total > 0)
            if over:
                break
        wins += total > 0
    assert seed > 300 and wins > 30 and drawn > 100  # the walk covered enough


def original(module):
    """Import a module of the original; Python warns of escapes in its strings."""
    folders = [str(Path(PATH, "gym-cards")), str(Path(PATH, "VLM_PPO"))]
    sys.path[:0] = folders
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    finally:
        for folder in folders:
            sys.path.remove(folder)


class _Picture:
    """A fake card picture, so that the original's art and fonts aren't needed."""

    def resize(self, size):
        return self


@pytest.fixture
def originals(monkeypatch):
    """Return the original's environments by task, without their drawing."""
    names = {"points": "Point24Env", "ezpoints": "EZPointEnv", "numberline": "NumberLineEnv"}
    names["blackjack"] = "BlackjackEnv"
    modules = {}
    for name, class_name in names.items():
        module = original(f"gym_cards.envs.{name}")
        env_class = getattr(module, class_name)
        monkeypatch.setattr(module, "get_image", lambda card: _Picture(), raising=False)
        draw = "_get_obs" if name == "blackjack" else "_get_observation"
        monkeypatch.setattr(env_class, draw, lambda self: np.zeros((300, 300, 3), np.uint8))
        modules[name] = module, env_class
    return dict(
        zip(("Points24", "EZPoints", "NumberLine", "Blackjack"), modules.values(), strict=True)
    )


@beside_the_original
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("task", TASKS)
def test_ten_thousand_steps_agree_with_the_original(task, originals, monkeypatch):
    module, env_class = originals[task]
    original = env_class()
    env = gymnasium.make(f"rl4vlm/{task}-v0")
    name = env.unwrapped.game.name
    rng = random.Random(1)
    random.seed(1)
    steps, number = 0, 0
    while steps < STEPS:
        number += 1
        if task == "Blackjack":
            start = f"{name}/{number}"
            cards = EPISODES[task](start)
            drawn = {"dealer": 0, "player": 0}

            def draw(_, cards=cards, drawn=drawn, original=original):
                hands = drawn["dealer"] < 2, drawn["player"] < 2
                who = "dealer" if hands[0] or (not hands[1] and original.standing) else "player"
                drawn[who] += 1
                return (*cards.draw(who, drawn[who] - 1), "S")

            monkeypatch.setattr(module, "draw_card_with_info", draw)
            original.standing = False
            _, their_info = original.reset(seed=number)
        else:
            _, their_info = original.reset()
            if task == "NumberLine":
                start = f"{name}/{their_info['Current']}-{their_info['Target']}"
            else:
                start = f"{name}/{'-'.join(their_info['Cards'])}"
        _, info = env.reset(seed=number, options={"instance": start})
        for reply in replies(task, rng, their_info.get("Numbers", []), env):
            _, reward, terminated, truncated, info = env.step(reply)
            index = ACTIONS[task].index(info["action"])
            if info["note"].startswith("not computed"):  # the original might hang
                break
            original.standing = index == 0
            _, their_reward, *their_end, their_info = original.step(index)
            steps += 1
            assert (reward, terminated, truncated) == (their_reward, *their_end)
            if "Formula" in their_info:
                assert list(env.unwrapped._state.tokens) == list(map(str, their_info["Formula"]))
                assert info["facts"]["numbers"] == tuple(their_info["Numbers"])
            elif task == "NumberLine":
                expected = {"target": their_info["Target"], "current": their_info["Current"]}
                assert info["facts"] == expected
            else:
                faces = [face for _, face, _ in their_info["Player Card"]]
                visible = [faces[i] for i in range(len(faces)) if i < 4 or 5 <= i < 9]
                assert list(info["facts"]["player_cards"]) == visible
            if terminated or truncated:
                break


@beside_the_original
@pytest.mark.parametrize("task", ["NumberLine", "EZPoints", "Points24"])
def test_the_original_s_seed_does_nothing(task, originals):
    env = originals[task][1]()
    random.seed(0)
    starts = [str(env.reset(seed=0)[1]) for _ in range(30)]
    assert len(set(starts)) > 5
    env = gymnasium.make(f"rl4vlm/{task}-v0")
    assert len({str(env.reset(seed=0)) for _ in range(3)}) == 1


@pytest.fixture
def rl_utils(monkeypatch):
    """Return the original's prompts and parser, with a fake of the torch parts they need."""
    try:
        import torch  # noqa: F401
    except ImportError:
        torch = types.ModuleType("torch")
        torch.Tensor = lambda rows: types.SimpleNamespace(
            long=lambda: types.SimpleNamespace(reshape=lambda *shape: [[i] for i in rows[0]])
        )
        monkeypatch.setitem(sys.modules, "torch", torch)
    return original("a2c_ppo_acktr.rl_utils")


@beside_the_original
@pytest.mark.parametrize("task", TASKS)
def test_prompts_are_the_original_s_to_the_letter(task, rl_utils):
    for prompt in ("cot", "action_only"):
        env = gymnasium.make(f"rl4vlm/{task}-v0", prompt=prompt)
        observation, info = env.reset(seed=0)
        for action in (None, *ACTIONS[task][:3], "+"):
            if action in ACTIONS[task]:
                observation, _, terminated, _, info = env.step(vlbench.reply(action))
                if terminated:
                    break
            formula = getattr(env.unwrapped._state, "tokens", [])
            expected = rl_utils.get_prompt(
                f"gym_cards/{task}-v0", prompt == "action_only", [{"Formula": formula}]
            )
            assert observation["text"] == expected


@beside_the_original
@pytest.mark.parametrize("task", TASKS)
def test_replies_are_read_as_the_original_reads_them(task, rl_utils, monkeypatch):
    from vlbench.rl4vlm.parser import read_action

    monkeypatch.setattr(rl_utils.random, "randint", lambda low, high: -1)
    rng = random.Random(2)
    parts = [*GARBAGE, *ACTIONS[task], '"action":', '"Action":', " ", '"', "{", "}", ",", "0", "1"]
    texts = [*GARBAGE, *("".join(rng.choices(parts, k=rng.randint(1, 6))) for _ in range(20_000))]
    for text in texts:
        [[index]] = rl_utils.text_projection([text], f"gym_cards/{task}-v0")
        expected = None if int(index) < 0 else ACTIONS[task][int(index)]
        assert read_action(text, ACTIONS[task]) == expected, text
        assert read(text, task) == expected, text
