"""An entry whose card names its start stands beside it on the first page."""

import re

import pytest
from support.sample_entries import packed, run

import vlbench
from leaderboard import site
from leaderboard.entry import read_entry
from leaderboard.pages.training import training_pairs
from leaderboard.schema import Card
from leaderboard.verify import verify
from vlbench.records import Reply

pytestmark = pytest.mark.extra


TASK = "EZPoints"


class Copied:
    """Says what an expert said about the same picture, from a number of pictures on."""

    privileged, settings = False, {}

    def __init__(self, name, actions, first):
        self.name, self.actions, self.first = name, actions, first

    async def act(self, observation, env=None):
        number, action = self.actions[observation["image"].tobytes()]
        return Reply(vlbench.reply(action if number >= self.first else "="))


class Expert:
    """Plays by the rules, and keeps what it did: picture → its number and the action."""

    name, privileged, settings = "watched", True, {}

    def __init__(self):
        self.actions = {}

    async def act(self, observation, env):
        picture, action = observation["image"].tobytes(), env.unwrapped.expert()
        self.actions.setdefault(picture, (len(self.actions), action))
        return Reply(vlbench.reply(action))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Entries of a start that knows a part of the pictures, and of what training made of it."""
    folder = tmp_path_factory.mktemp("pairs")
    model = {"weights": "open", "chosen": "val"}
    expert = Expert()
    run(folder / "expert", TASK, "test", expert)
    start = packed(
        run(folder / "start", TASK, "test", Copied("start", expert.actions, 300)),
        folder / "start.tar.gz",
        **{"name": "Start", "track": "sft", **model},
    )
    trained = packed(
        run(folder / "trained", TASK, "test", Copied("trained", expert.actions, 100)),
        folder / "trained.tar.gz",
        **{"name": "Trained", "track": "rl", "start": read_entry(start).manifest.digest, **model},
    )
    return start, trained


def test_a_trained_model_is_compared_with_its_start_in_pairs(paths):
    start, trained = (verify(path) for path in paths)
    tasks = [site.describe("vlbench/EZPoints-v0", site.EntryRenderer())]
    (pair,) = training_pairs([start, trained], tasks)
    assert (pair.start, pair.trained) == (start, trained)
    (cell,) = pair.cells
    assert cell.start.success < cell.trained.success
    gain = cell.trained.success - cell.start.success
    assert cell.difference.success.value == pytest.approx(gain)
    assert training_pairs([trained], tasks) == []


def test_the_first_page_shows_both_with_intervals_and_regret(paths, tmp_path):
    assert site.main([*map(str, paths), "--out", str(tmp_path / "site")]) == 0
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    section = re.search(r'<section aria-labelledby="training-1">.*?</section>', page, re.S)[0]
    assert "What training added to Start" in section
    rows = re.findall(r"<tr>.*?</tr>", section, re.S)[1:]
    assert [">Start<" in rows[0], ">Trained<" in rows[1], "difference" in rows[2]] == [True] * 3
    assert all("regret" in row and "%" in row for row in rows[:2])
    assert re.search(r"\+\d", rows[2])
    assert page.index("training-1") < page.index('class="tasks"')


def test_without_its_start_an_entry_stands_alone(paths, tmp_path):
    assert site.main([str(paths[1]), "--out", str(tmp_path / "site")]) == 0
    assert "training-1" not in (tmp_path / "site" / "index.html").read_text("utf-8")


@pytest.mark.parametrize("start", ["llava-sft", "0" * 63, "0" * 65, "F" * 64])
def test_a_start_that_is_no_digest_is_refused(start):
    with pytest.raises(ValueError, match="start"):
        Card(name="A", model="a", weights="open", track="rl", start=start)
