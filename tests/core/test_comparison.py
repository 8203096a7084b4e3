"""Runs are compared over all repeats and over seeds, and by what differs between them."""

import dataclasses

import pytest
from support.hand_worked import PLAYED, hand_worked
from support.sample_episodes import header

from agents.compare import main
from agents.evaluate import evaluate
from vlbench.comparison import compare, differences, repeats_of, seed_means
from vlbench.comparison.repeats import flip_chance, pass_chance
from vlbench.intervals import Interval
from vlbench.records import ModelInfo

SOLVED = dataclasses.replace(PLAYED[0], success=True, end="terminated")
FAILED = dataclasses.replace(PLAYED[0], success=False, end="terminated")


def tries(outcomes, row=0):
    """Return repeats of a row, solved where the outcome is 1; each has texts of its own."""
    return [
        dataclasses.replace(
            SOLVED if outcome == "1" else FAILED,
            row=row,
            repeat=number,
            instance=f"{PLAYED[0].instance.partition('/')[0]}/{row}",
            turns=PLAYED[0].turns[: 1 + number % 2],
        )
        for number, outcome in enumerate(outcomes)
    ]


def test_the_chance_that_k_tries_all_succeed():
    # Of 4 tries 3 succeeded: 3 of the 6 pairs hold no failure, 1 of the 4 triples.
    assert [pass_chance(4, 3, k) for k in (1, 2, 3, 4)] == [0.75, 0.5, 0.25, 0.0]
    assert pass_chance(3, 3, 3) == 1.0


def test_the_chance_that_two_tries_end_differently():
    # 3 of the 6 pairs of 4 tries hold the one failure.
    assert flip_chance(4, 3) == 0.5 and flip_chance(2, 1) == 1.0 and flip_chance(5, 5) == 0.0


def test_repeats_are_averaged_over_rows():
    (repeats,) = repeats_of([*tries("1110"), *tries("1111", row=1), *tries("1", row=2)])
    assert (repeats.rows, repeats.repeats, list(repeats.passes)) == (2, 4, [1, 2, 4])
    assert repeats.passes[1].value == (0.75 + 1) / 2
    assert repeats.passes[2].value == (0.5 + 1) / 2
    assert repeats.passes[4].value == (0 + 1) / 2
    assert repeats.flips.value == (0.5 + 0) / 2
    assert repeats_of(tries("1")) == []


def test_a_chance_of_1_on_every_row_has_an_interval():
    (repeats,) = repeats_of([*tries("11"), *tries("11", row=1)])
    # Wilson's for 2 of 2 instances: 1 / (1 + 1.96² / 2).
    assert repeats.passes[2].low == pytest.approx(1 / (1 + 1.959964**2 / 2), abs=1e-6)


def test_all_repeats_of_both_runs_count():
    first = [*tries("10"), *tries("00", row=1)]
    second = [*tries("1110"), *tries("1", row=1)]
    (comparison,) = compare(first, second)
    assert comparison.rows == 2
    assert comparison.success.value == ((0.75 - 0.5) + (1 - 0)) / 2
    assert (comparison.only_first, comparison.only_second) == (0, 2)


def test_a_run_less_itself_is_0_without_doubt():
    run = [*tries("10"), *tries("01", row=1)]
    (comparison,) = compare(run, list(reversed(run)))
    assert comparison.success == comparison.mean_return == Interval(0.0, 0.0, 0.0)
    assert comparison.regret in (None, Interval(0.0, 0.0, 0.0)) and not comparison.separated


def test_what_differs_is_named_with_the_value_of_each_run():
    weights = [ModelInfo(weights_hash=letter * 64) for letter in "ab"]
    settings = {"temperature": 0.0, "seed": 0}
    one = dataclasses.replace(header(), settings=settings, models={"": weights[0]})
    other = dataclasses.replace(
        one,
        settings={"temperature": 0.7, "seed": 0, "top_p": 0.9},
        models={"": weights[1]},
        theme="slate",
        started="2026-01-01T00:00:00Z",
    )
    found = {each.name: each.values for each in differences([one, other, one])}
    assert found == {
        "temperature": ("0.0", "0.7", "0.0"),
        "top_p": ("–", "0.9", "–"),
        "weights": ("sha256 aaaaaaaaaaaa", "sha256 bbbbbbbbbbbb", "sha256 aaaaaaaaaaaa"),
        "theme": ("–", "slate", "–"),
    }
    assert differences([one, one]) == []


def test_a_mean_over_seeds_has_student_s_interval():
    card = hand_worked(PLAYED)
    cards = [[dataclasses.replace(card, success=rate)] for rate in (0.4, 0.5, 0.6)]
    (mean,) = seed_means(cards)
    # The deviation is 0.1, and t of 2 degrees of freedom 4.3027: 0.1 · 4.3027 / √3 = 0.24842.
    assert mean.seeds == 3 and mean.success.value == pytest.approx(0.5)
    assert mean.success.high - 0.5 == pytest.approx(0.24842, abs=1e-5)
    with pytest.raises(ValueError, match="at least 2 runs, got 1"):
        seed_means(cards[:1])
    with pytest.raises(ValueError, match="no environment in common"):
        seed_means([cards[0], []])


def test_three_runs_are_compared_on_the_command_line(tmp_path, capsys):
    for number in (1, 2, 3):
        evaluate("random", "EZPoints", episodes=4, repeats=number, out=tmp_path / f"r{number}")
    capsys.readouterr()
    assert main([*(str(tmp_path / f"r{n}") for n in (1, 2, 3)), "--seeds"]) == 0
    out = capsys.readouterr().out
    folders = [f"random in {tmp_path / name}" for name in ("r1", "r2", "r3")]
    assert f"second less first: {folders[1]} less {folders[0]}" in out
    assert f"third less first: {folders[2]} less {folders[0]}" in out
    assert out.splitlines()[1].split() == ["repeats", "1", "2", "3"]
    assert "pass^2" in out and "flip rate" in out and "mean over seeds" in out
