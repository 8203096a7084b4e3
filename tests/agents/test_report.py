"""The page of a run."""

import json
import re

import pytest
from support.browser import Visitor, browses

import vlbench
from agents import report
from agents.evaluate import evaluate, main
from vlbench.records import Reply

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


class Evil:
    """Writes HTML where texts are expected, and fails now and then."""

    name, privileged, settings = f"evil {EVIL}", True, {"model": EVIL}

    def __init__(self):
        self.calls = 0

    async def act(self, observation, env):
        self.calls += 1
        if self.calls % 50 == 0:
            raise RuntimeError(EVIL)
        action = env.unwrapped.expert() if self.calls % 3 else "-"
        return Reply(vlbench.reply(action, thoughts=EVIL) + EVIL)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    run = evaluate(Evil(), "NumberLine,Points24", episodes=30, out=folder / "run")
    report.write_report(folder / "run", folder / "page.html")
    return run, (folder / "page.html").read_text("utf-8")


def test_what_a_model_wrote_is_never_markup(written):
    _, page = written
    assert page.count("</script>") == 2 and "<img src=x" not in page and "&lt;img src=x" in page
    turn = data_of(page)["episodes"][0]["turns"][0]
    assert EVIL in "".join(turn["reply"]), "the reply is shown in full"


def test_the_page_needs_no_network(written):
    _, page = written
    assert "http:" not in page and "https:" not in page and "default-src 'none'" in page


def test_every_picture_and_prompt_is_there_once_and_as_recorded(written):
    run, page = written
    data = data_of(page)
    recorded = {episode.key: episode for episode in run.episodes}
    frames = {turn.frame_hash for e in recorded.values() for turn in e.turns}
    assert len(set(data["frames"].values())) == len(data["frames"])
    for episode in data["episodes"]:
        assert episode["as_recorded"]
        for turn in episode["turns"]:
            assert turn["frame"] in frames and turn["prompt"] in data["prompts"]
            assert data["frames"][turn["frame"]].startswith("data:image/png;base64,")
        assert episode["end"] in data["frames"]


def test_a_card_shows_what_the_parser_s_leniency_and_the_paper_s_rule_change(written):
    _, page = written
    cards = re.findall(r"<article class=panel>.*?</article>", page, re.DOTALL)
    assert len(cards) == 2
    for card in cards:
        numbers = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", card))
        assert numbers["strict differs"] == "100.0 %", "markup stands behind every object"
        assert numbers["strict success"] == "0.0–100.0 %"
        assert (numbers["refused"], numbers["recovered"]) == ("0.0 %", "0.0 %")
        assert numbers["return above 0"].endswith(" %")


def test_the_action_is_the_middle_of_the_reply(written):
    _, page = written
    turns = [turn for episode in data_of(page)["episodes"] for turn in episode["turns"]]
    assert {turn["reply"][1] for turn in turns} <= {f'"action": "{t["action"]}"' for t in turns}
    assert all(turn["expert"] for turn in turns)


def test_twenty_episodes_of_an_environment_are_shown_failures_first(written):
    run, page = written
    for env_id in run.header.env_ids:
        shown = [e["outcome"] for e in data_of(page)["episodes"] if e["env"] == env_id]
        assert len(shown) == 20 and shown == sorted(shown, key=report.OUTCOMES.index)
        assert f"20 of 30 of {env_id}" in page
    assert "failures first" in page
    errors = {e["error"] for e in data_of(page)["episodes"] if e["outcome"] == "errored"}
    assert errors == {f"RuntimeError: {EVIL}"}


def test_a_long_reply_is_shortened_around_its_action(tmp_path):
    long = "x" * 50_000 + vlbench.reply("+") + "y" * 50_000
    evaluate(lambda observation: long, "NumberLine", episodes=1, out=tmp_path / "run")
    report.write_report(tmp_path / "run", tmp_path / "page.html")
    before, action, after = data_of((tmp_path / "page.html").read_text())["episodes"][0]["turns"][
        0
    ]["reply"]
    assert action == '"action": "+"' and "characters left out" in before
    assert len(before) < 5000 and len(after) < 5000


