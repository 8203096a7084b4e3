"""Numbers are formatted for readers."""

import pytest

from vlbench.display.formatting import (
    counted,
    duration,
    number,
    number_range,
    percent,
    percent_interval,
    percent_range,
    signed,
    time_left,
    usd,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(0.12345), "0.123"),
        (number(-2.5, 1), "-2.5"),
        (number(-0.0001), "0.000"),
        (number(None), "–"),
        (number_range(-0.1, 0.25), "-0.100 to 0.250"),
        (signed(0.5, 1), "+0.5"),
        (signed(-12.34, 1), "-12.3"),
        (percent(0.583), "58.3 %"),
        (percent(None), "–"),
        (percent_range(0.25, 0.75), "25.0–75.0 %"),
        (percent_range(0.5, 0.5), "50.0 %"),
        (percent_interval(0.583, 0.32, 0.807), "58.3 % (32.0–80.7 %)"),
        (counted(1, "row"), "1 row"),
        (counted(0, "row"), "0 rows"),
        (counted(1, "entry", "entries"), "1 entry"),
        (counted(6060, "entry", "entries"), "6,060 entries"),
        (duration(59.4), "59 s"),
        (duration(190), "3 min 10 s"),
        (duration(7500), "2 h 05 min"),
        (time_left(10, 90, 5.0), "about 45 s left"),
        (usd(12.5), "$12.50"),
        (usd(0.0123), "$0.0123"),
        (usd(0.0), "$0.00"),
        (usd(None), "–"),
    ],
)
def test_a_number_is_written_in_one_way(text, expected):
    assert text == expected
