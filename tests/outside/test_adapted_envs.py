"""Other people's environments as tasks of ours: pixels and discrete actions in, texts played."""

import sys
from types import ModuleType

import gymnasium
import numpy as np
import pytest

import vlbench
from agents.evaluate import evaluate
from vlbench.adapters import AdaptedEnv
from vlbench.adapters.pictures import fit
from vlbench.contract import INFO_TYPES
from vlbench.instances import split_of
from vlbench.replay import divergences
from vlbench.replay import main as replay_main

PROMPT = """Push the square to the right edge; it has $left steps to go. \\
Answer with {
[cot, cot_facts] "thoughts": why,
"action": "right" or "left"}"""


class Corridor(gymnasium.Env):
    """A white square on a strip of 5 cells of 4×4 pixels; the reward is 1 at its right end."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}
    observation_space = gymnasium.spaces.Box(0, 255, (4, 20, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2, start=3)
    render_mode = None
    noise = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(4))
        return self.pixels(), {}

    def step(self, action):
        self.place = min(max(self.place + (1 if action == 3 else -1), 0), 4)
        return self.pixels(), float(self.place == 4), self.place == 4, False, {}

    def pixels(self):
        frame = np.zeros((4, 20, 3), np.uint8)
        frame[:, 4 * self.place : 4 * self.place + 4] = 255
        if self.noise:
            frame[0, 0] = np.random.default_rng().integers(256, size=3)
        return frame


class Noisy(Corridor):
    noise = True


def corridor(env=Corridor, **options):
    facts = {"facts": lambda observation, info: {"left": 4 - int(observation[0].argmax() // 12)}}
    return vlbench.adapt(env, ("right", "left"), PROMPT, max_turns=6, **facts, **options)


@pytest.fixture
def corridors(monkeypatch):
    """Two registered tasks of a user's module: one repeats itself, the other doesn't."""
    monkeypatch.setitem(sys.modules, "corridors", ModuleType("corridors"))
    ids = {"my/Corridor-v0": Corridor, "my/Noisy-v0": Noisy}
    for env_id, env in ids.items():
        corridor(env, id=env_id)
    yield [f"corridors:{env_id}" for env_id in ids]
    for env_id in ids:
        del gymnasium.registry[env_id]


def test_a_reply_is_read_and_its_action_played():
    env = corridor()
    observation, info = env.reset(options={"instance": "corridor/17"})
    assert observation["image"].shape == (300, 300, 3) and observation["image"].dtype == np.uint8
    assert {name: type(info[name]) for name in INFO_TYPES} == INFO_TYPES
    start = env.env.place
    assert info["facts"] == {"left": 4 - start} and f"it has {4 - start} steps" in env.text
    for turn in range(4 - start):
        _, reward, terminated, truncated, info = env.step('{"thoughts": "go", "action": "Right"}')
        last = turn == 3 - start
        assert (reward, terminated, truncated, info["success"]) == (float(last), last, False, last)
        assert (info["status"], info["action"]) == ("ok", "right")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(vlbench.reply("right"))


def test_an_unreadable_reply_moves_nothing_and_the_last_turn_truncates():
    env = corridor()
    first, _ = env.reset(options={"instance": "corridor/17"})
    for turn in range(6):
        observation, reward, terminated, truncated, info = env.step("right")
        assert reward == -1.0 and not terminated and truncated == (turn == 5)
        assert info["status"] == "malformed" and '"right", "left"' in info["hint"]
        assert np.array_equal(observation["image"], first["image"])


def test_an_instance_is_a_seed_and_splits_hold_seeds_out():
    env = vlbench.adapt(Corridor, ("right", "left"), PROMPT.replace("$left", "some"))
    frames = {env.reset(options={"instance": "corridor/5"})[0]["image"].tobytes() for _ in range(3)}
    assert len(frames) == 1
    for wrong in ("corridor/05", "corridor/x", "other/5", "corridor/", "corridor/9999999999"):
        with pytest.raises(ValueError, match=r"corridor/17|below"):
            env.reset(options={"instance": wrong})
    dealer = AdaptedEnv(Corridor(), env.interface, split="test")
    names = [dealer.reset(seed=seed)[1]["instance"] for seed in range(20)]
    assert {split_of(name, 0.4, 0.2) for name in names} == {"test"} and len(set(names)) == 20


def test_a_run_replays_without_a_difference(corridors, tmp_path, capsys):
    env_id = corridors[0]
    run = evaluate("random", env_id, episodes=8, out=tmp_path / "run")
    (card,) = run.scorecards
    assert card.episodes == 8 and run.header.not_replayable == [] and card.regret is None
    assert all(episode.instance.startswith("corridor/") for episode in run.episodes)
    assert divergences(run.episodes) == []
    assert replay_main([str(tmp_path / "run"), "--env", env_id]) == 0
    assert "8 episodes replayed, 0 differ" in capsys.readouterr().out


def test_an_environment_that_doesnt_repeat_itself_is_not_replayable(corridors, tmp_path, capsys):
    run = evaluate("random", corridors[1], episodes=3, out=tmp_path / "run")
    assert run.header.not_replayable == [corridors[1]]
    assert "gave another picture or text at the start of noisy/" in run.warnings[-1]
    assert replay_main([str(tmp_path / "run"), "--env", corridors[1]]) == 0
    out = capsys.readouterr().out
    assert f"{corridors[1]}: not replayable: 3 episodes aren't checked" in out
    assert "0 episodes replayed" in out


def test_the_prompt_has_variants_and_the_picture_controls(corridors):
    usual, short = (gymnasium.make("my/Corridor-v0", prompt=p) for p in ("cot", "action_only"))
    assert '"thoughts"' in usual.reset(seed=0)[0]["text"]
    assert '"thoughts"' not in short.reset(seed=0)[0]["text"]
    blank = gymnasium.make("my/Corridor-v0", picture="blank")
    observation, info = blank.reset(seed=0)
    assert np.unique(observation["image"]).tolist() == [128] and blank.unwrapped.seen_facts == {}
    assert blank.unwrapped.frame_hash() == usual.unwrapped.frame_hash()
    stale = gymnasium.make("my/Corridor-v0", picture="stale")
    first = stale.reset(options={"instance": "corridor/17"})[0]["image"]
    assert np.array_equal(stale.step(vlbench.reply("left"))[0]["image"], first)


def test_pixels_are_repeated_to_the_longer_side_and_centred():
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0], pixels[1, 2] = (255, 0, 0), (0, 0, 255)
    frame = fit(pixels)
    assert frame.shape == (300, 300, 3) and not frame[:50].any() and not frame[250:].any()
    assert (frame[50:150, :100] == (255, 0, 0)).all() and (
        frame[150:250, 200:] == (0, 0, 255)
    ).all()
    assert (fit(np.full((600, 600), 7, np.uint8)) == 7).all()


@pytest.mark.parametrize(
    ("env", "actions", "message"),
    [
        (Corridor, {"up": 9}, 'action "up" is 9, which isn\'t one of Discrete'),
        (Corridor, (), "actions must be texts"),
        (Corridor, ("go", "go"), "must be different texts"),
        (Corridor, ("go", "GO"), "differ in more than case"),
        (Corridor, ("a", "b", "c"), "isn't one of Discrete"),
        ("no/Such-v0", {"a": 0}, "can't be made"),
    ],
)
def test_what_cannot_be_adapted_is_one_line(env, actions, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as error:
        vlbench.adapt(env, actions, "Play.")
    assert "\n" not in str(error.value)


def test_an_environment_without_pixels_is_refused_when_it_starts():
    env = vlbench.adapt("CartPole-v1", ("left", "right"), "Balance.")
    env.env.unwrapped.render_mode = None
    with pytest.raises(ValueError, match='render_mode="rgb_array", or observe pixels'):
        vlbench.adapt(lambda: gymnasium.make("CartPole-v1"), ("left", "right"), "Balance.").reset()
