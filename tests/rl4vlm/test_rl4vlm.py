"""RL4VLM's environments behind vlbench's interface: replies, prompts, seeds, records, harness."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image
from support.rl4vlm_games import make, play
from support.rl4vlm_reference import ACTIONS

import vlbench
from agents.evaluate import evaluate
from vlbench import contract
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Episode, Reply, from_json, to_json
from vlbench.replay import Replayer, divergences
from vlbench.rl4vlm.parser import read_action
from vlbench.suites import Row, bounds, suites

every_task = pytest.mark.parametrize("task", ACTIONS)


# Reading


@pytest.mark.parametrize(
    ("task", "reply", "action"),
    [
        ("NumberLine", '{"action": "+"}', "+"),
        ("NumberLine", '{"ACTION": "-"}', "-"),  # case doesn't matter
        ("NumberLine", "I choose +", "+"),  # no key: the last character
        ("NumberLine", "+ it is", None),
        ("NumberLine", '{"action" : "+"}', None),  # a blank before the colon: the last character
        ("NumberLine", "{'action': '+'}", None),
        ("NumberLine", '{"action": "+", "note": "non-trivial"}', None),  # both
        ("NumberLine", '{"action": "-1"}', "-"),
        ("NumberLine", '{"thoughts": "\\"action\\": -", "action": "+"}', "+"),
        ("NumberLine", '{"thoughts": "the "action": - of before", "action": "+"}', None),  # first
        ("NumberLine", "", None),
        ("Blackjack", '{"action": "stand"}', "stand"),
        ("Blackjack", '{"action": "hit", "why": "a stand is worse"}', None),
        ("Blackjack", '{"action": "none", "why": "a white lie"}', "hit"),  # inside a word
        ("Points24", '{"action": "10"}', "10"),
        ("Points24", '{"action": "100"}', "10"),
        ("Points24", '{"action": "10 or 10"}', "10"),
        ("Points24", '{"action": "101"}', None),  # 10 and 1
        ("Points24", '{"action": "12"}', None),  # 1 and 2
        ("Points24", '{"action": "="} because 2*12', None),
        ("Points24", "so: 5", "5"),
        ("EZPoints", '{"action": "-"}', None),  # no action there
    ],
)
def test_replies_are_read_as_the_original_reads_them(task, reply, action):
    assert read_action(reply, ACTIONS[task]) == action
    env = make(task)
    env.reset(seed=0)
    info = env.step(reply)[4]
    assert info["random_action"] == (action is None)
    assert info["action"] == (action or info["action"]) and info["action"] in ACTIONS[task]
    assert (info["status"] == "ok") == (action is not None)


@every_task
def test_what_cannot_be_read_is_drawn_uniformly_from_the_whole_vocabulary(task):
    env = make(task)
    drawn = Counter()
    for seed in range(1500):
        env.reset(seed=seed)
        drawn[env.step("hm?")[4]["action"]] += 1
    assert set(drawn) == set(ACTIONS[task])
    expected = 1500 / len(ACTIONS[task])
    statistic = sum((count - expected) ** 2 / expected for count in drawn.values())
    freedom = len(ACTIONS[task]) - 1
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5  # a false alarm in thousands


@every_task
def test_seed_and_replies_fix_an_episode_and_other_seeds_draw_otherwise(task):
    def walk(seed, **start):
        env = make(task)
        env.reset(seed=seed, **start)
        turns = []
        for _ in range(6):
            *rest, info = env.step("hm?")
            picture = hashlib.sha256(rest[0]["image"].tobytes()).hexdigest()
            turns.append((picture, rest[0]["text"], *rest[1:], info))
            if rest[2] or rest[3]:
                break
        return turns

    assert walk(5) == walk(5)
    assert len({str(walk(seed)) for seed in range(12)}) > 4
    # Instance and presentation fix the random actions, whatever the seed.
    info = make(task).reset(seed=5)[1]
    start = {"instance": info["instance"], "presentation": info["presentation"]}
    assert walk(5) == walk(5, options=start) == walk(77, options=start)


# Prompts

PROMPTS = {
    ("NumberLine", "cot"): ("561aaa3bcfe25b8e", "dd55cb6a29cc7f60"),
    ("NumberLine", "action_only"): ("9500e624c2b5f159", "507cb7fad1038ab9"),
    ("EZPoints", "cot"): ("a11eca9b868615f9", "741d9cf7a80e9826"),
    ("EZPoints", "action_only"): ("e79732bbb26b24ea", "516b624739e62fb8"),
    ("Points24", "cot"): ("0e8ff9abead4b25b", "7dad0c21cc936987"),
    ("Points24", "action_only"): ("b39ea79f6e5f30b7", "8d62fc38c70a98b0"),
    ("Blackjack", "cot"): ("812204364b1ab3b4", "fe9b76a8f5c7e314"),
    ("Blackjack", "action_only"): ("c77f56118408b849", "fccdb6bce2e0af50"),
}
"""sha256 of the prompts at an empty formula, which test_rl4vlm_walk compares with the original, and
of their templates."""


@pytest.mark.parametrize(("task", "prompt"), PROMPTS)
def test_prompts_stay_word_for_word(task, prompt):
    env = make(task, prompt=prompt)
    text = env.reset(seed=0)[0]["text"]
    digests = hashlib.sha256(text.encode()).hexdigest(), env.unwrapped.prompt.sha256
    assert tuple(digest[:16] for digest in digests) == PROMPTS[task, prompt]


def test_the_prompt_joins_the_tokens_where_the_picture_spaces_them():
    env = make("Points24")
    play(env, "rl4vlm_points24/H2-D4-S3-C3", "2 9 4 +".split())
    assert "current formula: 2 4+. You" in env.unwrapped.text
    assert '"current formula": 2 4+, \n' in env.unwrapped.text
    assert env.unwrapped._facts["formula"] == "2   4 +"


def test_there_are_two_prompts_and_no_switches():
    with pytest.raises(ValueError, match="known: cot, action_only"):
        make("Points24", prompt="cot_facts")
    for task, kwargs in (("NumberLine", {"max_position": 9}), ("Points24", {"target": 36})):
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            make(task, **kwargs)


# Stale prompts


def trusting(text):
    """Play EZPoints with the true cards and the formula from the prompt."""

    def choose(env):
        numbers = env.unwrapped._state.hand.numbers
        formula = text(env).split("current formula: ")[1].split(". You")[0]
        a, b = map(str, numbers)
        right = f"{a}+{b}" if int(a) + int(b) == 12 else f"{a}*{b}"
        if not right.startswith(formula):
            return "="  # complete, or from other cards: nothing to append
        rest = right[len(formula) :]
        return "10" if rest.startswith("10") else (rest or "=")[0]

    return choose


@pytest.mark.parametrize(("stale", "share"), [(False, 1.0), (True, 0.5)])
def test_a_player_who_trusts_the_prompt_wins_always_or_every_other_time(stale, share):
    env = make("EZPoints", stale_prompt=stale)
    wins = []
    for seed in range(400):
        observation, info = env.reset(seed=seed)
        choose = trusting(lambda env: observation["text"])  # noqa: B023
        over = False
        while not over:
            observation, _, terminated, truncated, info = env.step(vlbench.reply(choose(env)))
            over = terminated or truncated
        wins.append(info["success"])
    assert sum(wins) / len(wins) == share
    assert wins[:4] == ([True, False, True, False] if stale else [True] * 4)


def test_a_stale_prompt_shows_the_last_formula_once_and_the_instance_says_so():
    env = make("EZPoints", stale_prompt=True)
    observation, info = env.reset(seed=0)
    assert "formula: . You" in observation["text"] and " after " not in info["instance"]
    for token in ("4", "+", "="):
        env.step(vlbench.reply(token))
    observation, info = env.reset()
    last = env.unwrapped._last_formula
    assert info["instance"].endswith(f" after {last}") and last.endswith("+")
    assert f"formula: {last}. You" in observation["text"] and info["facts"]["formula"] == ""
    observation, _, _, _, info = env.step(vlbench.reply("+"))
    assert "formula: +. You" in observation["text"]
    # An explicit instance shows its own formula, wherever it is played.
    other = make("EZPoints", stale_prompt=True)
    observation, _ = other.reset(options={"instance": "rl4vlm_ez_points/D3-H9 after 2 *6"})
    assert "formula: 2 *6. You" in observation["text"]
    with pytest.raises(ValueError, match="stale_prompt=True"):
        make("EZPoints").reset(options={"instance": "rl4vlm_ez_points/D3-H9 after 2*6"})
    for wrong in ("D3-H9 after ", "D3-H9 after 3=9", "D3-H9 after pie", "D3", "D3-H9-C2", "3-9"):
        with pytest.raises(ValueError, match="unknown instance"):
            other.reset(options={"instance": f"rl4vlm_ez_points/{wrong}"})


# Environments like any other


def test_the_ids_are_registered_apart_from_the_benchmark_s():
    assert vlbench.RL4VLM_IDS == tuple(f"rl4vlm/{task}-v0" for task in ACTIONS)
    assert not set(vlbench.RL4VLM_IDS) & set(vlbench.ENV_IDS)
    for env_id in vlbench.RL4VLM_IDS:
        assert suites(env_id) == () and bounds(env_id, "test") is None


BREAKS_ON_PURPOSE = {
    contract.info_is_plain_data_of_constant_form: ACTIONS,  # two keys more; see the next test
    contract.an_unreadable_reply_moves_nothing: ACTIONS,  # it plays a random action
    contract.the_episode_ends_in_time: ACTIONS,  # so bad replies may end it sooner
    contract.values_keep_their_promise: ("EZPoints", "Points24"),  # they don't count on `eval`
    contract.the_picture_shows_every_fact: ("Points24", "Blackjack"),  # it runs off the edge
}


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@every_task
def test_the_rest_of_the_contract_is_kept(task, check):
    if task not in BREAKS_ON_PURPOSE.get(check, ()):
        check(f"rl4vlm/{task}-v0")


@every_task
def test_info_has_two_keys_more_and_is_plain_data(task):
    types = {**contract.INFO_TYPES, "random_action": bool, "note": str}
    env = make(task)
    for seed in range(5):
        infos = [env.reset(seed=seed)[1]]
        over = False
        while not over:
            *_, terminated, truncated, info = env.step("hm?")
            over = terminated or truncated
            infos.append(info)
        assert len(infos) <= env.unwrapped.game.max_turns + 1
        for info in infos:
            assert {key: type(value) for key, value in info.items()} == types
            facts = {key: type(value) for key, value in info["facts"].items()}
            assert facts == {key: type(value) for key, value in infos[0]["facts"].items()}
            json.dumps(info)
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step("+")


@every_task
def test_an_action_must_be_a_text(task):
    env = make(task)
    env.reset(seed=0)
    with pytest.raises(TypeError, match="whole reply"):
        env.step(1)


@pytest.mark.parametrize("kwargs", [{}, {"stale_prompt": True}, {"prompt": "action_only"}])
def test_the_harness_plays_them_and_each_episode_replays_alone(tmp_path, kwargs):
    def talker(observation):
        text = observation["text"]
        words = [*"123456789+-*/()=", "10", "hit", "stand", "no idea", ""]
        number = int(hashlib.sha256(text.encode() + observation["image"].tobytes()).hexdigest(), 16)
        return vlbench.reply(words[number % len(words)])

    for env_id in vlbench.RL4VLM_IDS:
        if "stale_prompt" in kwargs and "Points" not in env_id:
            continue
        rows = [Row(env_id, kwargs, "", 0, seed=seed) for seed in range(12)]
        env = gymnasium.make(env_id, **kwargs)
        episodes = []
        for number, row in enumerate(rows):
            recording = EpisodeRecorder(env, row, number)
            while not recording.end:
                recording.play(Reply(talker(recording.observation)))
            episodes.append(recording.episode())
        assert any(turn.status == "malformed" for e in episodes for turn in e.turns)
        for episode in reversed(episodes):  # alone, and in another order
            again = Replayer().replay(from_json(Episode, json.loads(json.dumps(to_json(episode)))))
            assert again.divergence is None
        if "stale_prompt" in kwargs:
            assert any(" after " in episode.instance for episode in episodes)


def test_evaluate_plays_the_four_from_seeds(tmp_path):
    run = evaluate("expert", "rl4vlm/*", episodes=6, out=tmp_path / "run")
    assert run.header.suite == "seeds" and run.header.env_ids == list(vlbench.RL4VLM_IDS)
    assert not divergences(run.episodes)
    for card in run.scorecards:
        assert card.episodes == 6 and card.success == card.paper_success
    assert {card.env: card.success for card in run.scorecards}["rl4vlm/EZPoints-v0"] == 1
    assert all(turn.regret == 0 for e in run.episodes for turn in e.turns if "jack" not in e.env_id)


def test_regret_of_a_drawn_action_is_that_action_s():
    row = Row("rl4vlm/NumberLine-v0", {}, "rl4vlm_number_line/1-4", 0)
    recording = EpisodeRecorder(gymnasium.make(row.env_id), row)
    turn = recording.play(Reply("hm?"))
    assert turn.regret == (0 if turn.action == "+" else 1)
    assert turn.cause == "format" and turn.status == "malformed"


@every_task
def test_the_vector_env_equals_gymnasium_s(task):
    env_id = f"rl4vlm/{task}-v0"
    vector = gymnasium.make_vec(env_id, num_envs=3, vectorization_mode="vector_entry_point")
    reference = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(env_id)] * 3,
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
    )
    observations = vector.reset(seed=1)[0], reference.reset(seed=1)[0]
    vector.single_action_space.seed(0)
    for turn in range(30):
        for name in ("image", "text"):
            assert np.array_equal(observations[0][name], observations[1][name])
        replies = [vector.single_action_space.sample() if turn % 3 else "hm?" for _ in range(3)]
        results = vector.step(replies), reference.step(tuple(replies))
        assert all(np.array_equal(a, b) for a, b in zip(*(r[1:4] for r in results), strict=True))
        observations = results[0][0], results[1][0]


@pytest.mark.parametrize(
    ("task", "instance", "fields", "verdict"),
    [
        ("NumberLine", "rl4vlm_number_line/1-4", {"current number": "1", "target number": 4}, True),
        ("NumberLine", "rl4vlm_number_line/1-4", {"current number": "2"}, False),
        ("NumberLine", "rl4vlm_number_line/1-4", {"thoughts": "hm"}, None),
        ("EZPoints", "rl4vlm_ez_points/D2-HK", {"cards": [10, 2]}, True),
        ("EZPoints", "rl4vlm_ez_points/D2-HK", {"cards": ["2", "k"], "current formula": ""}, True),
        ("EZPoints", "rl4vlm_ez_points/D2-HK", {"cards": [2, 13]}, False),
        ("EZPoints", "rl4vlm_ez_points/D2-HK", {"current formula": "2+10"}, False),
        ("Blackjack", "rl4vlm_blackjack/1", {"thoughts": "I have 20"}, None),
    ],
)
def test_statements_are_held_against_the_picture(task, instance, fields, verdict):
    env = make(task)
    env.reset(options={"instance": instance})
    assert env.unwrapped.check_statements(fields).perception is verdict


@pytest.mark.parametrize(
    ("task", "instance", "actions"),
    [
        ("NumberLine", "rl4vlm_number_line/1-4", "+"),
        ("EZPoints", "rl4vlm_ez_points/D3-H9", "3 7 + 9"),
        ("Points24", "rl4vlm_points24/HT-DJ-SQ-CA", "( 10 * ( 10 - 10 + 1 ) * 5 + + + + + + + +"),
        ("Blackjack", "rl4vlm_blackjack/66", "hit hit hit hit hit"),
    ],
)
def test_pictures_are_those_of_the_goldens(task, instance, actions, request):
    env = make(task)
    env.reset(options={"instance": instance})
    for action in actions.split():
        frame = env.step(vlbench.reply(action))[0]["image"]
    path = Path(__file__).parents[1] / "goldens" / f"rl4vlm-{env.unwrapped.game.name[7:]}.png"
    if request.config.getoption("--rewrite-goldens"):
        Image.fromarray(frame).save(path)
    with Image.open(path) as golden:
        assert np.array_equal(np.asarray(golden), frame)
    # Painting at once and step by step gives the same pixels.
    inner = env.unwrapped
    inner.picture.paint(frame, inner._state, inner._style)
    assert np.array_equal(frame, inner.frame)
