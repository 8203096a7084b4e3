"""The CNN baseline: it learns, resumes bit for bit, plays in the harness, and runs no pickles."""

import asyncio
import dataclasses
import json
import pickle
import shutil
import sys

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from agents.evaluate import evaluate
from agents.players.cnn import Cnn, shrunk
from agents.registry import load_agent
from agents.train import cnn
from agents.train.environments import Journal
from vlbench import reply
from vlbench.parsing import parse
from vlbench.task import split_in
from vlbench.wrappers import DiscreteActions

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FAST = {"num_envs": 2, "num_steps": 16, "minibatch": 16, "epochs": 1, "size": 36, "device": "cpu"}
SHORT_LINE = {"max_position": 2}


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = cnn.Config(out=tmp_path_factory.mktemp("cnn"), turns=32, theme="classic", **FAST)
    cnn.train(config)
    return config.out


def test_it_learns_a_short_number_line_from_the_picture(tmp_path):
    config = cnn.Config(
        out=tmp_path,
        env_kwargs=SHORT_LINE,
        theme="classic",
        turns=8192,
        num_envs=8,
        num_steps=64,
        minibatch=128,
        epochs=4,
        lr=3e-4,
        size=60,
        device="cpu",
        save_every=100,
    )
    agent = Cnn(str(cnn.train(config)))
    env = gymnasium.make("vlbench/NumberLine-v0", theme="classic", **SHORT_LINE)
    returns = []
    pairs = [f"number_line/{a}-{b}" for a in range(3) for b in range(3) if a != b]
    for instance in (pair for pair in pairs if split_in(env.unwrapped.game, pair) == "train"):
        observation, _ = env.reset(options={"instance": instance})
        gain, ended = 0.0, False
        while not ended:
            reply = asyncio.run(agent.act({**observation, "env_id": "vlbench/NumberLine-v0"}))
            observation, reward, terminated, truncated, _ = env.step(reply.text)
            gain, ended = gain + reward, terminated or truncated
        returns.append(gain)
    assert sum(returns) / len(returns) > 0.9  # the best is 1; random play has less than 0
    assert rows(tmp_path)[0]["rollout/return"] < 0.2


def test_a_resumed_run_equals_an_undisturbed_one_bit_for_bit(tmp_path):
    config = cnn.Config(env="EZPoints", turns=4 * 32, save_every=2, **FAST)
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    parts = dataclasses.replace(config, out=tmp_path / "parts")
    end = cnn.train(whole)
    cnn.train(dataclasses.replace(parts, turns=2 * 32))
    again = cnn.train(parts)
    resumed, undisturbed = (load_file(folder / "model.safetensors") for folder in (again, end))
    assert resumed.keys() == undisturbed.keys()
    assert all(torch.equal(resumed[name], undisturbed[name]) for name in resumed)
    states = [torch.load(folder / "trainer.pt", weights_only=True) for folder in (end, again)]
    assert states[0]["rollouts"] == states[1]["rollouts"]
    assert torch.equal(states[0]["random"][0], states[1]["random"][0])
    timed = ("seconds", "cpu_seconds", "charts/SPS")
    logs = [
        [{k: v for k, v in row.items() if k not in timed} for row in rows(out)]
        for out in (whole.out, parts.out)
    ]
    assert logs[0] == logs[1]
    assert logs[0][-1]["charts/env_steps"] == 4 * 32


def test_the_harness_plays_it_and_a_batch_answers_as_one_by_one(run):
    agent = load_agent("cnn", model=str(run))
    played = evaluate(agent, "NumberLine", episodes=20, concurrency=5, out=run / "evaluation")
    (card,) = played.scorecards
    assert card.episodes == 20 and card.malformed_rate == card.unknown_rate == 0
    env = gymnasium.make("vlbench/NumberLine-v0")
    env_id = {"env_id": "vlbench/NumberLine-v0"}
    observations = [{**env.reset(seed=seed)[0], **env_id} for seed in range(5)]

    async def together(batch_size):
        one = Cnn(str(run), batch_size=batch_size)
        return [reply.text for reply in await asyncio.gather(*map(one.act, observations))]

    texts = asyncio.run(together(64))
    assert texts == asyncio.run(together(1))
    assert {parse(text, ("+", "-")).action for text in texts} <= {"+", "-"}


