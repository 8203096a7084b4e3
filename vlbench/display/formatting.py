"""Formatting of numbers and times, the same in terminals and on pages.

A missing number is an en dash, and a share is a percentage.
"""

MISSING = "–"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals, as in "0.250"."""
    return MISSING if value is None else f"{value:z.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign, as in "+0.250"."""
    return f"{value:+z.{digits}f}"


def number_range(low: float, high: float, digits: int = 3) -> str:
    """Return two numbers as a range, as in "-0.100 to 0.250"."""
    return f"{number(low, digits)} to {number(high, digits)}"


def percent(share: float | None) -> str:
    """Return a share, 0..1, as a percentage, as in "58.3 %"."""
    return MISSING if share is None else f"{number(100 * share, 1)} %"


def percent_range(low: float, high: float) -> str:
    """Return two shares, 0..1, as in "25.0–75.0 %"; one percentage where they are equal."""
    return percent(high) if low == high else f"{number(100 * low, 1)}–{percent(high)}"


def percent_interval(share: float, low: float, high: float) -> str:
    """Return a share with its interval, as in "58.3 % (32.0–80.7 %)"."""
    return f"{percent(share)} ({percent_range(low, high)})"


def points(value: float, low: float, high: float) -> str:
    """Return a difference of shares in percentage points, as in "+8.3 (-2.0 to +18.7)"."""
    texts = [signed(100 * share, 1) for share in (value, low, high)]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number of things, as in "1 row" and "2 rows".

    Args:
        number: How many.
        one: The name of one.
        many: Of several; by default `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """Return a time in words, as in "45 s", "3 min 10 s" or "2 h 05 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def time_left(done: int, rest: int, seconds: float) -> str:
    """Return how long the rest takes at the pace so far, as in "about 3 min 10 s left".

    Args:
        done: How much has been done, at least 1.
        rest: How much is left.
        seconds: How long it took so far.
    """
    return f"about {duration(rest * seconds / done)} left"


def usd(value: float | None) -> str:
    """Return US dollars, as in "$12.50"; with four decimals below ten cents."""
    if value is None:
        return MISSING
    return f"${number(value, 4 if 0 < value < 0.1 else 2)}"
