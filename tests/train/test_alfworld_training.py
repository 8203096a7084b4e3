"""ALFWorld in training: what transcripts teach, and the way from them to an evaluation."""

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.env_ids import ALFWORLD
from support.small_checkpoint import small_checkpoint

import vlbench
from agents import evaluate
from agents.train import ppo, sft, sft_data
from agents.train.advantages import playing
from agents.train.distributed import Processes
from agents.train.environments import Journal, RolloutEnvs, make_env, make_envs
from agents.train.evaluation import val_rows
from agents.train.ppo_config import PRESETS
from agents.train.sft_dataset import ExampleRenderer
from agents.vlm.loading import load
from agents.vlm.sampling import Generation
from vlbench.instances import group_of
from vlbench.task import split_in
from vlbench.tasks.alfworld.demonstrate import make_demonstration
from vlbench.tasks.alfworld.heuristic import SearchHeuristic

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

GROUP = "pick_and_place_simple"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return small_checkpoint(tmp_path_factory.mktemp("tiny"), env="ALFWorld")


@pytest.fixture(scope="module")
def examples():
    config = sft_data.Config(Path(), "ALFWorld", episodes=12, random_action_prob=0.2)
    return list(sft_data.transcripts(config))


def episodes(examples):
    """Return the examples of each episode, in order."""
    played = {}
    for example in examples:
        played.setdefault((example.instance, example.presentation), []).append(example)
    return list(played.values())


def test_transcripts_are_true_and_return_optimal_and_reach_the_goal(examples):
    assert len({group_of(example.instance) for example in examples}) >= 4
    for turns in episodes(examples):
        env = make_env(ALFWORLD, json.loads(turns[0].kwargs))
        start = {"instance": turns[0].instance, "presentation": turns[0].presentation}
        _, info = env.reset(options=start)
        assert split_in(env.unwrapped.game, turns[0].instance) == "train"
        for example in turns:
            for action in example.played[len(env.unwrapped._state.commands) :]:
                info = env.step(vlbench.reply(action))[4]
            fields = json.loads(example.reply)
            assert list(fields) == ["location", "holding", "thoughts", "action"]
            assert env.unwrapped.check_statements(fields).perception
            assert fields["action"] == example.expert in info["legal_actions"]
            values = env.unwrapped.values()
            assert values[example.expert] == max(values.values())
        assert env.step(vlbench.reply(turns[-1].expert))[4]["success"]


def test_the_teacher_knows_nothing_of_where_nobody_has_looked(examples):
    compared = 0
    for turns in episodes(examples):
        env = make_env(ALFWORLD, json.loads(turns[0].kwargs)).unwrapped
        env.reset(options={"instance": turns[0].instance, "presentation": 0})
        game, state = env.game, env._state
        room = game.room(state.instance)
        for example in turns:
            for action in example.played[len(state.commands) :]:
                state = game.step(state, action).state
            known = SearchHeuristic.from_history(room, state.world, state.commands).memory
            hidden = [s.name for s in room.spots if s.name not in known]
            elsewhere = [name for name in hidden if room.spot[name].kind != room.goal.parent]
            if not elsewhere:
                continue
            lies = tuple(
                (t, elsewhere[-1] if p in hidden else p) for t, p in state.world.placements
            )
            world = dataclasses.replace(state.world, placements=tuple(sorted(lies)))
            facts = env.picture.facts(state, env._style)
            for now in (state, dataclasses.replace(state, world=world)):
                turns = game.max_turns - len(state.commands)
                demonstration = make_demonstration(game, now, facts, turns)
                assert demonstration is not None and demonstration.action == example.expert
            compared += lies != state.world.placements
    assert compared > 20


