"""The numbers that pages print, worked out by hand."""

import pytest
from support.hand_worked import PLAYED, hand_worked

from leaderboard.pages.tables import Bar, Cause, SuiteResult

pytestmark = pytest.mark.extra


def test_a_bar_is_in_percent_of_its_length_and_ends_at_its_ends():
    assert Bar.of(0.5, 0.25, 0.75) == Bar(value=50.0, low=25.0, width=50.0, marks=())
    assert Bar.of(-0.1, -0.2, 1.5) == Bar(value=0.0, low=0.0, width=100.0, marks=())


def test_a_bar_marks_the_floor_and_a_ceiling_below_its_end():
    assert Bar.of(0.5, 0.5, 0.5, floor=0.0, ceiling=0.4316).marks == (0.0, 43.16)
    assert Bar.of(0.5, 0.5, 0.5, floor=0.28, ceiling=1.0).marks == (28.0,)


def test_causes_stand_one_after_the_other_in_the_bar_of_worse_turns():
    result = SuiteResult.of(hand_worked(PLAYED))
    assert result.causes == (
        Cause("perception", turns=3, start=0),
        Cause("decision", turns=2, start=3),
        Cause("inconsistent", turns=1, start=5),
        Cause("format", turns=9, start=6),
        Cause("unattributed", turns=2, start=15),
    )
    assert (result.worse, result.card.turns) == (17, 20)


def test_causes_of_no_turn_are_left_out():
    result = SuiteResult.of(hand_worked(PLAYED[:1]))
    assert (result.causes, result.worse) == ((Cause("decision", turns=2, start=0),), 2)
