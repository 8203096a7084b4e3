"""The family of looks for training, and the sealed themes: neither shows what is held back."""

import hashlib
import itertools
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import TASKS, every_task, paint

from agents.train.environments import make_env, make_envs
from agents.train.sft_data import main as sft_data
from scripts.atlas_styles import STYLES
from scripts.make_contact_sheet import LOOKS as SHEET
from scripts.make_contact_sheet import main as make_contact_sheet
from vlbench.instances import Presentation
from vlbench.play.__main__ import main as play
from vlbench.sprites import CARD_SIZES, deck
from vlbench.tasks.number_line.game import NumberLineState
from vlbench.tasks.number_line.picture import NumberLinePicture
from vlbench.themes import (
    LOOKS,
    SEALED,
    THEME_GROUPS,
    THEMES,
    VARIED,
    ThemeChoice,
    check_open,
    find_theme,
)
from vlbench.themes.family import ATLASES, LAYOUTS, look
from vlbench.themes.palette import (
    NEAR,
    NEAR_SURFACE,
    are_near,
    can_be_read,
    contrast,
    distance,
    palette_distance,
)

ROOT = Path(__file__).parents[2]
HELD_BACK = [THEMES[name] for name in (*THEME_GROUPS["heldout"], *THEME_GROUPS[SEALED])]


def fonts(atlas):
    """The fonts of an atlas."""
    style = STYLES[atlas]
    return {style.regular, style.bold, style.card_font}


def shapes(atlas):
    """The card art of an atlas, without its font."""
    style = STYLES[atlas]
    return (style.rank, style.suits, style.radius, style.border, style.face, style.back)


def test_distances_of_colours_are_those_worked_by_hand():
    # Mean red 127.5: weights 2 + 127.5/256, 4 and 3 - 127.5/256, which sum to 9 - 1/256.
    assert distance((0, 0, 0), (255, 255, 255)) == pytest.approx(255 * (9 - 1 / 256) ** 0.5)
    assert distance((10, 20, 30), (10, 30, 30)) == 20  # green counts twice
    assert distance((9, 9, 9), (9, 9, 9)) == 0
    assert contrast((255, 255, 255), (0, 0, 0)) == 255
    classic = THEMES["classic"]
    other = replace(classic, table=(53, 113, 77))  # one of twelve colours moves by 24
    assert palette_distance(classic, other) == pytest.approx(2)
    assert are_near(classic, other)


def test_no_look_of_the_family_has_anything_that_is_held_back():
    letterings, arts = (
        {getattr(theme, part) for theme in HELD_BACK} for part in ("lettering", "art")
    )
    layouts = {theme.layout for theme in HELD_BACK}
    kept_fonts = set.union(*(fonts(atlas) for atlas in letterings))
    assert not kept_fonts & set.union(*(fonts(atlas) for atlas in ATLASES))
    assert not {shapes(atlas) for atlas in arts} & {shapes(atlas) for atlas in ATLASES}
    drawn = set()
    for number in range(LOOKS):
        theme = look(number)
        assert theme.lettering in ATLASES and theme.lettering not in letterings
        assert theme.art in ATLASES and theme.art not in arts
        assert theme.layout in LAYOUTS and theme.layout not in layouts
        assert can_be_read(theme), theme
        for other in HELD_BACK:
            assert palette_distance(theme, other) >= NEAR, (theme, other.name)
            assert distance(theme.table, other.table) >= NEAR_SURFACE, (theme, other.name)
            assert distance(theme.paper, other.paper) >= NEAR_SURFACE, (theme, other.name)
        drawn.add((theme.layout, theme.lettering, theme.art))
    assert len(drawn) == len(LAYOUTS) * len(ATLASES) ** 2
    assert len({look(number).colours for number in range(LOOKS)}) == LOOKS


def test_a_palette_that_was_moved_a_little_is_near():
    shift = random.Random(0)
    for theme in HELD_BACK:
        for _ in range(50):
            moved = replace(
                theme,
                **{
                    name: tuple(
                        min(max(part + shift.randint(-14, 14), 0), 255)
                        for part in getattr(theme, name)
                    )
                    for name in ("table", "table_ink", "paper", "paper_ink", "card", "back")
                },
            )
            assert are_near(theme, moved)
    for one, other in itertools.combinations(HELD_BACK, 2):
        assert not are_near(one, other), "held-out themes differ by more than the margin"


def test_the_looks_are_always_the_same():
    text = "\n".join(repr(look(number)) for number in range(LOOKS))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "12c8fedc8325e5582b736be576d96c5df7112dae2c4539aad42504fdde58db99"


def test_sealed_themes_differ_from_all_others_in_everything():
    for name in THEME_GROUPS[SEALED]:
        theme = THEMES[name]
        assert can_be_read(theme)
        for other in THEMES.values():
            if other.name in THEME_GROUPS[SEALED]:
                continue
            assert not fonts(theme.lettering) & fonts(other.lettering)
            assert theme.layout != other.layout
            assert STYLES[theme.art].face != STYLES[other.art].face
            assert STYLES[theme.art].back != STYLES[other.art].back
            assert not are_near(theme, other), (name, other.name)
    assert len(THEME_GROUPS[SEALED]) >= 2