def test_an_episode_is_played_once_for_all_its_pictures_in_any_order(examples, monkeypatch):
    expected, env = {}, make_env(ALFWORLD, json.loads(examples[0].kwargs))
    for example in examples:
        options = {"instance": example.instance, "presentation": example.presentation}
        observation = env.reset(options=options)[0]
        for action in example.played:
            observation = env.step(vlbench.reply(action))[0]
        expected[id(example)] = observation["image"]
    shuffled = random.Random(0).sample(examples, len(examples))
    renderer, starts = ExampleRenderer(examples), []
    begin = type(env.unwrapped).begin
    monkeypatch.setattr(
        type(env.unwrapped),
        "begin",
        lambda env, seed, options: starts.append(options["instance"]) or begin(env, seed, options),
    )
    for example in shuffled:
        observation = renderer.observation(example)
        assert np.array_equal(observation["image"], expected[id(example)])
        assert observation["text"] == example.prompt
    assert len(starts) == len(episodes(examples))


def test_held_out_rows_of_a_group_are_its_own():
    rows = val_rows(ALFWORLD, 20, {"group": GROUP, "prompt": "cot"})
    assert len(rows) == 20 and {group_of(row.instance) for row in rows} == {GROUP}
    assert rows[0].kwargs == {"theme": "train", "group": GROUP, "prompt": "cot"}
    assert len({group_of(row.instance) for row in val_rows(ALFWORLD, 30, {})}) > 3


def test_a_rollout_reads_the_states_own_commands_and_thoughts_count_a_fifth(
    checkpoint, monkeypatch
):
    options = {**PRESETS["tiny-alfworld"], "num_envs": 2, "num_steps": 6, "model": str(checkpoint)}
    config = ppo.Config(**options)
    assert config.thought_weight == 0.2
    policy = ppo.build_policy(config, config.model)
    envs = make_envs(ALFWORLD, 2, {"group": GROUP, "split": "train", "theme": "train"})
    written = []

    def teach(prompts, generator=None):
        """Write what a person would do, in words of its own state."""
        replies = []
        for env in envs.envs:
            command = env.heuristic()
            assert command in env.legal
            text = vlbench.reply(command, thoughts="go on")
            ids = policy.encoder.encode_reply(text)
            replies.append(Generation(ids, torch.full((len(ids),), -0.5), 0.0, text, True))
        written.append(replies)
        return replies

    monkeypatch.setattr(policy, "generate", teach)
    rollout_envs = RolloutEnvs(envs, range(2), Processes())
    rollout_envs.reset([3, 4])
    buffer = playing.rollout(policy, rollout_envs, config, torch.Generator(), len)
    monitor = rollout_envs.finish_rollout()
    envs.close()
    assert monitor.parsed == monitor.optimal == monitor.turns == 12
    assert monitor.illegal == 0
    for row, replies in zip(buffer.turns, written, strict=True):
        for turn, reply in zip(row, replies, strict=True):
            assert sorted(set(turn.weights.tolist())) == pytest.approx([0.2, 1.0])
            acted = policy.decode(turn.ids[turn.weights == 1].tolist()).lstrip()
            assert acted.startswith('"action": "') and acted in reply.text
            assert turn.sampled_log_probs.tolist() == [-0.5] * len(turn.ids)


def test_a_saved_journal_brings_the_rooms_back_in_other_engines():
    rules = {"group": GROUP, "split": "train", "theme": "train", "jitter": 2}
    envs = make_envs(ALFWORLD, 3, rules)
    journal = Journal(envs.envs)

    def play(envs, number):
        texts = [vlbench.reply(env.heuristic()) for env in envs.envs]
        if number % 4 == 1:
            texts[0] = "I don't know."
        batch, rewards, terminated, truncated, _ = envs.step(texts)
        return texts, batch["image"].copy(), batch["text"], rewards, terminated | truncated

    envs.reset(seed=5)
    ended = 0
    for number in range(9):
        texts, _, _, _, over = play(envs, number)
        journal.add(texts, over)
        ended += over.sum()
    assert ended  # some rooms are the next ones
    saved = json.loads(json.dumps(journal.state()))
    again = make_envs(ALFWORLD, 3, rules)
    again.reset(seed=0)
    observations = Journal(again.envs).restore(saved)
    assert [observation["text"] for observation in observations] == [env.text for env in envs.envs]
    later = 0
    for number in range(12):  # long enough for another deal
        first, second = play(envs, number), play(again, number)
        assert first[0] == second[0] and first[2] == second[2]
        assert np.array_equal(first[1], second[1]) and np.array_equal(first[3], second[3])
        later += first[4].sum()
    assert later
    envs.close()
    again.close()


