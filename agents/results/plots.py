"""A paper's figures (extra `paper`): bars and curves with 95 % intervals, as PNG, PDF or SVG."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlbench.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = (".png", ".pdf", ".svg")
"""Endings of the files that can be drawn."""
NO_MATPLOTLIB = 'a figure needs matplotlib; install it with: pip install "vlbench[paper]"'
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which colour-blind people can tell apart."""
MARKERS = "osD^vP*"
DASHES = ((4.0, 2.0), (1.0, 1.5))
"""Lengths of the dashes and gaps of lines, in points."""
SHIFT = 0.02
"""Distance of the whiskers of two curves, as a share of the x axis, where there is room."""
MARGIN = 0.03
"""Least distance of a line from the x axis, which would hide it, as a share of the y axis."""


def check_figure(path: Path) -> None:
    """Check that a figure can be written to a file.

    Raises:
        ValueError: Its ending is unknown, or the file is of another kind.
    """
    if path.suffix not in KINDS:
        raise ValueError(f'{path} must end in {", ".join(KINDS)}; got "{path.suffix}"')
    starts = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file")
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if not file.read(8).startswith(starts[path.suffix]):
                raise ValueError(f"{path} exists and isn't a figure; choose another name")


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[Interval | None]],
    label: str,
    lines: Mapping[str, Sequence[float | None]] = {},
) -> "Figure":
    """Draw bars with intervals.

    Args:
        groups: The places along the x axis, e.g. tasks.
        series: Name → a value for each group; None where there is none.
        label: Of the y axis.
        lines: Name → a short dashed line for each group, e.g. floors.

    Raises:
        ValueError: matplotlib isn't installed.
    """
    figure, axes = _figure(1, max(4.0, 1.1 * len(groups) + 1.4))
    room = 0.8 / max(len(series), 1)
    for number, (name, values) in enumerate(series.items()):
        positions = [place - 0.4 + (number + 0.5) * room for place in range(len(groups))]
        bars = [(x, v) for x, v in zip(positions, values, strict=True) if v is not None]
        axes[0].bar(
            [x for x, _ in bars],
            [v.value for _, v in bars],
            0.92 * room,
            yerr=_errors([v for _, v in bars]),
            capsize=3,
            color=COLOURS[number % len(COLOURS)],
            error_kw={"elinewidth": 1.0},
            label=name,
        )
    for dashes, (name, heights) in zip(DASHES, lines.items(), strict=False):
        known = [(place, height) for place, height in enumerate(heights) if height is not None]
        for number, (place, height) in enumerate(known):
            label_once = "_nolegend_" if number else name
            ends = [place - 0.45, place + 0.45]
            axes[0].plot(
                ends, [height] * 2, dashes=dashes, color="0.35", linewidth=1.2, label=label_once
            )
    low, high = axes[0].get_ylim()
    every = [height for heights in lines.values() for height in heights if height is not None]
    if every and min(every) < low + MARGIN * (high - low):
        axes[0].set_ylim(low - MARGIN * (high - low), high)
    axes[0].set_xticks(range(len(groups)), groups)
    return _finished(figure, axes[0], label)


def curve(
    lines: Mapping[str, Sequence[tuple[Any, Interval]]],
    across: str,
    label: str,
    floors: Sequence[tuple[Any, float]] = (),
) -> "Figure":
    """Draw curves with intervals.

    Args:
        lines: Name → points (x, value); numbers have a scale, other x are places side by side.
            Each line is shifted a little along x, so that no whisker lies on another.
        across: Label of the x axis.
        label: Of the y axis.
        floors: Points of a dashed line: random play.

    Raises:
        ValueError: matplotlib isn't installed.
    """
    figure, axes = _figure(1, 5.0)
    every = [x for points in lines.values() for x, _ in points]
    numeric = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in every)
    places = {x: x if numeric else n for n, x in enumerate(dict.fromkeys(every))}
    shifts = _shifts(len(lines), list(places.values()))
    for number, (name, points) in enumerate(lines.items()):
        axes[0].errorbar(
            [places[x] + shifts[number] for x, _ in points],
            [value.value for _, value in points],
            yerr=_errors([value for _, value in points]),
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            linewidth=1.6,
            elinewidth=1.0,
            capsize=3,
            label=name,
        )
    if floors:
        axes[0].plot(
            [places[x] for x, _ in floors],
            [floor for _, floor in floors],
            "--",
            color="0.35",
            linewidth=1.2,
            label="random play (floor)",
        )
    axes[0].set_xticks(list(places.values()), [str(x) for x in places])
    axes[0].set_xlabel(across)
    return _finished(figure, axes[0], label)


def _shifts(count: int, places: Sequence[float]) -> list[float]:
    """Return how far each of `count` lines is shifted along x, their mean not at all."""
    ordered = sorted(places)
    gaps = [right - left for left, right in pairwise(ordered)]
    step = min(SHIFT * (ordered[-1] - ordered[0]), min(gaps) / (2 * count)) if gaps else SHIFT
    return [step * (number - (count - 1) / 2) for number in range(count)]


def save(figure: "Figure", path: Path) -> None:
    """Write a figure; the same figure gives the same bytes.

    Raises:
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    figure.savefig(path, dpi=200, bbox_inches="tight", metadata=dates.get(path.suffix))


def _errors(values: Sequence[Interval]) -> list[list[float]]:
    """Return the lengths of the whiskers below and above."""
    return [
        [max(v.value - v.low, 0.0) for v in values],
        [max(v.high - v.value, 0.0) for v in values],
    ]


def _figure(rows: int, width: float) -> "tuple[Figure, list[Axes]]":
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(NO_MATPLOTLIB) from error
    figure = Figure(figsize=(width, 3.2 * rows))
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, 1, number + 1) for number in range(rows)]


def _finished(figure: "Figure", axes: "Axes", label: str) -> "Figure":
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