def test_evaluate_writes_the_page_and_the_command_does_it_for_an_old_run(tmp_path, capsys):
    page, again = tmp_path / "page.html", tmp_path / "again.html"
    arguments = ["--agent", "expert", "--episodes", "1", "--out", str(tmp_path / "run")]
    assert main([*arguments, "--html", str(page)]) == 0
    assert report.main([str(tmp_path / "run"), str(again)]) == 0
    assert page.read_text() == again.read_text() and "All episodes are shown." in page.read_text()
    capsys.readouterr()
    assert report.main([str(tmp_path / "nothing"), str(again)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("report: ") and err.count("\n") == 1


def think(observation):
    """Answer in the reasoning, as behind a wrong parser, and be refused on an odd repeat."""
    if observation["repeat"] % 2:
        message = f"not about cards {EVIL}"
        return Reply("", "refused", finish_reason="content_filter", provider_message=message)
    return Reply("", reasoning=f"I think + {EVIL}", finish_reason="stop")


@pytest.fixture(scope="module")
def thoughts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thoughts")
    evaluate(think, "NumberLine", episodes=1, repeats=2, out=folder / "run")
    report.write_report(folder / "run", folder / "page.html")
    return (folder / "page.html").read_text("utf-8")


def test_reasoning_and_a_provider_s_words_are_shown_and_an_answer_that_went_there_is_told(thoughts):
    first, second = [episode["turns"][0] for episode in data_of(thoughts)["episodes"]]
    assert first["reasoning"] == f"I think + {EVIL}" and first["action"] == ""
    assert first["advice"].startswith("the answer went into the reasoning, which isn't read")
    assert (second["stop"], second["finish"]) == ("refused", "content_filter")
    assert second["message"] == f"not about cards {EVIL}" and "reasoning" not in second
    assert thoughts.count("</script>") == 2


@browses
def test_the_viewer_shows_reasoning_as_text(browser, thoughts, tmp_path):
    (tmp_path / "page.html").write_text(thoughts, "utf-8")
    visitor = Visitor(browser, tmp_path)
    page = visitor.open("page.html", 1280, "light")
    text = page.inner_text(".reply")
    assert "Reasoning, which isn't read" in text and f"I think + {EVIL}" in text
    assert "the answer went into the reasoning" in text
    page.keyboard.press("j")
    text = page.inner_text(".reply")
    assert "content_filter" in text and f"The provider says: not about cards {EVIL}" in text
    visitor.close()
    assert visitor.complaints == []


@browses
def test_the_viewer_of_the_page_works_offline(browser, written, tmp_path):
    run, text = written
    (tmp_path / "page.html").write_text(text, "utf-8")
    visitor = Visitor(browser, tmp_path)
    for width, scheme in ((1280, "light"), (390, "dark")):
        page = visitor.open("page.html", width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".list button").count() == 40 and not page.is_visible("#suite")
        page.select_option("#env", "vlbench/Points24-v0")
        page.select_option("#outcome", "failure")
        position = page.locator(".place")
        failures = [e for e in data_of(text)["episodes"] if e["outcome"] == "failure"]
        points24 = [e for e in failures if "Points24" in e["env"]]
        first = next((e for e in points24 if e["mistake"] is not None), points24[0])
        turns = len(first["turns"])
        assert position.inner_text() == f"turn 1 of {turns}"
        assert f"{first['name']} · test row {first['row'] + 1}" in page.inner_text(".frame h3")
        page.keyboard.press("m")
        assert position.inner_text() == f"turn {first['mistake'] + 1} of {turns}"
        assert "first mistake" in page.inner_text(".reply")
        assert EVIL in page.inner_text(".reply pre"), "what a model wrote is text"
        assert page.evaluate("document.querySelector('.frame img').naturalWidth") == 300
        page.select_option("#env", "")
        page.select_option("#outcome", "errored")
        while page.get_by_label("Next turn").is_enabled():
            page.keyboard.press("ArrowRight")
        assert f"RuntimeError: {EVIL}" in page.inner_text(".reply")
    visitor.close()
    assert visitor.complaints == []