def test_data_sft_ppo_and_evaluate_run_on_a_handful_of_games(checkpoint, tmp_path, capsys):
    def run(command, *options):
        assert command.main([str(option) for option in options]) == 0
        return capsys.readouterr().out.strip()

    def rows_of(run):
        lines = (tmp_path / run / "metrics.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    group, data = json.dumps({"group": GROUP}), tmp_path / "data.jsonl"
    summary = run(
        sft_data, "--env", "ALFWorld", "--env-kwargs", group, "--episodes", 5, "--out", data
    )
    assert "of 5 episodes" in summary
    assert {group_of(example.instance) for example in sft_data.read(data)} == {GROUP}
    taught = run(
        sft,
        "--model",
        checkpoint,
        "--data",
        data,
        "--out",
        tmp_path / "sft",
        "--steps",
        60,
        "--lr",
        1e-2,
        "--batch",
        8,
        "--eval-episodes",
        1,
    )
    learned = rows_of("sft")
    assert learned[59]["loss"] < 0.5 * learned[0]["loss"]
    ways = (
        "--preset",
        "tiny-alfworld",
        "--model",
        taught,
        "--num-envs",
        2,
        "--num-steps",
        4,
        "--minibatch",
        4,
        "--eval-every",
        2,
        "--eval-episodes",
        1,
        "--log",
        "json",
        "--critic-iterations",
        0,
        "--max-new-tokens",
        40,
    )
    whole = run(ppo, *ways, "--iterations", 2, "--out", tmp_path / "whole")
    run(ppo, *ways, "--iterations", 1, "--out", tmp_path / "parts")
    parts = run(ppo, *ways, "--iterations", 2, "--out", tmp_path / "parts")
    config = json.loads((tmp_path / "whole/settings.jsonl").read_text("utf-8"))["settings"]
    assert config["thought_weight"] == 0.2 and config["env_kwargs"] == {"group": GROUP}
    for row in rows_of("whole")[1:]:
        assert row["losses/ratio_error"] < 1e-3
    weights, resumed = (load_file(Path(end, "model.safetensors")) for end in (whole, parts))
    before = load_file(Path(taught, "model.safetensors"))
    assert any(not torch.equal(weights[name], before[name]) for name in weights)
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    states = [torch.load(Path(end, "trainer.pt"), weights_only=True) for end in (whole, parts)]
    assert states[0]["environments"] == states[1]["environments"]
    answer = run(
        evaluate,
        "--agent",
        "llava",
        "--model",
        whole,
        "--env",
        "ALFWorld",
        "--episodes",
        2,
        "--out",
        tmp_path / "run",
        "--json",
    )
    (card,) = json.loads(answer)["scorecards"]
    assert card["episodes"] == 2 and card["errored"] == 0
    assert set(card["groups"]) == {"look_at_obj_in_light", GROUP}


def test_a_name_is_the_same_tokens_in_the_text_and_in_a_command(checkpoint):
    """A tokenizer that joins words would cut "go to cabinet" and "a cabinet" differently."""
    tokenizer = load(str(checkpoint)).processor.tokenizer
    name = tokenizer.encode(" cabinet 1")
    for text in ("you see a cabinet 1, a", '{"action": "go to cabinet 1"}', "on cabinet 1.\n"):
        ids = tokenizer.encode(text)
        assert name in [ids[place : place + len(name)] for place in range(len(ids))]