def test_it_plays_only_what_it_was_trained_on(run):
    with pytest.raises(ValueError, match="EZPoints-v0 can't be played.*plays only vlbench/Numb"):
        evaluate(Cnn(str(run)), "EZPoints", episodes=1, out=run / "other")


def test_the_picture_is_shrunk_by_means_and_has_its_colours_first():
    image = np.zeros((300, 300, 3), np.uint8)
    image[:150, :, 0] = 200
    small = shrunk(image, 36)
    assert small.shape == (3, 36, 36) and small.dtype == np.uint8
    assert (small[0, :16] == 200).all() and not small[0, 20:].any() and not small[1:].any()


def test_the_journal_restores_an_environment_below_its_wrappers():
    env = cnn.SmallPicture(DiscreteActions(gymnasium.make("vlbench/Points24-v0")), 84)
    journal = Journal([env.unwrapped])
    env.reset(seed=3)
    for action in (3, 10, 5):
        picture = env.step(action)[0]
        journal.add([reply(env.get_wrapper_attr("actions")[action])], [False])
    state = json.loads(json.dumps(journal.state()))
    later = [env.step(action)[0] for action in (1, 16)] + [env.reset()[0]]
    (observation,) = journal.restore(state)
    assert (env.observation(observation["image"]) == picture).all()
    again = [env.step(action)[0] for action in (1, 16)] + [env.reset()[0]]
    assert all((a == b).all() for a, b in zip(later, again, strict=True))


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


def test_a_checkpoint_with_pickles_in_it_runs_none(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder, symlinks=True)
    trap = pickle.dumps(Trap())
    (folder / "latest" / "trainer.pt").write_bytes(trap)
    Cnn(str(folder))
    with pytest.raises(ValueError, match="trainer.pt can't be read"):
        cnn.train(cnn.Config(out=folder, turns=64, theme="classic", **FAST))
    (folder / "latest" / "model.safetensors").write_bytes(trap)
    with pytest.raises(ValueError, match="model.safetensors can't be loaded"):
        Cnn(str(folder))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--env", "NumberLines"], 'did you mean "NumberLine"'),
        (["--size", "20"], "--size must be from 36 to 300, got 20"),
        (["--turns", "0"], "--turns must be at least 1, got 0"),
        (["--theme", "clasic"], 'did you mean "classic"'),
        (["--rate", "1"], "--help"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(argv, message, tmp_path, capsys):
    assert cnn.main([*argv, "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_another_size_or_task_in_a_run_s_folder_is_refused(run, capsys):
    options = ["--num-envs", "2", "--num-steps", "16", "--minibatch", "16", "--epochs", "1"]
    options += ["--theme", "classic", "--device", "cpu", "--out", str(run)]
    for other in (["--env", "Blackjack", "--size", "36"], ["--size", "84"]):
        assert cnn.main([*options, *other]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        difference = {4: "--env NumberLine → Blackjack", 2: "--size 36 → 84"}[len(other)]
        assert f"other settings (recorded → new): {difference}; resume it" in line


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cnn.json", "{}", "no checkpoint of agents.train.cnn"),
        ("cnn.json", '{"env": "x", "actions": ["a"], "size": 36}', "can't be loaded"),
        ("model.safetensors", "", "model.safetensors can't be loaded"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(run, tmp_path, name, text, message):
    folder = tmp_path / "damaged"
    shutil.copytree((run / "latest").resolve(), folder)
    (folder / name).write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        Cnn(str(folder))
    with pytest.raises(ValueError, match="no folder nowhere"):
        load_agent("cnn", model="nowhere")


def test_without_the_extra_it_says_what_to_install(run, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("stable_baselines3")]:
        monkeypatch.setitem(sys.modules, name, None)
    for use in (lambda: Cnn(str(run)), lambda: cnn.train(cnn.Config(out=run))):
        with pytest.raises(ValueError, match=r'pip install "vlbench\[cnn\]"'):
            use()
