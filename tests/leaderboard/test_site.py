"""The leaderboard's pages: what they show, and in a real browser, what they do."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from support.browser import Visitor, browses
from support.cli_process import call
from support.sample_entries import ROWS, SUITE, packed, run

import vlbench
from leaderboard import ranking, site
from leaderboard.flags import Flag
from leaderboard.pack import pack
from leaderboard.pages import entries as page_entries
from leaderboard.pages import tasks as task_page
from leaderboard.published import reported_ids, reported_rows
from leaderboard.verify import find_entries, verify
from vlbench.records import Reply
from vlbench.scoring import ABOVE_CEILING

pytestmark = pytest.mark.extra

EVIL = '</script><script>document.title="evil"</script><img src=x onerror="document.title=1">'


class Evil:
    """Writes markup wherever a text is expected, and fails once."""

    name, privileged = f"evil {EVIL}", False
    settings = {EVIL[:40]: EVIL, "nested": {"list": [EVIL]}}

    def __init__(self):
        self.calls = 0

    async def act(self, observation, env=None):
        self.calls += 1
        if self.calls == 4:
            raise RuntimeError(EVIL)
        text = vlbench.reply("hit" if self.calls % 2 else "stand", thoughts=EVIL) + EVIL
        return Reply(text, usd=0.002, prompt_tokens=10, stop_reason="stop", provider_id=EVIL)


@pytest.fixture(autouse=True)
def no_steps(monkeypatch):
    """Keep a busy machine from telling of steps, which a short build doesn't."""
    monkeypatch.setattr("vlbench.cli.steps.PAUSE", 1e9)


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """Paths of four entries on Blackjack: two models, a specialist and the expert."""
    folder = tmp_path_factory.mktemp("site")

    def stands(observation):
        return '{"action": "stand"}'

    who = {"organisation": "An <i>X</i>", "date": "2026-01-31"}
    runs = {
        "evil": (
            Evil(),
            {
                **{"name": EVIL[:120], "model": EVIL[:120], "notes": EVIL},
                **{"track": "sft", "chosen": "val"},
            },
        ),
        "stands": (stands, {"name": "Stands", "weights": "open", **who}),
        "hits": (lambda observation: '{"action": "hit"}', {"name": "Hits", "weights": "closed"}),
        "expert": (
            "expert",
            {"name": "expert", "model": "", "weights": "none", "track": "reference"},
        ),
    }
    return [
        packed(run(folder / name, agent=agent), folder / f"{name}.tar.gz", **card)
        for name, (agent, card) in runs.items()
    ]


@pytest.fixture(scope="module")
def pages(entries, tmp_path_factory):
    out = tmp_path_factory.mktemp("pages") / "site"
    assert site.main([*map(str, entries), "--out", str(out)]) == 0
    return out


