"""Texts stand where Pillow with libraqm, which the original draws with, puts them."""

import gymnasium
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, features

import vlbench
from vlbench.rl4vlm.lettering import METRICS, draw_line
from vlbench.sprites import load_font
from vlbench.task import SIZE
from vlbench.themes import THEMES

CLASSIC = THEMES["classic"]


def first_ink(sprite, ground):
    """The columns in which a sprite differs from its ground."""
    return np.flatnonzero((sprite != ground).any(axis=(0, 2)))


def test_the_letters_after_the_t_of_target_stand_five_pixels_to_the_left():
    font = load_font(CLASSIC, "display", paper=True)
    tight, loose = draw_line(font, "display", ("Target:",), 150), font.draw("Target:", 150)
    assert np.array_equal(tight[:, 30:145], loose[:, 35:150])
    assert first_ink(loose, CLASSIC.paper)[-1] - first_ink(tight, CLASSIC.paper)[-1] == 5
    current = font.draw("Current:")
    assert np.array_equal(draw_line(font, "display", ("Current:",), current.shape[1]), current)


@pytest.mark.parametrize("role", METRICS)
def test_a_line_is_cut_at_its_width(role):
    font = load_font(CLASSIC, role, paper=True)
    word = next(iter(METRICS[role].words))
    whole = draw_line(font, role, (word, " 12 3"), 250)
    for width in (1, 13, 30, 100):
        part = draw_line(font, role, (word, " 12 3"), width)
        assert np.array_equal(part, whole[:, :width])


def drawn_by_raqm(lines, size, theme_colours, bold=False):
    try:
        name = f"DejaVuSans{'-Bold' if bold else ''}.ttf"
        font = ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.RAQM)
    except OSError:
        pytest.skip("DejaVu Sans isn't installed")
    paper, ink = theme_colours
    image = Image.new("RGB", (SIZE, SIZE), paper)
    for corner, text in lines:
        ImageDraw.Draw(image).text(corner, text, fill=ink, font=font)
    return np.asarray(image)


needs_raqm = pytest.mark.skipif(
    not features.check("raqm") or features.version("freetype2") != "2.14.3",
    reason="needs libraqm, and the version of FreeType that drew the atlas",
)


@needs_raqm
@pytest.mark.parametrize("target", range(6))
def test_number_line_is_drawn_as_by_libraqm(target):
    env = gymnasium.make("rl4vlm/NumberLine-v0")
    for current in {*range(6)} - {target}:
        instance = f"rl4vlm_number_line/{current}-{target}"
        image = env.reset(options={"instance": instance})[0]["image"]
        lines = ((30, 60), f"Target: {target}"), ((30, 180), f"Current: {current}")
        colours = CLASSIC.paper, CLASSIC.paper_ink
        assert np.array_equal(image, drawn_by_raqm(lines, 36, colours, bold=True))


@needs_raqm
@pytest.mark.parametrize(("task", "size", "top"), [("EZPoints", 20, 250), ("Points24", 16, 205)])
def test_formulas_are_drawn_as_by_libraqm(task, size, top):
    env = gymnasium.make(f"rl4vlm/{task}-v0").unwrapped
    # In Points24 the atlas lacks the outermost column of "/".
    tokens = [token for token in env.vocabulary if token not in "=/"]
    rng = np.random.default_rng(0)
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            formula = " ".join(env._state.tokens)
            lines = [((10, 258), f"Formula: {formula}")]
            if task == "Points24":
                lines = [((10, 210), "Formula:"), ((10, 240), formula)]
            expected = drawn_by_raqm(lines, size, (CLASSIC.table, CLASSIC.table_ink))
            assert np.array_equal(observation["image"][top:], expected[top:]), formula
            reply = vlbench.reply(str(rng.choice(tokens)))
            observation, _, terminated, truncated, _ = env.step(reply)
            over = terminated or truncated
