"""Time the reply parser against other ways to read an action.

    python -m benchmarks.parsing [--rounds 15] [--json]

Prints the median CPU time of a call in microseconds over interleaved rounds and, in brackets, the
median ratio to `json.loads` of the whole text. Machines differ and drift, so quote the ratios. The
absolute targets use the fastest round.
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

from vlbench.parsing import parse

ACTIONS = tuple("1 2 3 4 5 6 7 8 9 10 + - * / ( ) =".split())
LAST_ACTION = re.compile(r'"action"\s*:\s*"([^"]*)"')

WELL_FORMED = """{
 "cards": [3, 5, 8, 10],
 "numbers": 4,
 "current formula": "(8-3)",
 "thoughts": "The formula so far is (8-3), which makes 5. The cards 5 and 10 are left. \
I could reach 5*5-10, which is only 15, or go on with a product.",
 "action": "*"
}"""
TEXTS = {
    "well-formed": WELL_FORMED,
    "in a code fence": f"```json\n{WELL_FORMED}\n```",
    "draft, then answer": WELL_FORMED.replace('"*"', '"+"') + "\nNo, better:\n" + WELL_FORMED,
    "single quotes": WELL_FORMED.replace('"', "'"),
    "comma missing": WELL_FORMED.replace('.",', '."'),
    "comma too many": WELL_FORMED.replace("\n}", ",\n}"),
    "raw line break": WELL_FORMED.replace(". ", ".\n"),
    "bare words": WELL_FORMED.replace('"*"', '"*" or "+"'),
    "cut off": WELL_FORMED[:-5],
    "2,000 {": "{" * 2_000,
    "100,000 {": "{" * 100_000,
}
MALFORMED = ("single quotes", "comma missing", "comma too many", "raw line break", "bare words")
QUADRATIC = {"json_repair": ("100,000 {",)}  # would take minutes


def guarded(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except (ValueError, RecursionError):
        return None


def readers() -> dict[str, Callable[[str], Any]]:
    functions: dict[str, Callable[[str], Any]] = {
        "json.loads": lambda text: guarded(json.loads, text),
        "vlact-2": lambda text: parse(text, ACTIONS),
        "strict": lambda text: parse(text, ACTIONS, "strict"),
        "regex": lambda text: (LAST_ACTION.findall(text) or [None])[-1],
    }
    try:
        import json_repair
    except ImportError:
        return functions
    return functions | {"json_repair": lambda text: guarded(json_repair.loads, text)}


def cpu_us(read: Callable[[str], Any], text: str, calls: int) -> float:
    start = time.process_time_ns()
    for _ in range(calls):
        read(text)
    return (time.process_time_ns() - start) / calls / 1_000


def measure(rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return text → reader → CPU microseconds a call (`us`, `fastest_us`) and `ratio`."""
    table = {}
    for name, text in TEXTS.items():
        candidates = {
            reader: read
            for reader, read in readers().items()
            if name not in QUADRATIC.get(reader, ())
        }
        calls = {
            reader: max(1, int(3_000 / max(cpu_us(read, text, 3), 0.3)))
            for reader, read in candidates.items()
        }
        times = [
            {reader: cpu_us(read, text, calls[reader]) for reader, read in candidates.items()}
            for _ in range(rounds)
        ]
        table[name] = {
            reader: {
                "us": statistics.median(row[reader] for row in times),
                "fastest_us": min(row[reader] for row in times),
                "ratio": statistics.median(row[reader] / row["json.loads"] for row in times),
            }
            for reader in candidates
        }
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds per text")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    table = measure(arguments.rounds)
    fastest = {name: row["vlact-2"]["fastest_us"] for name, row in table.items()}
    targets = {
        "well-formed in at most 10 us": fastest["well-formed"] <= 10,
        "malformed in at most 100 us": max(fastest[name] for name in MALFORMED) <= 100,
        "100,000 { in at most 0.1 s": fastest["100,000 {"] <= 100_000,
    }
    if arguments.json:
        lengths = {name: len(text) for name, text in TEXTS.items()}
        print(json.dumps({"texts": table, "characters": lengths, "targets": targets}))
        return
    names = list(readers())
    print(f"{'CPU us (x json.loads)':<20} {'chars':>7}" + "".join(f"{name:>21}" for name in names))
    for name, row in table.items():
        cells = (f"{row[n]['us']:.1f} ({row[n]['ratio']:.1f})" if n in row else "-" for n in names)
        print(f"{name:<20} {len(TEXTS[name]):>7}" + "".join(f"{cell:>21}" for cell in cells))
    for target, met in targets.items():
        print(f"{'met' if met else 'MISSED':<7} {target}")


if __name__ == "__main__":
    main()
