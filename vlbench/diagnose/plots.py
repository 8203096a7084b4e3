"""Plots as inline SVG. Every text is escaped; colours are classes of the page's style."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 420, 240
"""Size of a plot, in pixels."""

LEFT, RIGHT, TOP, BOTTOM = 48, 410, 10, 206
"""Edges of the area that data is drawn in."""

MOST_POINTS = 2000
"""Most points of a scatter plot; of more, every k-th is drawn."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, with a whisker."""

    place: int
    """Number of its slot, from 0."""
    size: float
    """At least 0."""
    error: float
    """Length of each half of the whisker."""
    title: str


class _Axis:
    """A linear axis.

    Args:
        values: What it must cover.
        start: Pixel of the least value.
        end: Pixel of the greatest.
    """

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.least, self.greatest = min(values), max(values)
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.greatest - self.least
        share = (value - self.least) / span if span else 0.5
        return self._start + share * (self._end - self._start)


def scatter(points: Sequence[tuple[float, float]], caption: str) -> str:
    """Plot points, with a line at height 0."""
    across = _Axis([x for x, _ in points], LEFT, RIGHT)
    up = _Axis([0.0, *(y for _, y in points)], BOTTOM, TOP)
    step = -(-len(points) // MOST_POINTS)
    marks = "".join(
        f'<circle class="mark" r="2.5" fill-opacity="0.4" cx="{across.place(x):.1f}" '
        f'cy="{up.place(y):.1f}"/>'
        for x, y in points[::step]
    )
    line = f'<path class="axis" d="M{LEFT} {up.place(0):.1f}H{RIGHT}"/>'
    labels = _below(f"{across.least:.3g}", f"{across.greatest:.3g}") + _beside(up)
    return _figure(line + marks + labels, caption)


def whiskers(bars: Sequence[Bar], caption: str) -> str:
    """Plot upright bars with whiskers."""
    up = _Axis([0.0, *(bar.size + bar.error for bar in bars)], BOTTOM, TOP)
    last = max(bar.place for bar in bars)
    slot = (RIGHT - LEFT) / (last + 1)
    marks = []
    for bar in bars:
        middle, top = LEFT + slot * (bar.place + 0.5), up.place(bar.size)
        low, high = up.place(max(0.0, bar.size - bar.error)), up.place(bar.size + bar.error)
        marks.append(
            f'<rect class="mark" x="{middle - 0.4 * slot:.1f}" y="{top:.1f}" '
            f'width="{0.8 * slot:.1f}" height="{up.place(0) - top:.1f}">'
            f"<title>{_text(bar.title)}</title></rect>"
            f'<path class="whisker" d="M{middle:.1f} {low:.1f}V{high:.1f}"/>'
        )
    return _figure("".join(marks) + _below("0", str(last) if last else "") + _beside(up), caption)


def stacks(rows: Mapping[str, Mapping[str, float]], caption: str) -> str:
    """Plot a stacked bar for each row, from the shares of its parts, and a legend.

    Args:
        rows: Label → part → share; an empty row is constant. A part's name is its class.
        caption: Text below the plot.
    """
    marks = []
    for number, (label, parts) in enumerate(rows.items()):
        top, place = 24 + 60 * number, 60.0
        marks.append(f'<text x="0" y="{top + 20}">{_text(label)}</text>')
        if not parts:
            marks.append(f'<text x="60" y="{top + 20}">constant</text>')
        for name, share in parts.items():
            width = (RIGHT - 60) * share
            marks.append(
                f'<rect class="{name}" x="{place:.1f}" y="{top}" width="{width:.1f}" height="34">'
                f"<title>{name} {100 * share:.1f} %</title></rect>"
            )
            place += width
    names = dict.fromkeys(name for parts in rows.values() for name in parts)
    for number, name in enumerate(names):
        x = 60 + 90 * number
        marks.append(f'<rect class="{name}" x="{x}" y="160" width="10" height="10"/>')
        marks.append(f'<text x="{x + 15}" y="169">{name}</text>')
    return _figure("".join(marks), caption)


def bars(counts: Mapping[str, int], caption: str, classes: Mapping[str, str] | None = None) -> str:
    """Plot counts as horizontal bars.

    Args:
        counts: Label → count; at least one.
        caption: Text below the plot.
        classes: Label → class; None for one colour.
    """
    slot = min(30.0, (HEIGHT - 10) / len(counts))
    most = max(1, *counts.values())
    marks = []
    for number, (label, count) in enumerate(counts.items()):
        top, width = 5 + slot * number, (WIDTH - 170) * count / most
        kind = classes[label] if classes else "mark"
        marks.append(
            f'<text x="0" y="{top + 0.65 * slot:.1f}">{_text(f"{label:.18}")}</text>'
            f'<rect class="{kind}" x="120" y="{top:.1f}" width="{width:.1f}" '
            f'height="{0.8 * slot:.1f}"/>'
            f'<text x="{126 + width:.1f}" y="{top + 0.65 * slot:.1f}">{count}</text>'
        )
    return _figure("".join(marks), caption)


def _below(first: str, last: str) -> str:
    y = BOTTOM + 14
    return (
        f'<text x="{LEFT}" y="{y}">{first}</text>'
        f'<text x="{RIGHT}" y="{y}" text-anchor="end">{last}</text>'
    )


def _beside(up: _Axis) -> str:
    return (
        f'<text x="0" y="{BOTTOM}">{up.least:.3g}</text>'
        f'<text x="0" y="{TOP + 8}">{up.greatest:.3g}</text>'
    )


def _figure(content: str, caption: str) -> str:
    return (
        f'<figure class="panel"><svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{_text(caption)}">{content}</svg>'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _text(text: str) -> str:
    """Escape a text; control characters, which XML can't hold, become a replacement character."""
    return html.escape(
        "".join(c if c >= " " and c not in _NONCHARACTERS else "\ufffd" for c in text)
    )


_NONCHARACTERS = frozenset("\ufffe\uffff")
