"""Entries with blank runs show a visual gain; a trained model ranks only if chosen on val."""

import dataclasses

import pytest
from support.sample_entries import CARD, SUITE, packed, run

from leaderboard import ranking, site
from leaderboard.pack import pack
from leaderboard.published import KINDS, reported_rows
from leaderboard.verify import verify

pytestmark = pytest.mark.extra
BLACKJACK = "vlbench/Blackjack-v0"
REFERENCE = {"name": "sees", "model": "", "weights": "none", "track": "reference"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gain")
    return {
        picture: run(folder / picture, agent="expert-by-picture", picture=picture)
        for picture in ("true", "blank", "stale")
    }


@pytest.fixture(scope="module")
def path(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("entry") / "sees.tar.gz"
    pack([runs["true"], runs["blank"]], REFERENCE).write(path)
    return path


def test_a_blank_run_beside_a_run_gives_its_visual_gain(path):
    entry = verify(path)
    assert [suite.part.name for suite in entry.manifest.suites] == [
        f"{SUITE}.jsonl",
        f"{SUITE}-blank.jsonl",
    ]
    card = ranking.scorecard(entry, SUITE, BLACKJACK)
    blind = ranking.scorecard(entry, f"{SUITE}-blank", BLACKJACK)
    assert card.visual_gain.value == pytest.approx(card.success - blind.success)
    assert blind.visual_gain is None


def test_pages_show_the_gain_and_the_regret(path, tmp_path):
    assert site.main([str(path), "--out", str(tmp_path / "site")]) == 0
    gain = ranking.scorecard(verify(path), SUITE, BLACKJACK).visual_gain
    shown = f"{100 * gain.value:+.1f}"
    pages = list((tmp_path / "site" / "entries").iterdir())
    if SUITE == "test":
        pages += [tmp_path / "site" / name for name in ("index.html", "tasks/blackjack.html")]
    for page in pages:
        assert shown in page.read_text("utf-8"), page
    assert "regret" in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_a_blank_run_alone_and_other_controls_are_refused(runs):
    with pytest.raises(ValueError, match=f"{SUITE}-blank needs the run on {SUITE} beside it"):
        pack([runs["blank"]], REFERENCE)
    with pytest.raises(ValueError, match="whose picture is true or blank, found stale"):
        pack([runs["true"], runs["stale"]], REFERENCE)


@pytest.mark.parametrize(
    ("track", "chosen", "ranks"),
    [
        ("zero-shot", "", True),
        ("sft", "", False),
        ("rl", "last", False),
        ("rl", "peak", False),
        ("rl", "val", True),
        ("specialist", "", False),
    ],
)
def test_only_a_checkpoint_that_was_chosen_on_val_ranks(tmp_path, runs, track, chosen, ranks):
    def stands(observation):
        return '{"action": "stand"}'

    path = packed(
        run(tmp_path / "run", agent=stands), tmp_path / "a.tar.gz", track=track, chosen=chosen
    )
    (standing,) = ranking.by_task([verify(path)], SUITE, BLACKJACK)
    assert (standing.tie_group == 1) == ranks
    card = standing.entry.manifest.card
    assert card.chosen == chosen and card.ranks == ranks and CARD["name"] == card.name
    assert dataclasses.is_dataclass(standing)


def test_a_published_number_of_training_is_labelled_and_is_no_yardstick():
    for row in reported_rows():
        assert ("yardstick" in KINDS[row.kind]) == row.kind.startswith("training")
        if "training-time" in row.note or "training episodes" in row.note:
            assert row.kind.startswith("training")
        if "cut at the first −1" in row.note:
            assert row.kind == "training cut"
