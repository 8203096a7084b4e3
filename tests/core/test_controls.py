"""Controls: observations that show another picture, while everything else stays true."""

import copy
import dataclasses
import hashlib

import gymnasium
import numpy as np
import pytest

import vlbench
from agents.evaluate import evaluate
from agents.registry import load_agent
from vlbench import scoring
from vlbench.freeze import RowSpec, task_suites
from vlbench.freeze.players import visual_gain
from vlbench.intervals import Interval
from vlbench.observation import BLANK, PICTURES
from vlbench.replay import divergences
from vlbench.run_folder import RunFolder
from vlbench.suites import frozen_rows

CONTROLS = PICTURES[1:]
TURNS = 6


def play(env, seed=3, turns=TURNS):
    """Return the observations and what else each turn gave, under replies that the seed fixes."""
    observation, info = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    rest = [info]
    pictures = [observation["image"]]
    for _ in range(turns):
        vocabulary = env.unwrapped.vocabulary
        reply = vlbench.reply(vocabulary[int(rng.integers(len(vocabulary)))])
        observation, reward, terminated, truncated, info = env.step(reply)
        rest.append((observation["text"], reward, terminated, truncated, info))
        pictures.append(observation["image"])
        if terminated or truncated:
            break
    return pictures, rest


@pytest.mark.parametrize("env_id", vlbench.CARD_IDS)
@pytest.mark.parametrize("picture", CONTROLS)
def test_a_control_changes_the_picture_and_nothing_else(env_id, picture):
    for seed in range(5):
        true = gymnasium.make(env_id)
        control = gymnasium.make(env_id, picture=picture)
        _, true_rest = play(true, seed)
        _, control_rest = play(control, seed)
        assert control_rest == true_rest
        assert control.unwrapped.state_hash() == true.unwrapped.state_hash()
        assert control.unwrapped.frame_hash() == true.unwrapped.frame_hash()


@pytest.mark.parametrize("env_id", vlbench.CARD_IDS)
def test_a_blank_picture_is_one_grey(env_id):
    env = gymnasium.make(env_id, picture="blank")
    pictures, _ = play(env)
    assert all((image == BLANK).all() for image in pictures)
    assert env.unwrapped.seen_facts == {}


@pytest.mark.parametrize("env_id", vlbench.CARD_IDS)
def test_a_stale_picture_is_that_of_the_turn_before(env_id):
    for seed in range(5):
        true, _ = play(gymnasium.make(env_id), seed)
        stale, _ = play(gymnasium.make(env_id, picture="stale"), seed)
        for picture, expected in zip(stale, [true[0], *true[:-1]], strict=True):
            assert (picture == expected).all()


@pytest.mark.parametrize("env_id", vlbench.CARD_IDS)
def test_a_shuffled_picture_is_of_another_episode_after_the_same_replies(env_id):
    env = gymnasium.make(env_id, picture="shuffled", split="train")
    for seed in range(10):
        pictures, rest = play(env, seed)
        again, _ = play(gymnasium.make(env_id, picture="shuffled", split="train"), seed)
        assert all((one == other).all() for one, other in zip(pictures, again, strict=True))
        other = env.unwrapped._view._other
        assert other.presentation.instance != rest[0]["instance"]
        assert other.split == "train"
        start = {
            "instance": other.presentation.instance,
            "presentation": other.presentation.number,
        }
        true = gymnasium.make(env_id)
        observation, _ = true.reset(options=start)
        assert (observation["image"] == pictures[0]).all()
        assert env.unwrapped.seen_facts == other._facts


@pytest.mark.parametrize("picture", CONTROLS)
def test_the_vector_environment_shows_what_single_ones_show(picture):
    env_id = "vlbench/Points24-v0"
    kwargs = {"num_envs": 2, "vectorization_mode": "vector_entry_point", "picture": picture}
    envs = gymnasium.make_vec(env_id, **kwargs)
    singles = [gymnasium.make(env_id, picture=picture) for _ in range(2)]
    batch, _ = envs.reset(seed=[5, 6])
    pictures = [env.reset(seed=seed)[0]["image"] for env, seed in zip(singles, (5, 6), strict=True)]
    for action in ("+", "(", "1", "*", "="):
        assert (batch["image"] == np.stack(pictures)).all()
        reply = vlbench.reply(action)
        batch, *_, infos = envs.step([reply, reply])
        pictures = [env.step(reply)[0]["image"] for env in singles]
    last = np.stack([final["image"] for final in infos["final_obs"]])
    assert (last == np.stack(pictures)).all()


@pytest.mark.parametrize("picture", CONTROLS)
def test_a_copied_environment_shows_what_the_first_one_shows(picture):
    env = gymnasium.make("vlbench/EZPoints-v0", picture=picture).unwrapped
    env.reset(seed=4)
    env.step(vlbench.reply("+"))
    twin = copy.deepcopy(env)
    for one in (env, twin):
        one.step(vlbench.reply("*"))
    assert (env.observe()["image"] == twin.observe()["image"]).all()
    assert env.seen_facts == twin.seen_facts


@pytest.mark.parametrize("env_id", vlbench.CARD_IDS)
def test_the_text_tells_a_player_the_cards_and_numbers_only_where_it_states_them(env_id):
    for prompt, is_told in (("cot", False), ("action_only", False), ("cot_facts", True)):
        env = gymnasium.make(env_id, prompt=prompt, picture="blank").unwrapped
        env.reset(seed=3)
        assert bool(env.text_facts) == is_told
        player = load_agent("heuristic-by-text")
        chosen = player.choose(env)
        assert chosen == (env.expert() if is_told else env.vocabulary[0])


