"""Flags: what stands beside a mark when an entry plays or writes as somebody else does."""

import dataclasses
import json
import random

import pytest
from support.sample_entries import ROWS, SUITE, packed, run

import vlbench
import vlbench.suites
from agents.evaluate import evaluate
from leaderboard import site
from leaderboard.flags import Flag, find_shared_texts, wording
from leaderboard.pack import pack
from leaderboard.verify import verify, verify_all

pytestmark = [pytest.mark.extra, pytest.mark.slow]


class Scripted:
    """Writes prepared texts, one a turn, and says that it is a model."""

    name, privileged, settings = "scripted", False, {}

    def __init__(self, texts):
        self.texts = iter(texts)

    async def act(self, observation, env=None):
        return next(self.texts)


class Demonstrator:
    """Writes what the environment demonstrates, as a model tuned on transcripts would."""

    name, privileged, settings = "demonstrator", True, {}

    async def act(self, observation, env=None):
        inner = env.unwrapped
        shown = inner.demonstrate()
        return inner.write_reply(shown.action, shown.fields)


def texts_of(played):
    return [turn.reply.text for episode in played.episodes for turn in episode.turns]


def thinking(actions):
    return [
        vlbench.reply(action, thoughts=f"this is turn {number} and I like {action} best")
        for number, action in enumerate(actions)
    ]


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    return evaluate("expert", "EZPoints", out=tmp_path_factory.mktemp("expert") / "run")


def entry(folder, texts, envs="EZPoints", suite="test", **card):
    run(folder / "run", envs, suite, agent=Scripted(texts))
    return packed(folder / "run", folder / "entry.tar.gz", **card)


def labels(verified):
    return sorted({(flag.label, flag.suspicious) for flag in verified.flags})


def test_an_expert_s_actions_under_made_up_thoughts_are_flagged(expert, tmp_path):
    actions = [turn.action for episode in expert.episodes for turn in episode.turns]
    verified = verify(entry(tmp_path, thinking(actions)))
    assert labels(verified) == [("agrees with the expert", True)]
    # Of two different cards either may come first.
    hands = [episode.instance.partition("/")[2].split("-") for episode in expert.episodes]
    choices = sum(first != second for first, second in hands)
    assert f"{choices} of {choices} turns with several optimal actions" in str(verified.flags[0])


def test_a_player_who_solves_everything_in_an_order_of_its_own_is_not_flagged(tmp_path):
    texts = []
    for row in vlbench.suites.frozen_rows("vlbench/EZPoints-v0", "test"):
        low, high = row.instance.partition("/")[2].split("-")
        operator = next(o for o in "+*" if eval(f"{low}{o}{high}") == row.kwargs["target"])
        first, second = (low, high) if row.presentation % 2 else (high, low)
        texts += thinking([first, operator, second, "="])
    verified = verify(entry(tmp_path, texts))
    assert verified.scores["test"].scorecards[0].success == 1.0
    assert verified.flags == ()


def test_an_expert_s_wording_is_a_note_for_a_trained_model_and_suspicious_for_a_zero_shot_one(
    tmp_path,
):
    texts = texts_of(evaluate(Demonstrator(), "EZPoints", out=tmp_path / "expert"))
    trained = verify(entry(tmp_path / "sft", texts, track="sft"))
    assert labels(trained) == [("trained on expert", False)]
    zero_shot = verify(entry(tmp_path / "zero", texts, track="zero-shot"))
    assert labels(zero_shot) == [("writes like the expert", True)]


def test_a_reference_player_has_no_flags(expert, tmp_path):
    path = tmp_path / "expert.tar.gz"
    pack([expert.folder], {}).write(path)
    assert verify(path).flags == ()


def test_somebody_else_s_texts_under_another_name_are_flagged_in_both_entries(tmp_path):
    texts = thinking(["stand"] * ROWS)
    first = entry(tmp_path / "a", texts, "Blackjack", SUITE, name="First")
    copied = [text.replace("I like", "i  like") for text in texts]  # little changes don't help
    second = entry(tmp_path / "b", copied, "Blackjack", SUITE, name="Second")
    other = entry(
        tmp_path / "c", thinking(["stand"] * (ROWS - 1) + ["hit"] * 9)[::-1], "Blackjack", SUITE
    )
    entries = {e.manifest.card.name: e for e in verify_all([first, second, other]).entries}
    assert labels(entries["First"]) == labels(entries["Second"]) == [("shares texts", True)]
    digest = entries["First"].manifest.digest[:12]
    assert f"{ROWS} of {ROWS} texts (100.0 %) equal those of First ({digest})" in str(
        entries["Second"].flags[0]
    )
    assert entries["Mixed 1"].flags == ()