@pytest.mark.parametrize("size", CARD_SIZES)
def test_cards_of_sealed_and_held_out_themes_are_cards_of_no_look(size):
    sheets = {atlas: deck(replace(THEMES["classic"], art=atlas), size) for atlas in STYLES}
    for atlas, other in itertools.product((theme.art for theme in HELD_BACK), ATLASES):
        for rank in (1, 7, 12):
            one, two = (sheets[name].card(rank, 2).astype(int) for name in (atlas, other))
            assert (np.abs(one - two).max(axis=-1) > 60).mean() > 0.05


@every_task
def test_each_presentation_has_one_look_of_the_family(name):
    env = TASKS[name].make(VARIED, 0)
    instance = env.game.deal(np.random.default_rng(1))
    start = env.game.start(instance)
    frames = set()
    for number in range(12):
        at = Presentation(instance, number)
        chosen = look(at.pick("look", LOOKS))
        one = TASKS[name].make(chosen.name, 0).picture
        frame = paint(env.picture, start, env.picture.style(start, at))
        assert np.array_equal(frame, paint(one, start, one.style(start, at)))
        frames.add(frame.tobytes())
    assert len(frames) == 12


def test_looks_are_drawn_evenly_and_not_by_the_presentation_s_parity():
    at = [Presentation("number_line/2-5", number) for number in range(20_000)]
    choice = ThemeChoice(VARIED)
    counts = np.bincount([int(choice.of(p).name.rpartition("-")[2]) for p in at], minlength=LOOKS)
    assert counts.sum() == 20_000 and counts.max() < 50 and (counts == 0).mean() < 1e-3


def test_a_single_look_can_be_named():
    assert find_theme("varied-17") is look(17)
    for name in (f"varied-{LOOKS}", "varied-017", "varied-x", "varied--1", "train-1"):
        assert find_theme(name) is None
        with pytest.raises(ValueError, match="unknown theme"):
            ThemeChoice(name)
    picture = NumberLinePicture(ThemeChoice("varied-17"))
    style = picture.style(NumberLineState(2, 5), Presentation("number_line/2-5", 3))
    assert paint(picture, NumberLineState(2, 5), style)[0, 0].tolist() == list(look(17).paper)


# What is sealed


@pytest.mark.parametrize("theme", [SEALED, *THEME_GROUPS[SEALED]])
def test_trainers_their_data_and_play_refuse_what_is_sealed(theme, tmp_path, capsys):
    kwargs = {"theme": theme}
    with pytest.raises(ValueError, match=f'the theme "{theme}" is sealed: no training may show it'):
        make_env("vlbench/NumberLine-v0", kwargs)
    with pytest.raises(ValueError, match="is sealed"):
        make_envs("vlbench/NumberLine-v0", 2, kwargs)
    path = tmp_path / "data.jsonl"
    assert sft_data(["--env", "NumberLine", "--theme", theme, "--out", str(path)]) == 2
    assert "is sealed" in capsys.readouterr().err and not path.exists()
    assert play(["NumberLine", "--theme", theme]) == 2
    assert "is sealed: no play may show it" in capsys.readouterr().err
    for open_theme in ("train", "heldout", VARIED, "classic", "clasic"):
        check_open(open_theme, "training")


def test_play_refuses_the_sealed_suite(capsys):
    assert play(["NumberLine", "--suite", SEALED]) == 2
    assert "is sealed" in capsys.readouterr().err


def test_the_contact_sheet_shows_no_sealed_theme():
    assert not set(SHEET) & set(THEME_GROUPS[SEALED]) and "comic" in SHEET


def test_no_picture_in_the_docs_or_among_the_goldens_shows_a_sealed_theme():
    pictures = [*ROOT.glob("docs/**/*.png"), *(ROOT / "tests" / "goldens").glob("*.png")]
    assert len(pictures) > 20
    surfaces = {
        colour
        for name in THEME_GROUPS[SEALED]
        for colour in (THEMES[name].table, THEMES[name].paper)
    }
    for path in pictures:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))[::4, ::4]
        for colour in surfaces:
            assert (pixels == colour).all(axis=-1).mean() < 0.02, f"{path} shows a sealed theme"
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        text = page.read_text("utf-8")
        for name in THEME_GROUPS[SEALED]:
            assert f'theme="{name}"' not in text and f"--theme {name}" not in text, page


@pytest.mark.parametrize(
    "task", ["toy_task:toy/Lamps-v0", "sort_bars:bars/SortBars-v0 --themes train,heldout"]
)
def test_the_contact_sheet_draws_a_task_s_own_looks(task, tmp_path, monkeypatch):
    for folder in (ROOT / "tests/outside", ROOT / "examples/sort_bars"):
        monkeypatch.syspath_prepend(folder)
    name, *themes = task.split()
    sheet = tmp_path / "sheet.png"
    assert make_contact_sheet([name, str(sheet), *themes]) == 0
    with Image.open(sheet) as picture:
        assert picture.size == (436, (2 if themes else 8) * 308 + 8)