def texts(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_the_same_entries_give_the_same_bytes(entries, pages, tmp_path):
    assert site.main([*map(str, reversed(entries)), "--out", str(tmp_path / "again")]) == 0
    assert texts(tmp_path / "again") == texts(pages)


def test_what_an_entry_says_is_never_markup(pages):
    for path in pages.rglob("*.html"):
        page = path.read_text("utf-8")
        assert "<img src=x" not in page and 'title="evil"' not in page, path
        assert set(re.findall(r"<script[^>]*>", page)) <= set(
            re.findall(r'<script src="[\w./-]+">', page)
        ), path
    for path in (pages / "data").iterdir():
        assert "<" not in path.read_text("utf-8")
    assert "&lt;img src=x" in next((pages / "entries").glob("*script*.html")).read_text("utf-8")


def test_an_entry_shows_how_much_it_owes_to_the_parser_where_it_owes_anything(pages):
    evil = next((pages / "entries").glob("*script*.html")).read_text("utf-8")
    stands = next((pages / "entries").glob("stands*.html")).read_text("utf-8")
    strict = "parsed differently at the strict level"
    success = "success at the strict level"
    assert re.search(rf"<dt>{strict}</dt><dd>100.0.%</dd><dt>{success}</dt><dd>0.0–", evil)
    assert strict not in stands and "<dt>return above 0</dt>" in stands


def test_pages_name_nothing_that_would_be_loaded_from_elsewhere(pages):
    for path in pages.rglob("*.html"):
        page = path.read_text("utf-8")
        assert "default-src 'none'" in page
        for source in re.findall(r'(?:src|href)="([^"]*)"', page):
            if source.startswith(("https://", "data:,", "#")):
                continue  # links to follow, the empty icon, places of the page
            assert (path.parent / source).resolve().is_file(), (path, source)
        assert not re.findall(r'src="(?:https?:)?//', page)
    for name in ("page.css", "site.css", "site.js", "viewer.js", "entries.js"):
        assert "http" not in (pages / name).read_text("utf-8")


def test_every_column_has_a_name_and_code_is_no_backtick(pages):
    for path in pages.rglob("*.html"):
        page = path.read_text("utf-8")
        assert not re.findall(r"<button[^>]*>\s*</button>|<th[^>]*>\s*</th>", page), path
        assert path.parent.name != "tasks" or "`" not in page, path


def test_general_models_come_first_and_what_is_reported_comes_last(pages):
    page = (pages / "index.html").read_text("utf-8")
    order = [page.index(f'<h2 id="{key}"') for key in ("general", "specialists", "reference")]
    assert order == sorted(order) and order[-1] < page.index('<h2 id="reported"')
    reported = page[page.index('<h2 id="reported"') :]
    assert "replayed</span>" not in reported and "Tie group" not in reported
    assert all(row.name in reported.replace("&#39;", "'") for row in reported_rows())


def test_a_task_s_label_stands_on_every_page_that_shows_its_results(
    entries, pages, tmp_path, monkeypatch
):
    for name in ("index.html", "compare.html", "tasks/alfworld.html"):
        page = (pages / name).read_text("utf-8")
        assert "generated games, schematic pictures" in page.casefold(), name
    labels = {"vlbench/Blackjack-v0": "drawn by hand"}
    monkeypatch.setattr(task_page, "label", lambda env_id: labels.get(env_id, ""))
    assert site.main([*map(str, entries[:2]), "--out", str(tmp_path / "site")]) == 0
    shown = [*(tmp_path / "site" / "entries").iterdir(), tmp_path / "site" / "tasks/blackjack.html"]
    assert len(shown) == 3
    assert all("drawn by hand" in page.read_text("utf-8").casefold() for page in shown)


def test_an_empty_leaderboard_says_so_plainly(tmp_path):
    site.build([], tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert "No general model has been submitted yet." in page


def test_every_picture_of_the_viewer_is_there_once_and_an_entry_is_small(pages):
    for path in (pages / "data").glob("*-*.js"):
        data = json.loads(path.read_text("utf-8").partition(",")[2].removesuffix(");\n"))
        frames = {turn["frame"] for e in data["episodes"] for turn in e["turns"]}
        frames |= {e["end"] for e in data["episodes"] if e["end"]}
        sizes = [(pages / "frames" / f"{frame}.png").stat().st_size for frame in frames]
        assert sum(sizes) + path.stat().st_size < page_entries.MAX_BYTES + 1_000_000
        assert {turn["prompt"] for e in data["episodes"] for turn in e["turns"]} <= set(
            data["prompts"]
        )
        firsts = [e["row"] for e in data["episodes"]][: page_entries.SHARED]
        assert firsts == list(range(page_entries.SHARED))
        for episode in data["episodes"]:
            causes = [bool(turn["cause"]) for turn in episode["turns"]]
            assert episode["mistake"] == (causes.index(True) if any(causes) else None)


def test_a_row_joins_a_tie_group_whose_leader_it_cannot_be_told_from(entries):
    verified = [verify(path) for path in entries]
    standings = ranking.by_task(verified, SUITE, "vlbench/Blackjack-v0")
    scores = [ranking.scorecard(s.entry, SUITE, "vlbench/Blackjack-v0").success for s in standings]
    assert scores == sorted(scores, reverse=True) and standings[0].tie_group == 1
    leader = standings[0].entry
    for before, standing in zip(standings, standings[1:], strict=False):
        difference = ranking.task_difference(leader, standing.entry, SUITE, "vlbench/Blackjack-v0")
        new = difference.success.low > 0 or difference.success.high < 0
        assert standing.tie_group == before.tie_group + new
        leader = standing.entry if new else leader
    assert standings[-1].entry.manifest.card.name == "Hits" and standings[-1].tie_group > 1


def test_a_flagged_entry_says_so_wherever_it_stands(entries, tmp_path):
    flag = Flag("too good", "too good to be true")
    flagged = dataclasses.replace(verify(entries[1]), flags=(flag,))
    site.build([flagged], tmp_path / "site")
    shown = [page.read_text("utf-8") for page in (tmp_path / "site").rglob("*.html")]
    assert sum("too good to be true" in page for page in shown) == 3  # index, task, entry


def test_who_submitted_an_entry_and_when_stands_in_tables_and_on_its_page(pages):
    for name in ("index.html", f"entries/{next((pages / 'entries').glob('stands*')).name}"):
        page = (pages / name).read_text("utf-8")
        assert "An &lt;i&gt;X&lt;/i&gt;" in page and "2026-01-31" in page, name


def test_an_entry_without_a_score_has_no_tie_group(entries):
    standings = ranking.by_headline([verify(entries[1])], "test", "cards")
    assert [standing.tie_group for standing in standings] == [None]


def test_a_refused_entry_is_not_shown(entries, tmp_path, capsys):
    (tmp_path / "bad.tar.gz").write_bytes(entries[0].read_bytes()[:-100])
    arguments = [str(entries[1]), str(tmp_path / "bad.tar.gz"), "--out", str(tmp_path / "site")]
    assert site.main(arguments) == 1
    told = capsys.readouterr()
    assert told.err.startswith("refused: bad.tar.gz: ") and "1 entry shown, 1 refused" in told.out
    assert len(list((tmp_path / "site" / "entries").iterdir())) == 1


def test_a_folder_that_is_no_site_is_left_alone(entries, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years")
    assert site.main([str(entries[1]), "--out", str(tmp_path)]) == 2
    assert "isn't a site of ours; choose another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert site.main([str(tmp_path / "none"), "--out", str(tmp_path / "x")]) == 2
    assert "no entry " in capsys.readouterr().err


def test_a_pattern_that_matches_nothing_here_names_the_package_s_entries(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored = find_entries([Path("leaderboard/entries/*.tar.gz")])
    assert {"random.tar.gz", "expert.tar.gz"} <= {path.name for path in stored}
    (tmp_path / "mine.tar.gz").write_bytes(b"x")
    assert find_entries([Path("*.tar.gz")]) == (Path("mine.tar.gz"),)
    assert find_entries([Path("none-*.tar.gz"), Path("/none/x.tar.gz")]) == ()


def test_a_site_shows_an_entry_once_and_keeps_namesakes_apart(entries, tmp_path, capsys):
    namesake = packed(entries[1].parent / "hits", tmp_path / "same name.tar.gz", name="Stands")
    (tmp_path / "bad.tar.gz").write_bytes(b"bad")
    copy = tmp_path / "copy.tar.gz"
    copy.write_bytes(entries[1].read_bytes())
    paths = [entries[1], copy, namesake, tmp_path / "bad.tar.gz"]
    assert site.main([*map(str, paths), "--out", str(tmp_path / "site")]) == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[0] == "left out: copy.tar.gz: the same entry as stands.tar.gz"
    assert (
        told.err.splitlines()[1].startswith("refused: bad.tar.gz: ") and told.err.count("\n") == 2
    )
    assert "2 entries shown, 1 refused" in told.out
    digests = [verify(path).manifest.digest for path in (entries[1], namesake)]
    pages = {page.name for page in (tmp_path / "site" / "entries").iterdir()}
    assert pages == {f"stands-{digest}.html" for digest in digests}


def test_reported_numbers_are_rates_with_a_source():
    rows = reported_rows()
    assert rows and all(row.source for row in rows)
    assert all(0 <= v <= 1 for row in rows for v in row.success.values() if v is not None)
    assert "rl4vlm/Points24-v0" in reported_ids(rows)


@pytest.mark.slow
def test_four_commands_go_from_an_agent_to_the_site(tmp_path):
    for command in (
        "agents.evaluate --agent expert --env EZPoints --out run",
        "leaderboard.pack run --out expert.tar.gz",
        "leaderboard.verify expert.tar.gz",
        "leaderboard.site expert.tar.gz --out site",
    ):
        code, _, err = call(tmp_path, *command.split())
        assert code == 0, (command, err)
    assert "expert" in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_a_card_names_its_model_once_and_leaves_out_what_is_empty(tmp_path):
    class Local:
        name, privileged = "local", False
        settings = {"model": "mixed-1", "base": "", "seed": 3}

        def act(self, observation):
            return vlbench.reply("stand")

    path = packed(run(tmp_path / "run", agent=Local()), tmp_path / "local.tar.gz", model="mixed-1")
    site.build([verify(path)], tmp_path / "site")
    (page,) = (tmp_path / "site" / "entries").iterdir()
    text = page.read_text("utf-8")
    assert text.count("<dt>model</dt>") == 1 and "model, as run" not in text
    assert "<dt>base</dt>" not in text and "<dt>seed</dt><dd>3</dd>" in text


def test_more_than_normalised_1_is_explained_beside_the_number(entries, pages, tmp_path):
    entry = verify(entries[1])
    (card,) = entry.scores[SUITE].scorecards
    card = dataclasses.replace(card, normalized=1.25, notes=(ABOVE_CEILING,))
    scores = {SUITE: dataclasses.replace(entry.scores[SUITE], scorecards=(card,))}
    site.build([dataclasses.replace(entry, scores=scores)], tmp_path / "site")
    (page,) = (tmp_path / "site" / "entries").iterdir()
    assert "Normalized above 1: more successes than the best player" in page.read_text("utf-8")
    assert "Above 1, chance helped" in (pages / "tasks/blackjack.html").read_text("utf-8")


def test_a_long_build_says_what_it_does(entries, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vlbench.cli.steps.PAUSE", 0.0)
    assert site.main([str(entries[1]), "--out", str(tmp_path / "site")]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"stands.tar.gz: replaying episode 1 of {ROWS}"
    wanted = rf"stands\.tar\.gz: replaying episode {ROWS} of {ROWS}, about \d+ s left"
    assert re.fullmatch(wanted, told[ROWS - 1])
    assert told[ROWS].startswith("writing the page of NumberLine")
    assert "drawing the episodes of Stands" in told


def test_a_person_is_a_reference_who_must_have_played_fairly(tmp_path):
    class Person:
        name, privileged, settings = "human", False, {"fair": True}

        def act(self, observation):
            return vlbench.reply("stand")

    played = run(tmp_path / "run", agent=Person())
    with pytest.raises(ValueError, match="wanted human for a person's run and for no other"):
        packed(played, tmp_path / "no.tar.gz", track="zero-shot")
    pack([played], {}).write(tmp_path / "person.tar.gz")
    entry = verify(tmp_path / "person.tar.gz")
    assert (entry.manifest.card.track, entry.manifest.card.weights) == ("human", "none")
    site.build([entry], tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert page.index(">human</a>") > page.index('<h2 id="reference"')
    assert "No person has played yet" not in page
    Person.settings = {}
    with pytest.raises(ValueError, match="must be played with vlbench.play --fair"):
        pack([run(tmp_path / "told", agent=Person())], {})


# In a real browser.


@pytest.fixture
def visit(browser, pages):
    """Open a page of the site; afterwards, fail if it complained or asked for anything else."""
    visitor = Visitor(browser, pages)
    yield visitor.open
    visitor.close()
    assert visitor.complaints == []


def every_page(pages):
    return sorted(str(path.relative_to(pages)) for path in pages.rglob("*.html"))


def entry_page(pages, name):
    return f"entries/{next((pages / 'entries').glob(f'{name}*.html')).name}"


@browses
def test_no_page_complains_or_leaves_or_scrolls_sideways(visit, pages):
    for name in every_page(pages):
        for width in (1280, 390):
            page = visit(name, width, "dark" if width == 390 else "light")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert "evil" != page.title() != "1"
            broken = (
                "[...document.images].filter(i => i.src && !i.hidden && !i.naturalWidth).length"
            )
            assert page.evaluate(broken) == 0, name


@browses
def test_no_table_of_entries_is_cut_off_at_any_width(visit, pages):
    wide = """[...document.querySelectorAll('.scroll table')].filter(
        table => table.scrollWidth > table.parentElement.clientWidth).length"""
    for name in ("index.html", "tasks/blackjack.html", "tasks/points24.html"):
        for width in (1920, 1600, 1280, 1024, 768, 390):
            assert visit(name, width).evaluate(wide) == 0, (name, width)


@browses
def test_a_reported_row_is_a_card_of_a_few_lines_on_a_phone(visit):
    page = visit("index.html", 390)
    heights = page.evaluate(
        "[...document.querySelectorAll('.reported tbody tr')].map(r => r.offsetHeight)"
    )
    assert len(heights) > 10 and max(heights) < 220
    row = page.locator(".reported tbody tr", has_text="GPT4-V").first
    assert row.locator("td[data-label=Points24]").inner_text() == "0.0\u00a0%"
    page.locator(".reported thead button", has_text="ALFWorld").click()
    values = page.locator(".reported td[data-label=ALFWorld]").all_inner_texts()
    assert values[0] == max(
        values, key=lambda v: float(v.split("\u00a0")[0]) if v[0] != "–" else -1
    )


@browses
def test_a_table_sorts_by_a_column_and_turns_round(visit):
    page = visit("tasks/blackjack.html")
    header = page.locator("section:has(#general) thead th", has_text="Entry")
    names = page.locator("section:has(#general) tbody th a")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert names.all_inner_texts() == ["Hits", "Stands"]
    header.locator("button").press("Enter")  # the keyboard does as well
    assert header.get_attribute("aria-sort") == "descending"
    assert names.all_inner_texts() == ["Stands", "Hits"]


@browses
def test_tables_filter_by_name_track_and_weights(visit):
    page = visit("index.html")
    shown = "[...document.querySelectorAll('tr[data-name]')].filter(r => r.offsetParent).length"
    assert page.evaluate(shown) == 4
    page.fill("#find", "STAND")
    assert page.evaluate(shown) == 1 and page.inner_text("#count") == "1 of 4 entries"
    page.fill("#find", "")
    page.select_option("#weights", "closed")
    assert page.evaluate(shown) == 1
    page.select_option("#weights", "")
    page.select_option("#track", "reference")
    assert page.evaluate(shown) == 1
    page.select_option("#track", "")
    assert page.evaluate(shown) == 4 and page.inner_text("#count") == ""


@browses
def test_the_viewer_steps_through_an_episode(visit, pages):
    page = visit(entry_page(pages, "hits"))
    assert not page.is_visible("#outcome"), "all failed, so there is nothing to choose"
    place, source = page.locator(".place"), "document.querySelector('.frame img').src"
    assert place.inner_text().startswith("turn 1 of ")
    first = page.evaluate(source)
    assert page.inner_text(".reply mark") == '"action": "hit"'
    assert "expert's action" in page.inner_text(".reply") and "reward" in page.inner_text(".reply")
    total = int(place.inner_text().split()[-1])
    for turn in range(2, total + 1):
        page.keyboard.press("ArrowRight")
        assert place.inner_text() == f"turn {turn} of {total}"
        assert page.evaluate(source) != first
    page.get_by_label("Next turn").click()
    assert place.inner_text() == "end" and "End of the episode" in page.inner_text(".reply")
    assert page.get_by_label("Next turn").is_disabled()
    page.keyboard.press("m")
    assert "first mistake" in page.inner_text(".reply") and "cause" in page.inner_text(".reply")
    page.locator("summary", has_text="Prompt").click()
    assert "blackjack" in page.inner_text(".reply details pre").lower()
    chosen = page.locator(".list [aria-current=true]").inner_text()
    page.keyboard.press("j")
    assert page.locator(".list [aria-current=true]").inner_text() != chosen
    page.keyboard.press("k")
    assert page.locator(".list [aria-current=true]").inner_text() == chosen


@browses
def test_markup_in_a_reply_is_shown_as_text(visit, pages):
    page = visit(entry_page(pages, "script"))
    assert EVIL in page.inner_text(".reply pre")
    page.select_option("#outcome", "errored")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert f"RuntimeError: {EVIL}" in page.inner_text(".reply")
    assert page.locator("img[src=x]").count() == 0 and "leaderboard" in page.title()


@browses
def test_two_entries_stand_side_by_side_on_one_row(visit):
    page = visit("compare.html")
    options = page.locator("#a option").all_inner_texts()
    page.select_option("#a", label="Stands")
    page.select_option("#b", label="Hits")
    assert {"Stands", "Hits", "expert"} <= set(options)
    titles = page.locator(".pane h3").all_inner_texts()
    assert re.sub("^Stands", "Hits", titles[0]) == titles[2] and f"{SUITE} row" in titles[0]
    sources = "[...document.querySelectorAll('.frame img')].map(image => image.src)"
    one, other = page.evaluate(sources)
    assert one == other, "both start from the same picture"
    assert re.search(
        rf"Blackjack, {SUITE}, {ROWS} rows: success of the second less the first is −\d",
        page.inner_text("#difference"),
    )
    page.keyboard.press("ArrowRight")
    assert page.locator(".place").all_inner_texts()[0] == "end"
    assert len(set(page.evaluate(sources))) == 2
    assert f"row={SUITE}" in page.url and "a=stands" in page.url
    page.reload()
    assert page.locator(".pane h3").first.inner_text() == titles[0]
