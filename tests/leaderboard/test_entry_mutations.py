"""Every leaf of an entry with wrong values: refused, or listed as what can't be checked."""

import random
from collections import Counter
from importlib.util import find_spec

import pytest
from support.entry_mutations import (
    Mutable,
    pattern_of,
    short_sets,
    small_entry,
    uncheckable,
    wrong_values,
)

from leaderboard import verify as verification
from leaderboard.archive import Refused
from leaderboard.verify import verify

pytestmark = [pytest.mark.extra, pytest.mark.slow]

CARDS = "NumberLine,EZPoints,Points24,Blackjack"
TIMES = 20
"""Wrong values of each leaf path, at least; a path has one place in each episode and turn."""
PLACES = 30
"""Places of a path that are tried, at most."""


@pytest.fixture
def mutable(request, tmp_path, monkeypatch):
    short_sets(monkeypatch)
    if "ALFWorld" in request.param and find_spec("alfworld") is None:
        pytest.skip("alfworld isn't installed")
    path = small_entry(tmp_path, request.param)
    assert verify(path).mark == "replayed"
    replayer = verification.Replayer()
    monkeypatch.setattr(verification, "Replayer", lambda: replayer)  # environments are made once
    return Mutable(path)


def some_places(leaves, rng):
    """Return the leaves without those of a path beyond PLACES, drawn at random."""
    kept = Counter()
    rng.shuffle(leaves)
    for leaf in leaves:
        kept[pattern_of(*leaf)] += 1
        if kept[pattern_of(*leaf)] <= PLACES:
            yield leaf


@pytest.mark.parametrize("mutable", [CARDS, "ALFWorld"], indirect=True)
def test_a_wrong_value_of_any_leaf_is_refused_or_listed_as_uncheckable(mutable, tmp_path):
    rng = random.Random(0)
    leaves = list(some_places(list(mutable.leaves()), rng))
    places = Counter(pattern_of(*leaf) for leaf in leaves)
    accepted: dict[str, list] = {}
    tried: Counter[str] = Counter()
    for leaf in leaves:
        pattern = pattern_of(*leaf)
        values = wrong_values(mutable.value(*leaf))
        assert len(values) >= TIMES
        count = max(2, -(-TIMES // places[pattern])) if places[pattern] > 1 else len(values)
        for value in rng.sample(values, count):
            mutable.write(*leaf, value, tmp_path / "mutated.tar.gz")
            tried[pattern] += 1
            try:
                verify(tmp_path / "mutated.tar.gz")
            except Refused as error:
                assert "\n" not in str(error) and len(str(error)) < 700
            else:
                accepted.setdefault(pattern, []).append(value)
    assert min(tried.values()) >= TIMES and len(tried) > 60
    unlisted = {
        pattern: values for pattern, values in accepted.items() if pattern not in uncheckable()
    }
    assert not unlisted
