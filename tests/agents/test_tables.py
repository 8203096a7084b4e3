"""Results as texts for a terminal."""

from support.hand_worked import ERRORED, PLAYED, hand_worked

from agents.tables import gain_points, scorecard_table
from vlbench.intervals import Interval


def test_what_the_table_has_no_column_for_stands_below_it():
    table, *details = scorecard_table([hand_worked([*PLAYED, ERRORED])]).splitlines()[1:]
    assert table.split()[:4] == ["vlbench/ALFWorld-v0", "5", "5", "40.0"]
    assert table.split()[-1] == "1"
    assert details == [
        "vlbench/ALFWorld-v0 by type: clean 0.0 % of 1, heat 33.3 % of 3, pick 100.0 % of 1",
        "vlbench/ALFWorld-v0 replies: 14.3 % truncated, 4.8 % refused, 28.6 % recovered, "
        "33.3 % read differently by the strict level (success there 20.0–60.0 %)",
        "vlbench/ALFWorld-v0 episodes with a return above 0: 60.0 %",
        "generated games, schematic pictures: vlbench/ALFWorld-v0",
        "1 of 5 episodes errored and count as failures: vlbench/ALFWorld-v0",
    ]


def test_nothing_stands_below_the_table_where_there_is_nothing_to_say():
    clean = hand_worked([PLAYED[3]])
    lines = scorecard_table([clean]).splitlines()[2:]
    assert [line for line in lines if "above 0" in line or "strict" in line] == []
    assert "vlbench/ALFWorld-v0 replies: 20.0 % refused" in lines


def test_a_visual_gain_that_is_not_clear_of_0_says_so():
    assert gain_points(Interval(0.05, -0.02, 0.125)) == "+5.0 (-2.0 to +12.5), not visual"
    assert gain_points(Interval(0.05, 0.02, 0.125)) == "+5.0 (+2.0 to +12.5)"
    assert gain_points(None) == "–"