def test_an_unknown_control_is_refused():
    with pytest.raises(ValueError, match='unknown picture "blanc"; did you mean "blank"'):
        gymnasium.make("vlbench/NumberLine-v0", picture="blanc")


def test_where_a_rule_has_one_instance_another_is_shown_under_the_usual_rules():
    # With a target of 121, the only hand is 11 and 11.
    env = gymnasium.make("vlbench/EZPoints-v0", target=121, faces=11, picture="shuffled")
    _, info = env.reset(seed=0)
    other = env.unwrapped._view._other
    assert info["instance"] == "ez_points/11-11" != other.presentation.instance
    assert other.game.target == 12


def test_where_there_is_no_other_instance_at_all_none_is_shown(monkeypatch):
    env = gymnasium.make("vlbench/NumberLine-v0", picture="shuffled")
    monkeypatch.setattr(type(env.unwrapped.game), "deal", lambda self, rng: "number_line/0-1")
    with pytest.raises(ValueError, match="no other instance"):
        env.reset(seed=0)


@pytest.mark.parametrize("picture", CONTROLS)
def test_a_run_records_what_the_agent_saw_and_replays(picture, tmp_path):
    hashes = []

    def look(observation):
        hashes.append(hashlib.sha256(observation["image"].tobytes()).hexdigest())
        return vlbench.reply("+")

    ids = "NumberLine,EZPoints"
    true = evaluate(lambda observation: vlbench.reply("+"), ids, episodes=4)
    run = evaluate(look, ids, episodes=4, picture=picture, concurrency=1, out=tmp_path / "run")
    assert run.header.picture == picture
    assert RunFolder.open(tmp_path / "run").header.picture == picture
    turns = [turn for episode in run.episodes for turn in episode.turns]
    assert [turn.seen_hash for turn in turns] == hashes
    assert [turn.frame_hash for turn in turns] == [
        turn.frame_hash for episode in true.episodes for turn in episode.turns
    ]
    assert all(not turn.seen_hash for episode in true.episodes for turn in episode.turns)
    assert divergences(run.episodes) == []
    first, *rest = run.episodes[0].turns
    forged = dataclasses.replace(
        run.episodes[0], turns=(dataclasses.replace(first, seen_hash="0" * 64), *rest)
    )
    assert [d.field for d in divergences([forged])] == ["seen_hash"]


def test_a_run_goes_on_with_no_other_picture(tmp_path):
    evaluate("random", "NumberLine", episodes=1, picture="blank", out=tmp_path)
    with pytest.raises(ValueError, match="picture is 'blank' there, 'stale' here"):
        evaluate("random", "NumberLine", episodes=1, picture="stale", out=tmp_path)


@pytest.mark.parametrize("env_id", vlbench.CARD_IDS)
def test_the_pictures_facts_are_all_that_an_expert_needs(env_id):
    env = gymnasium.make(env_id).unwrapped
    rng = np.random.default_rng(0)
    for seed in range(10):
        env.reset(seed=seed)
        while not env.is_over:
            values = env.values()
            action = env.expert_by_picture(env.seen_facts)
            assert values[action] == pytest.approx(max(values.values()))
            legal = env.legal
            drawn = legal[int(rng.integers(len(legal)))]
            env.step(vlbench.reply(action if rng.random() < 0.7 else drawn))


def test_the_expert_by_picture_wins_with_the_picture_and_falls_back_without_it():
    ids = "NumberLine,EZPoints"
    cards = {
        picture: evaluate("expert-by-picture", ids, episodes=20, picture=picture).scorecards
        for picture in ("true", "blank", "shuffled")
    }
    assert [card.success for card in cards["true"]] == [1, 1]
    assert [card.regret for card in cards["true"]] == [0, 0]
    for card in (*cards["blank"], *cards["shuffled"]):
        assert card.success_high < 1
        assert card.regret > 0
    random = evaluate("random", ids, episodes=20).scorecards
    assert [card.success for card in cards["blank"]] == [card.success for card in random]


def test_a_suites_visual_gain_is_what_the_expert_by_picture_loses_without_it():
    frozen = frozen_rows("vlbench/EZPoints-v0", "test")[:30]
    rows = [RowSpec(row.kwargs, row.instance, row.presentation) for row in frozen]
    gain = visual_gain("vlbench/EZPoints-v0", task_suites("vlbench/EZPoints-v0"), rows)
    assert gain.value == 1 and 0 < gain.low <= gain.high == 1


def test_a_suite_whose_pictures_are_worth_nothing_is_marked(monkeypatch):
    facts = scoring.suite_facts("vlbench/EZPoints-v0", "test")
    clear, unclear = Interval(0.5, 0.4, 0.6), Interval(0.1, 0.0, 0.2)
    for gain, marked in ((clear, False), (unclear, True), (None, False)):
        known = dataclasses.replace(facts, visual_gain=gain)
        monkeypatch.setattr(scoring, "suite_facts", lambda *_, known=known: known)
        assert (scoring.NOT_VISUAL in scoring.notes("vlbench/EZPoints-v0", "test")) == marked
