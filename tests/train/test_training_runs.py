"""Whole runs of the trainer: it learns, resumes bit for bit, and loses nothing when it fails."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
import torch
from safetensors.torch import load_file
from support.cli_process import heed_ctrl_c
from support.small_games import BANDIT, small_games

import vlbench
from agents.train import ppo, sft, sft_data
from agents.train.advantages.kinds import BASELINES
from agents.train.checkpoint import Checkpoints
from agents.train.distributed import Processes
from agents.train.sft_dataset import ExampleRenderer
from agents.vlm.loading import add_lora, load
from agents.vlm.policy import Policy
from agents.vlm.sampling import Sampling
from vlbench.diagnose.replayed import replay_turns
from vlbench.diagnose.report import diagnose
from vlbench.diagnose.rollouts import read_rollouts
from vlbench.parsing import parse

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FAST = {
    "num_envs": 4,
    "num_steps": 3,
    "minibatch": 6,
    "micro_batch": 3,
    "max_new_tokens": 12,
    "eval_every": 0,
    "log": "json",
    "critic_iterations": 0,
}


def play(config):
    return ppo.train(config, Processes())


def learn(config):
    return sft.train(config, Processes())


def metrics(run):
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def games():
    with small_games():
        yield


@pytest.fixture(scope="module")
def poor_start(checkpoint, games, tmp_path_factory):
    """A checkpoint that pulls the worse arm three times of four."""
    loaded = load(str(checkpoint), trainable=True)
    policy = Policy(loaded.model, loaded.processor, Sampling(max_new_tokens=12))
    prompt = policy.encoder.encode(gymnasium.make(BANDIT).reset(seed=0)[0])
    arms = [policy.encoder.encode_reply(vlbench.reply(arm)) for arm in "---+"]
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        (-policy([prompt] * 4, arms).log_probs.sum() / 4).backward()
        optimizer.step()
    start = tmp_path_factory.mktemp("start")
    loaded.model.save_pretrained(start)
    loaded.processor.save_pretrained(start)
    return start


SMALL = {**FAST, "num_envs": 16, "num_steps": 2, "minibatch": 16, "micro_batch": 16}


@pytest.mark.parametrize("baseline", BASELINES)
def test_ppo_finds_the_better_arm_of_a_bandit(baseline, poor_start, tmp_path):
    config = ppo.Config(
        model=str(poor_start),
        env=BANDIT,
        out=tmp_path,
        iterations=12,
        baseline=baseline,
        group=8,
        lr=1e-3,
        end_lr=1e-3,
        **SMALL,
    )
    end = load(str(play(config)))
    rows = metrics(tmp_path)
    assert rows[0]["rollout/optimal"] < 0.5
    assert rows[-1]["rollout/optimal"] > 0.8
    greedy = Policy(end.model, end.processor, Sampling(max_new_tokens=12))
    prompt = greedy.encoder.encode(gymnasium.make(BANDIT).reset(seed=0)[0])
    assert parse(greedy.generate([prompt])[0].text, ("+", "-")).action == "+"
    assert rows[0]["losses/ratio_error"] < 1e-4


def test_a_rollout_of_whole_episodes_has_no_part_of_one_and_groups_share_their_starts(
    checkpoint, tmp_path
):
    config = ppo.Config(
        model=str(checkpoint),
        env="NumberLine",
        out=tmp_path / "run",
        iterations=2,
        baseline="group",
        group=2,
        rollouts_every=1,
        **{**FAST, "num_steps": 12},
    )
    play(config)
    starts = []
    for name in ("000001", "000002"):
        path = config.out / "rollouts" / f"{name}.jsonl"
        read = read_rollouts(path)
        assert all(not episode.earlier for episode in read.episodes)
        for episode in read.episodes:
            moments = replay_turns([episode])
            assert moments[-1].turn and len(moments) == len(episode.turns)
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert {line["estimator"] for line in lines} == {"group"}
        assert not any("oracle" in line for line in lines)
        firsts = {
            line["episode"].partition("/")[2]: (line["instance"], line["presentation"])
            for line in lines
        }
        played = {number: sum(k.startswith(f"{number}-") for k in firsts) for number in range(4)}
        for a, b in ((0, 1), (2, 3)):
            for i in range(min(played[a], played[b])):
                assert firsts[f"{a}-{i}"] == firsts[f"{b}-{i}"]
        assert firsts["0-0"] != firsts["2-0"]
        counts = [
            sum(line["episode"].partition("/")[2].startswith(f"{n}-") for line in lines)
            for n in range(4)
        ]
        assert min(counts) >= 12
        starts.append(set(firsts.values()))
    assert not starts[0] & starts[1]  # each rollout deals anew
    assert metrics(config.out)[-1]["charts/env_steps"] == sum(
        len((config.out / "rollouts" / f"{name}.jsonl").read_text("utf-8").splitlines())
        for name in ("000001", "000002")
    )


def test_an_oracles_advantages_are_recorded_as_such(checkpoint, tmp_path):
    config = ppo.Config(
        model=str(checkpoint),
        env="EZPoints",
        out=tmp_path / "run",
        iterations=1,
        baseline="exact",
        rollouts_every=1,
        **FAST,
    )
    play(config)
    (task,) = diagnose(config.out).report.tasks
    assert task.credit.sign_agreement.value == 1
    assert task.credit.pearson is None or task.credit.pearson.value == pytest.approx(1)
    assert task.regret.value == pytest.approx(metrics(config.out)[-1]["rollout/regret"])
    assert any("an oracle's" in note for note in task.notes)
    (lines,) = [path.read_text("utf-8") for path in (config.out / "rollouts").glob("*.jsonl")]
    assert all(json.loads(line)["oracle"] is True for line in lines.splitlines())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "group"}, "compares episodes with the same start; add --group with at least"),
        ({"baseline": "state"}, "compares episodes with the same start; add --group with at least"),
        ({"group": 3}, "--group 3 must divide --num-envs, which is 4"),
    ],
)
def test_groups_that_do_not_fit_are_refused_in_one_line(options, message, checkpoint, capsys):
    argv = [f"--{name}={value}" for name, value in {"num-envs": 4, **options}.items()]
    assert ppo.main(["--model", str(checkpoint), *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "lora": True,
            "lora_rank": 4,
            "lora_alpha": 8,
            "lora_dropout": 0.1,
            "kl_coef": 0.1,
            "train_vision": "none",
            "top_p": 0.9,
            "temperature": 0.8,
            "target_kl": 5.0,
        },
        {"env": "EZPoints", "entropy_coef": 0.01, "kl_coef": 0.1, "value_detach": False},
        {"env": "EZPoints", "baseline": "state", "group": 2},
    ],
    ids=["full", "lora", "full-with-kl", "whole-episodes"],
)
def test_a_resumed_run_equals_an_undisturbed_one_bit_for_bit(checkpoint, tmp_path, changes):
    config = ppo.Config(
        model=str(checkpoint),
        iterations=4,
        save_every=2,
        lr=1e-3,
        end_lr=1e-3,
        **{**FAST, **changes},
    )
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    parts = dataclasses.replace(config, out=tmp_path / "parts")
    end = play(whole)
    play(dataclasses.replace(parts, iterations=2))
    again = play(parts)
    (weights,) = [path.name for path in end.glob("*.safetensors")]
    resumed, undisturbed = load_file(again / weights), load_file(end / weights)
    assert resumed.keys() == undisturbed.keys()
    assert all(torch.equal(resumed[name], undisturbed[name]) for name in resumed)
    states = [torch.load(folder / "trainer.pt", weights_only=True) for folder in (end, again)]
    assert states[0]["environments"] == states[1]["environments"]
    assert torch.equal(states[0]["sampler"][0], states[1]["sampler"][0])
    for a, b in zip(*(state["optimizer"]["state"].values() for state in states), strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
    logs = []
    for out in (whole.out, parts.out):
        rows = metrics(out)
        times = [f"time/{part}" for part in ("rollout", "rescoring", "update")]
        timed = ("seconds", "cpu_seconds", *times, "charts/SPS")
        logs.append([{k: v for k, v in row.items() if k not in timed} for row in rows])
    assert logs[0] == logs[1]


def test_recorded_rollouts_hold_the_turns_and_advantages_that_ppo_learned_from(
    checkpoint, tmp_path, monkeypatch
):
    learned = []
    update = ppo.update

    def remember(learner, buffer, config, critic_only):
        learned.append(buffer.advantages.clone())
        return update(learner, buffer, config, critic_only)

    monkeypatch.setattr(ppo, "update", remember)
    config = ppo.Config(
        model=str(checkpoint),
        env="EZPoints",
        out=tmp_path / "run",
        iterations=4,
        rollouts_every=2,
        save_every=2,
        **FAST,
    )
    play(dataclasses.replace(config, iterations=2))
    play(config)  # a resumed run goes on with the episodes that the recorded rollout cut off
    files = sorted((tmp_path / "run" / "rollouts").glob("*.jsonl"))
    assert [path.name for path in files] == ["000002.jsonl", "000004.jsonl"]
    assert all(path.with_suffix(".html").is_file() for path in files)
    for path, advantages in zip(files, learned[1::2], strict=True):
        turns = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert [turn["advantage"] for turn in turns] == advantages.flatten().tolist()
        assert turns[0]["earlier"]  # 3 turns of 7 were played before
    (task,) = diagnose(tmp_path / "run").report.tasks
    assert task.turns == task.advantages == 2 * 4 * 3 and task.differences == 0
    assert task.credit.pearson is None or -1 <= task.credit.pearson.value <= 1
    assert task.leaks.frozen["test"] == 0 and task.variety.log_prob < 0
    assert "2 iterations, so several policies, are taken together" in task.notes


def test_sft_learns_and_resumes_bit_for_bit(checkpoint, tmp_path):
    data = tmp_path / "data.jsonl"
    assert (
        sft_data.main(["--out", str(data), "--episodes", "20", "--random-action-prob", "0.2"]) == 0
    )
    config = sft.Config(
        model=str(checkpoint),
        data=data,
        out=tmp_path / "whole",
        steps=20,
        lr=1e-2,
        batch=8,
        micro_batch=4,
        eval_every=5,
        save_every=10,
    )
    end = learn(config)
    rows = metrics(config.out)
    assert rows[-1]["heldout/loss"] < 0.6 * rows[4]["heldout/loss"]
    learn(config)  # nothing left to do
    # A run that stopped at step 10 is the same folder with its later checkpoint gone.
    parts = dataclasses.replace(config, out=tmp_path / "parts")
    learn(parts)
    for path in (parts.out / "step-000020").iterdir():
        path.unlink()
    (parts.out / "step-000020").rmdir()
    again = learn(parts)
    resumed, undisturbed = (load_file(folder / "model.safetensors") for folder in (again, end))
    assert all(torch.equal(resumed[name], undisturbed[name]) for name in resumed)


@pytest.mark.parametrize("lora", [False, True], ids=["unasked", "asked"])
def test_sft_trains_on_an_adapter_and_leaves_its_base(checkpoint, tmp_path, lora):
    adapter = tmp_path / "adapter"
    model = add_lora(load(str(checkpoint)).model, rank=4, alpha=8, dropout=0.0, vision="none")
    model.save_pretrained(adapter)
    data = tmp_path / "data.jsonl"
    assert sft_data.main(["--out", str(data), "--episodes", "4"]) == 0
    config = sft.Config(
        model=str(adapter),
        data=data,
        out=tmp_path / "run",
        steps=3,
        lora=lora,
        lora_rank=4,
        lora_alpha=8,
    )
    for wrong in ({"train_vision": "nonsense"}, {"lora": True, "lora_rank": 64}):
        with pytest.raises(ValueError, match="train_vision must be|rank 4 and alpha 8"):
            learn(dataclasses.replace(config, **wrong))
    end = learn(config)
    before, after = (load(str(folder)).model.state_dict() for folder in (adapter, end))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("lora_" in name for name in changed)


def test_expert_transcripts_are_train_instances_with_truthful_fields(tmp_path):
    config = sft_data.Config(
        out=tmp_path / "x",
        env="NumberLine,EZPoints,Points24,Blackjack",
        episodes=12,
        random_action_prob=0.3,
        action_noise=0.3,
        jitter=3,
    )
    examples = list(sft_data.transcripts(config))
    renderer = ExampleRenderer()
    flipped = 0
    for example in examples:
        env = gymnasium.make(example.env_id, **json.loads(example.kwargs)).unwrapped
        env.reset(options={"instance": example.instance, "presentation": example.presentation})
        for action in example.played:
            env.step(vlbench.reply(action))
        fields = json.loads(example.reply)
        assert env.check_statements({k: v for k, v in fields.items() if k != "plan"}).perception
        if "plan" in fields:
            assert env.check_statements(fields).plan == example.expert
        assert example.action in env.legal
        assert env.values()[example.expert] == max(env.values().values())
        assert (renderer.image(example) == env.frame).all()
        flipped += example.action != example.expert
    assert 0.2 < flipped / len(examples) < 0.4
    assert examples == list(sft_data.transcripts(config))
    hands = {e.instance for e in examples if e.env_id == "vlbench/Points24-v0"}
    game = gymnasium.make("vlbench/Points24-v0").unwrapped.game
    from vlbench.task import split_in

    assert {split_in(game, hand) for hand in hands} == {"train"}


def test_reading_examples_say_what_the_picture_shows_and_have_no_prompt(tmp_path):
    config = sft_data.Config(
        tmp_path / "x",
        "NumberLine,EZPoints,Points24,Blackjack",
        episodes=6,
        random_action_prob=0.3,
        perception_only=True,
    )
    names = set()
    for example in sft_data.transcripts(config):
        env = gymnasium.make(example.env_id, **json.loads(example.kwargs)).unwrapped
        env.reset(options={"instance": example.instance, "presentation": example.presentation})
        info = {}
        for action in example.played:
            info = env.step(vlbench.reply(action))[4]
        facts = info.get("facts", env._facts)
        fields = json.loads(example.reply)
        stated = {name.replace(" number", "").replace(" ", "_"): v for name, v in fields.items()}
        assert all(
            facts[name] == (tuple(v) if isinstance(v, list) else v) for name, v in stated.items()
        )
        assert ExampleRenderer().observation(example)["text"] == "" == example.prompt
        names |= set(fields)
    assert names == {"current number", "target number", "cards", "dealer card", "player cards"}


def test_transcripts_are_a_data_set_for_others(tmp_path):
    datasets = pytest.importorskip("datasets")
    data = tmp_path / "data.jsonl"
    options = ["--env", "NumberLine,Points24", "--episodes", "5", "--action-noise", "0.3"]
    assert sft_data.main(["--out", str(data), *options]) == 0
    rows = datasets.load_dataset(
        "json", data_files=str(data), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [sft_data.Example(**row) for row in rows] == sft_data.read(data)


def test_a_full_disk_leaves_the_last_good_checkpoint(checkpoint, tmp_path, monkeypatch):
    config = ppo.Config(model=str(checkpoint), out=tmp_path, iterations=1, save_every=1, **FAST)
    good = play(config)
    before = {path.name: path.read_bytes() for path in good.iterdir()}

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("agents.train.checkpoint.torch.save", full)
    with pytest.raises(OSError, match="No space left.*the last good one is .*step-000001"):
        play(dataclasses.replace(config, iterations=2))
    assert [path.name for path in Checkpoints(tmp_path).all()] == ["step-000001"]
    assert {path.name: path.read_bytes() for path in good.iterdir()} == before
    monkeypatch.undo()
    assert play(dataclasses.replace(config, iterations=2)).name == "step-000002"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_with_a_checkpoint_and_one_line(checkpoint, tmp_path):
    options = [
        "--model",
        checkpoint,
        "--out",
        tmp_path,
        "--iterations",
        "500",
        "--num-envs",
        "2",
        "--num-steps",
        "2",
        "--max-new-tokens",
        "4",
        "--eval-every",
        "0",
        "--save-every",
        "1000",
        "--log",
        "json",
    ]
    command = [sys.executable, "-m", "agents.train.ppo", *map(str, options)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=root, preexec_fn=heed_ctrl_c
    ) as run:
        for line in run.stderr:
            if line.startswith("2/500"):
                run.send_signal(signal.SIGINT)
                break
        rest = run.stderr.read().splitlines()
    assert run.returncode == 130
    assert rest[-1] == "ppo: stopped; run the same command again to resume from the last checkpoint"
    assert "Traceback" not in "".join(rest)
    assert Checkpoints(tmp_path).latest() is not None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "nowhere"], "no checkpoint folder nowhere"),
        (["--model", "x", "--env", "NumberLines"], 'did you mean "NumberLine"'),
        (["--model", "x", "--preset", "tiny-numberlin"], 'did you mean "tiny-numberline"'),
        (["--lambda", "1"], 'unknown option "--lambda"'),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(argv, message, tmp_path, capsys):
    assert ppo.main([*argv, "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_every_preset_is_a_configuration():
    for preset in ppo.PRESETS.values():
        ppo.Config(**{"model": "x", **preset})