def test_bare_actions_are_nobody_s_texts(tmp_path):
    texts = ['{"action": "stand"}'] * ROWS
    paths = [entry(tmp_path / n, texts, "Blackjack", SUITE, name=n) for n in ("a", "b")]
    assert all(verified.flags == () for verified in verify_all(paths).entries)


def test_few_texts_are_not_compared_and_a_share_is_of_the_smaller_entry():
    many = {("test", "x#0/0", turn): f"text {turn}" for turn in range(100)}
    some = dict(list(many.items())[:30])
    assert find_shared_texts([many, dict(list(many.items())[:29])]) == []
    (shared,) = find_shared_texts([many, some])
    assert (shared.first, shared.second, shared.same, shared.texts) == (0, 1, 30, 30)
    changed = some | dict.fromkeys(list(some)[:7], "own words")
    assert find_shared_texts([many, changed]) == []


def test_wording_has_neither_numbers_nor_punctuation():
    assert wording('{"current number": 2, "thoughts": "2 < 5"}') == "currentnumber0thoughts00"
    assert wording("12 left") == wording("3  LEFT.") != wording("12 right")


def test_a_card_dated_before_its_run_is_flagged(tmp_path):
    path = entry(tmp_path, ["x"] * 2000, "Blackjack", SUITE, date="2020-01-31")
    (flag,) = verify(path).flags
    assert flag.label == "dated before its run" and "submitted 2020-01-31" in flag.detail


def test_a_coin_that_plays_lost_rows_again_is_found_by_the_order_of_its_journal(tmp_path):
    rng = random.Random(0)
    flips = (vlbench.reply(rng.choice("+-")) for _ in range(50_000))
    folder = tmp_path / "run"
    lucky = 0
    while lucky < 118:  # two rows of the 120 may stay lost
        run(folder, "NumberLine", "paper", agent=Scripted(flips))
        lines = (folder / "episodes.jsonl").read_text("utf-8").splitlines()
        episodes = [json.loads(line) for line in lines]
        won = [line for line, episode in zip(lines, episodes, strict=True) if episode["success"]]
        kept = {f"{e['env_id']}#{e['row']}/{e['repeat']}" for e in episodes if e["success"]}
        lucky = len(won)
        if lucky < 118:
            (folder / "episodes.jsonl").write_text("".join(f"{line}\n" for line in won), "utf-8")
            journal = (folder / "replies.jsonl").read_text("utf-8").splitlines(keepends=True)
            journal = [line for line in journal if json.loads(line)["episode"] in kept]
            (folder / "replies.jsonl").write_text("".join(journal), "utf-8")
    path = packed(folder, tmp_path / "entry.tar.gz")
    (refused,) = verify_all([path]).refused
    assert "late: wanted at most 2% of 120 episodes begun out of order, found " in str(refused)


def test_a_run_that_was_stopped_and_resumed_is_in_order(tmp_path):
    run(tmp_path / "run", "Blackjack", episodes=40)
    verified = verify(packed(run(tmp_path / "run", "Blackjack"), tmp_path / "entry.tar.gz"))
    assert verified.manifest.suites[0].irregularities.late == ()


def test_texts_that_the_journal_does_not_hold_are_not_packed(tmp_path):
    folder = run(tmp_path / "run", "Blackjack")
    text = (folder / "episodes.jsonl").read_text("utf-8")
    (folder / "episodes.jsonl").write_text(text.replace("turn 1 ", "turn 0 ", 1), "utf-8")
    with pytest.raises(ValueError, match="replies.jsonl doesn't hold the replies of vlbench/Black"):
        packed(folder, tmp_path / "entry.tar.gz")


def test_flags_of_one_kind_are_one_pill(tmp_path):
    texts = ["x"] * 2000
    verified = verify(entry(tmp_path, texts, "Blackjack", SUITE))
    flags = (Flag("odd", "one <b>"), Flag("odd", "two"), Flag("fine", "three", suspicious=False))
    site.build([dataclasses.replace(verified, flags=flags)], tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert '<span class="pill wrong" title="one &lt;b&gt;; two">odd</span>' in page
    assert '<span class="pill" title="three">fine</span>' in page


def test_a_retried_episode_is_not_out_of_order(tmp_path):
    """Its first reply comes late, when other episodes have long ended."""
    calls = iter(range(10**6))

    def hangs_up_once(observation):
        if next(calls) == 0:
            raise ConnectionError("hung up")
        return vlbench.reply("stand")

    folder = run(tmp_path / "run", "Blackjack", agent=hangs_up_once, concurrency=8)
    manifest = verify(packed(folder, tmp_path / "entry.tar.gz")).manifest
    assert len(manifest.suites[0].irregularities.retried) == 1
    assert manifest.suites[0].irregularities.late == ()
