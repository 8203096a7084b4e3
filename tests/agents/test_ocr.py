"""The player that reads pictures with a general recognizer: its words, and real ones."""

import json

import gymnasium
import pytest

import vlbench
from agents.evaluate import evaluate
from agents.players.ocr import blackjack, formula, number_line
from agents.players.ocr.agent import PLAYERS
from agents.players.ocr.cards import find_cards
from agents.players.ocr.words import Word
from agents.registry import load_agent


def word(text, left, top, width=10.0, height=16.0, score=1.0):
    return Word(text, score, left, top, left + width, top + height)


def prompt_of(name, **kwargs):
    env = gymnasium.make(f"vlbench/{name}-v0", **kwargs).unwrapped
    env.reset(seed=0)
    return env.text


def test_a_card_has_its_rank_twice_and_at_times_a_third_time_upside_down():
    words = [word("6", 10, 10), word("6", 25, 15, 35, 60), word("9", 60, 90)]
    words += [word("J", 100, 10), word("E", 115, 15, 35, 60), word("10", 190, 10, 16)]
    assert [card.rank for card in find_cards(words, 70)] == [6, 11, 10]


def test_a_word_across_two_cards_is_two_ranks():
    (first, second) = find_cards([word("A5", 10, 10, 140, 60)], 67)
    assert (first.rank, second.rank) == (1, 5)


def test_a_number_stands_beside_its_label_or_under_it():
    prompt = prompt_of("NumberLine", max_position=20)
    words = [word("Target:", 20, 20, 90), word("17", 20, 50, 20), word("Current: 3", 20, 120, 120)]
    play = number_line.play(words, prompt)
    assert (play.facts, play.action, play.lost) == ({"current": 3, "target": 17}, "+", 0)


@pytest.mark.parametrize(
    ("rules", "action"),
    [({"reversed_signs": True}, "-"), ({"ring": True}, "-"), ({}, "+")],
)
def test_the_rules_of_a_line_are_read_from_the_prompt(rules, action):
    words = [word("Target: 19", 20, 20, 120), word("Current: 1", 20, 120, 120)]
    play = number_line.play(words, prompt_of("NumberLine", max_position=20, **rules))
    assert play.action == action


def test_what_cannot_be_read_is_said():
    play = number_line.play([], prompt_of("NumberLine"))
    assert play.lost == 2 and "guess" in play.fields["thoughts"]
    play = formula.play([], prompt_of("EZPoints"))
    assert play.lost == 2 and "guess" in play.fields["thoughts"]
    play = blackjack.play([], prompt_of("Blackjack"))
    assert play.lost == 3 and "guess" in play.fields["thoughts"] and play.action == "stand"


def test_numbers_of_the_formula_are_no_cards_but_stand_on_some():
    env = gymnasium.make("vlbench/EZPoints-v0").unwrapped
    env.reset(options={"instance": "ez_points/2-10"})
    env.step(vlbench.reply("2"))
    words = [word("Q", 10, 60, 20, 40), word("Q", 40, 70, 60, 95)]
    words += [word("Formula: 2", 10, 258, 100, 20)]
    play = formula.play(words, env.text)
    assert play.facts["numbers"] == (2, 10) and play.lost == 0 and play.action in "+*"


def test_the_dealers_cards_lie_under_the_dealers_label():
    words = [word("Player", 5, 5, 50), word("5", 10, 30), word("K", 84, 30)]
    words += [word("Dealer", 5, 130, 50), word("6", 10, 160), word("6", 25, 165, 35, 60)]
    play = blackjack.play(words, prompt_of("Blackjack"))
    assert play.facts["player_cards"] == ("5", "K") and play.facts["dealer_card"] == "6"
    assert play.action == "stand"
    play = blackjack.play(words, prompt_of("Blackjack", bust_above=25, dealer_draws_to=21))
    assert play.action == "hit"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("theme", ["train", "heldout"])
@pytest.mark.parametrize(("env_id", "least"), list(zip(PLAYERS, (1.0, 0.5, 0.5, 0.5), strict=True)))
def test_it_reads_real_pictures_and_decides_well(env_id, least, theme):
    pytest.importorskip("rapidocr_onnxruntime")
    from agents.players.ocr.agent import Reader

    reader, env = Reader(), gymnasium.make(env_id, theme=theme).unwrapped
    best = 0
    for seed in range(6):
        observation, _ = env.reset(seed=seed)
        play = reader.play({**observation, "env_id": env_id})
        values = env.values()
        best += values.get(play.action, -9.0) == max(values.values())
    assert best >= 6 * least


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_run_says_what_read_the_pictures(tmp_path):
    pytest.importorskip("rapidocr_onnxruntime")
    agent = load_agent("ocr")
    assert not agent.privileged and "vlbench/ALFWorld-v0" not in agent.env_ids
    run = evaluate("ocr", "NumberLine", suite="paper", episodes=2, out=tmp_path / "run")
    (card,) = run.scorecards
    assert card.success == 1.0
    (model,) = run.header.models.values()
    assert (
        model.checkpoint.startswith("pypi:rapidocr-onnxruntime@") and len(model.weights_hash) == 64
    )
    text = run.episodes[0].turns[0].reply.text
    assert set(json.loads(text)) == {"current number", "target number", "thoughts", "action"}
