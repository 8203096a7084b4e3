"""Results as texts for a terminal."""

from support.hand_worked import ERRORED, PLAYED, hand_worked

from agents.tables import scorecard_table


def test_what_the_table_has_no_column_for_stands_below_it():
    table, *details = scorecard_table([hand_worked([*PLAYED, ERRORED])]).splitlines()[1:]
    assert table.split()[:4] == ["vlbench/ALFWorld-v0", "4", "4", "50.0"]
    assert details == [
        "vlbench/ALFWorld-v0 by type: heat 33.3 % of 3, pick 100.0 % of 1",
        "vlbench/ALFWorld-v0 replies: 15.0 % truncated, 5.0 % refused, 30.0 % recovered, "
        "35.0 % read differently by the strict level (success there 25.0–75.0 %)",
        "vlbench/ALFWorld-v0 episodes with a return above 0: 75.0 %",
        "generated games, schematic pictures: vlbench/ALFWorld-v0",
    ]


def test_nothing_stands_below_the_table_where_there_is_nothing_to_say():
    clean = hand_worked([PLAYED[3]])
    lines = scorecard_table([clean]).splitlines()[2:]
    assert [line for line in lines if "above 0" in line or "strict" in line] == []
    assert "vlbench/ALFWorld-v0 replies: 20.0 % refused" in lines
