"""An episode as an animated GIF, with prompt and reply beside each picture."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from support.sample_episodes import expert, play, random_player

from agents.evaluate import evaluate
from vlbench.display.__main__ import find_episode, main
from vlbench.display.film import (
    BACK,
    BAD,
    FAINT,
    GOOD,
    HEIGHT,
    MARK,
    PROMPT,
    REPLY,
    ROOM,
    WIDTH,
    _font,
    fitted_lines,
    picture,
    scenes,
    wrapped,
)

POINTS24 = "vlbench/Points24-v0"


def test_a_scene_for_each_turn_and_one_for_the_end():
    episode = play(POINTS24, 0, expert)
    shown = scenes(episode)
    assert len(shown) == len(episode.turns) + 1
    assert [scene.reply for scene in shown[:-1]] == [turn.reply.text for turn in episode.turns]
    assert shown[0].title.endswith(f"turn 1 of {len(episode.turns)}")
    assert shown[-1].result == f"Success. Return 10 after {len(episode.turns)} turns."
    assert {scene.colour for scene in shown} == {GOOD}
    assert not np.array_equal(shown[0].frame, shown[-1].frame)


def test_a_worse_turn_names_its_cause_and_the_expert_s_action():
    episode = play("vlbench/NumberLine-v0", 0, random_player(1))
    number, turn = next((n, turn) for n, turn in enumerate(episode.turns) if turn.cause)
    scene = scenes(episode)[number]
    assert f'{turn.cause} error   expert "{turn.expert}"' in scene.result and scene.colour == BAD


def test_long_texts_stay_beside_the_picture():
    lines = wrapped("word " * 50 + "x" * 300, 15)
    assert all(_font(15).getlength(line) <= ROOM for line in lines)
    assert "".join(lines).replace(" ", "") == "word" * 50 + "x" * 300
    (scene, *_) = scenes(play(POINTS24, 0, expert))
    drawn = picture(dataclasses.replace(scene, reply="word " * 5000, prompt="y" * 20_000))
    assert drawn.size == (WIDTH, HEIGHT)
    assert (np.asarray(drawn)[-10:] == BACK).all(), "nothing reaches the lower edge"


def rows(drawn, colour):
    """Return the rows of a picture's right side that have a colour."""
    return np.flatnonzero((np.asarray(drawn)[:, -ROOM:] == colour).all(2).any(1))


def test_a_prompt_is_shown_whole_where_it_fits():
    (scene, *_) = scenes(play("vlbench/NumberLine-v0", 0, expert))
    lines = fitted_lines(scene, 334)
    assert lines.prompt == wrapped(scene.prompt, PROMPT) and lines.prompt[-2:] == [
        '"action": "+" or "-"',
        "}",
    ]
    assert lines.reply == wrapped(scene.reply, REPLY)


def test_a_long_reply_leaves_the_prompt_its_first_lines_and_keeps_both_ends():
    (scene, *_) = scenes(play("vlbench/NumberLine-v0", 0, expert))
    lines = fitted_lines(
        dataclasses.replace(scene, reply="first " + "thought " * 900 + "last"), 4 * 18 + 10 * 20
    )
    assert lines.prompt == [*wrapped(scene.prompt, PROMPT)[:3], "…"]
    assert len(lines.reply) == 10 and lines.reply[0].startswith("first") and lines.reply[3] == "…"
    assert lines.reply[-1].endswith("last")
    lines = fitted_lines(dataclasses.replace(scene, reply="a\nb"), 6 * 18 + 2 * 20)
    assert lines.prompt == [*wrapped(scene.prompt, PROMPT)[:5], "…"] and lines.reply == ["a", "b"]


def test_the_reply_has_its_colour_in_every_line_and_the_prompt_has_not():
    (scene, *_) = scenes(play(POINTS24, 0, expert))
    text = '"action": "left" or "right"'
    drawn = picture(dataclasses.replace(scene, prompt=text, reply='{"action":\n"left"}'))
    assert rows(drawn, FAINT).min() < 46 < rows(drawn, FAINT).max() < rows(drawn, MARK).min()
    reply = rows(drawn, MARK)
    assert reply.max() - reply.min() > 20, "the second line too"


def test_the_command_writes_a_film_of_the_episode_that_is_named(tmp_path, capsys):
    run = evaluate("expert", "NumberLine,EZPoints", episodes=2, out=tmp_path / "run")
    film = tmp_path / "films" / "x.gif"
    assert main([str(run.folder), "EZPoints#1", "--out", str(film), "--seconds", "0.5"]) == 0
    assert "vlbench/EZPoints-v0#1/0, 5 pictures" in capsys.readouterr().out
    with Image.open(film) as image:
        assert image.n_frames == 5 and image.size == (WIDTH, HEIGHT)
        assert image.info["duration"] == 500 and image.info["loop"] == 0
    key = "vlbench/EZPoints-v0#1/0"
    names = ("3", key, "vlbench/EZPoints-v0#1", "EZPoints#1")
    assert {find_episode(run.episodes, name).key for name in names} == {key}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EZPoints#9", "--out", "x.gif"], 'unknown episode "EZPoints#9"; did you mean "EZPoints'),
        (["0", "--out", "x.png"], "x.png must end in .gif"),
        (["0", "--out", "thesis.gif"], "exists and isn't a GIF"),
        (["0"], "required: --out"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    evaluate("expert", "EZPoints", episodes=1, out="run")
    (tmp_path / "thesis.gif").write_text("years of work")
    assert main(["run", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert (tmp_path / "thesis.gif").read_text() == "years of work"
