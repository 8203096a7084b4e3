"""The source tree stays readable: few modules per folder, one-way imports, short functions."""

import ast
from pathlib import Path

import pytest

from scripts.house_counts import LIMITS, count_house, main
from scripts.source_tree import (
    Import,
    bound_names,
    circles,
    code_lines,
    parameters,
    points_up,
)

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def counts():
    return {count.name: count for count in count_house(ROOT)}


@pytest.mark.parametrize("name", LIMITS)
def test_no_count_is_above_its_limit(counts, name):
    count = counts[name]
    assert count.value <= LIMITS[name], "\n".join(count.items)


@pytest.mark.parametrize(
    ("importer", "imported", "up"),
    [
        ("vlbench.env", "vlbench.scoring", True),
        ("vlbench.scoring", "vlbench.env", False),
        ("vlbench.env", "agents.agent", True),
        ("vlbench.__main__", "agents.cli", False),
        ("agents.agent", "vlbench.env", False),
        ("agents.agent", "leaderboard.site", True),
        ("leaderboard.site", "agents.agent", True),
        ("vlbench.tasks.points24.game", "vlbench.tasks.formula.game", False),
        ("vlbench.tasks.formula.game", "vlbench.tasks.points24.game", True),
        ("vlbench.tasks.points24.game", "vlbench.tasks.points24", False),
        ("vlbench.tasks.points24.game", "vlbench.tasks.blackjack.game", True),
        ("vlbench.tasks.alfworld_thor", "vlbench.tasks.alfworld.game", False),
        ("vlbench.tasks.alfworld.env", "vlbench.tasks.alfworld_thor", True),
        ("agents.vlm.policy", "agents.train.ppo", True),
        ("agents.train.ppo", "agents.vlm.policy", False),
        ("agents.providers.base", "agents.vlm.policy", True),
    ],
)
def test_imports_point_from_high_layers_to_low_ones(importer, imported, up):
    assert points_up(Import(importer, imported)) == up


def test_circles_are_found_at_any_length():
    arrows = {Import(*arrow) for arrow in ("ab", "bc", "ca", "cd", "de", "ed", "fa")}
    assert circles(arrows) == [("a", "b", "c"), ("d", "e")]


FUNCTION = '''
@decorator
def play(self, row, *rest, seed=0, **options):
    """One line.

    Three more.
    """
    total = row.left = 1

    return total
'''


def test_a_function_counts_without_its_decorators_and_docstring():
    (function,) = ast.parse(FUNCTION).body
    assert code_lines(function) == 4
    assert parameters(function) == 2
    assert sorted(bound_names(function)) == [
        "left",
        "options",
        "rest",
        "row",
        "seed",
        "self",
        "total",
    ]


def test_a_folder_that_is_no_checkout_is_refused_in_one_line(tmp_path, capsys):
    assert main(["--root", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert not printed.out and printed.err.count("\n") == 1
    assert "no vlbench package" in printed.err
