"""The pictures: their content, without anything hidden; repainting changes no pixel.

`python -m pytest tests/tasks/test_pictures.py --rewrite-goldens` writes the goldens anew; look at
each of them before committing: a change of pixels is a change of the benchmark.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cli_process import printed_by_two_processes
from support.pictures import (
    TASKS,
    Task,
    check_golden,
    empty_frame,
    every_task,
    every_theme,
    paint,
    update,
    walk,
)

import vlbench
from vlbench.cards import count_faces, rank_text
from vlbench.env import VLEnv
from vlbench.instances import Presentation
from vlbench.sprites import ASSETS, CHARACTERS, choices, load_font, offsets, text_blit
from vlbench.tasks.blackjack.game import BlackjackState
from vlbench.tasks.blackjack.picture import MAX_DEALER, MAX_PLAYER, BlackjackPicture
from vlbench.tasks.formula.game import FormulaState
from vlbench.tasks.number_line.game import NumberLineState
from vlbench.tasks.number_line.picture import NumberLinePicture
from vlbench.tasks.points24.picture import Points24Picture
from vlbench.themes import MAX_JITTER, SIZE, SIZES, THEME_GROUPS, THEMES, ThemeChoice


@dataclass(frozen=True)
class Golden:
    """A mid-episode state with a stored picture."""

    env_id: str
    rules: dict[str, Any]
    instance: str
    actions: Sequence[str]
    themes: Sequence[str] = (*THEMES, "varied-0", "varied-7")
    sized: Sequence[str] = ("classic", "typewriter", "comic", "varied-7")
    """Themes of pictures of other sizes."""


GOLDEN_STATES = {
    "number_line": Golden("vlbench/NumberLine-v0", {}, "number_line/2-5", "+"),
    "number_line_50": Golden(
        "vlbench/NumberLine-v0",
        {"max_position": 50},
        "number_line/9-50",
        "+",
        ("classic", "typewriter", "comic"),
        ("comic",),
    ),
    "ez_points": Golden("vlbench/EZPoints-v0", {}, "ez_points/2-10", ("10", "+")),
    "points24": Golden("vlbench/Points24-v0", {}, "points24/3-3-8-8", "8/(3-8/3)"),
    "points24_36": Golden(
        "vlbench/Points24-v0",
        {"target": 36, "faces": 11},
        "points24/1-11-12-13",
        (*"(((1+", "11", *")+"),
        ("classic", "typewriter", "comic"),
        ("comic",),
    ),
    "blackjack": Golden("vlbench/Blackjack-v0", {}, "blackjack/17", ("hit",)),
}


@pytest.mark.parametrize(
    ("name", "theme", "size"),
    [
        (name, theme, size)
        for name, golden in GOLDEN_STATES.items()
        for size in SIZES
        for theme in (golden.themes if size == SIZE else golden.sized)
    ],
)
def test_pictures_are_those_of_the_goldens(
    name: str, theme: str, size: int, request: pytest.FixtureRequest
) -> None:
    golden = GOLDEN_STATES[name]
    env = Task(golden.env_id, golden.rules).make(theme, 0, size)
    env.reset(options={"instance": golden.instance, "presentation": 7})
    for action in golden.actions:
        frame = env.step(vlbench.reply(action))[0]["image"]
    name += f"-{size}" if size != SIZE else ""
    check_golden(name, theme, frame, request.config.getoption("--rewrite-goldens"))


@pytest.mark.parametrize("jitter", [0, 5])
@every_theme
@every_task
def test_painting_only_what_changed_gives_the_same_pixels(
    name: str, theme: str, jitter: int
) -> None:
    check_repainting(TASKS[name].make(theme, jitter))


@pytest.mark.parametrize("size", [size for size in SIZES if size != SIZE])
@pytest.mark.parametrize("theme", ["classic", "comic", "varied-7"])
@pytest.mark.parametrize("name", [name for name in TASKS if name.endswith("-test")])
def test_painting_only_what_changed_gives_the_same_pixels_in_every_size(
    name: str, theme: str, size: int
) -> None:
    check_repainting(TASKS[name].make(theme, 5, size))


def check_repainting(env: VLEnv[Any, Any]) -> None:
    picture = env.picture
    rng = np.random.default_rng(3)
    for seed in range(3):
        instance = env.game.deal(rng)
        states = list(walk(env.game, instance, seed))
        style = picture.style(states[0], Presentation(instance, seed))
        frame = paint(picture, states[0], style)
        for before, state in itertools.pairwise(states):
            update(picture, frame, state, style, before, style)
            assert np.array_equal(frame, paint(picture, state, style)), (before, state)


@pytest.mark.parametrize("jitter", [0, 5])
@pytest.mark.parametrize("group", [*THEME_GROUPS, "varied", "classic", "comic"])
@every_task
def test_painting_over_another_episode_gives_the_same_pixels(
    name: str, group: str, jitter: int
) -> None:
    env = TASKS[name].make(group, jitter)
    picture = env.picture
    rng = np.random.default_rng(4)
    frame, previous = empty_frame(), None
    for number in range(24):
        instance = env.game.deal(rng)
        states = list(walk(env.game, instance, number))
        style = picture.style(states[0], Presentation(instance, number // 2))
        for state in (states[0], states[-1])[number % 3 == 0 :]:
            if previous is None:
                picture.paint(frame, state, style)
            else:
                update(picture, frame, state, style, *previous)
            assert np.array_equal(frame, paint(picture, state, style)), (previous, state)
            previous = state, style


def test_blackjack_hands_of_any_sizes_are_painted_over_each_other() -> None:
    picture, rng = BlackjackPicture(ThemeChoice("classic", 0)), random.Random(0)
    frame, previous = empty_frame(), None
    for number in range(300):
        cards = tuple(rng.randint(1, 13) for _ in range(MAX_PLAYER))
        player, dealer = cards[: rng.randint(2, 9)], cards[-rng.randint(2, 6) :]
        state = BlackjackState("blackjack/1", player, dealer, over=rng.random() < 0.5)
        style = picture.style(state, Presentation("blackjack/1", number))
        if previous is None:
            picture.paint(frame, state, style)
        else:
            update(picture, frame, state, style, *previous)
        assert np.array_equal(frame, paint(picture, state, style)), (previous, state)
        previous = state, style


def test_numbers_of_any_length_are_painted_over_each_other() -> None:
    picture, rng = NumberLinePicture(ThemeChoice("classic", 0)), random.Random(0)
    frame, previous = empty_frame(), None
    for number in range(200):
        state = NumberLineState(*(rng.randrange(10 ** rng.randint(1, 9)) for _ in range(2)))
        style = picture.style(state, Presentation("number_line/x", number))
        if previous is None:
            picture.paint(frame, state, style)
        else:
            update(picture, frame, state, style, *previous)
        assert np.array_equal(frame, paint(picture, state, style)), (previous, state)
        previous = state, style


@pytest.mark.parametrize("jitter", [0, 5])
@every_theme
def test_large_hands_are_extended_to_the_same_pixels(theme: str, jitter: int) -> None:
    picture = BlackjackPicture(ThemeChoice(theme, jitter))
    ranks = tuple(i % 13 + 1 for i in range(MAX_PLAYER))
    states = [BlackjackState("blackjack/1", ranks[:n], (13, 5)) for n in range(2, MAX_PLAYER + 1)]
    style = picture.style(states[0], Presentation("blackjack/1", 5))
    frame = paint(picture, states[0], style)
    for before, state in itertools.pairwise(states):
        update(picture, frame, state, style, before, style)
        assert np.array_equal(frame, paint(picture, state, style))
    for n in range(2, MAX_DEALER + 1):
        over = BlackjackState("blackjack/1", ranks[:3], (13, *ranks[: n - 1]), over=True)
        before = BlackjackState("blackjack/1", ranks[:3], (13, ranks[0]))
        frame = paint(picture, before, style)
        update(picture, frame, over, style, before, style)
        assert np.array_equal(frame, paint(picture, over, style))


@pytest.mark.parametrize("current", [0, 9, 10, 99, 999, 9_999, 99_999, 999_999_998])
@every_theme
def test_long_numbers_replace_each_other(theme: str, current: int) -> None:
    picture = NumberLinePicture(ThemeChoice(theme, 5))
    style = picture.style(NumberLineState(current, 999_999_999), Presentation("number_line/x", 1))
    for other in (1, 5_000, 123_456_789):
        before, state = NumberLineState(other, 999_999_999), NumberLineState(current, 999_999_999)
        frame = paint(picture, before, style)
        update(picture, frame, state, style, before, style)
        assert np.array_equal(frame, paint(picture, state, style))
        assert not np.array_equal(frame, paint(picture, before, style))


def test_the_hole_card_is_hidden_until_the_end() -> None:
    picture = BlackjackPicture(ThemeChoice("train", 5))
    for number, hole in itertools.product(range(4), range(1, 14)):
        hidden = [BlackjackState("blackjack/1", (5, 9), (10, card)) for card in (hole, 1)]
        open_ = [BlackjackState("blackjack/1", (5, 9), (10, card), over=True) for card in (hole, 1)]
        style = picture.style(hidden[0], Presentation("blackjack/1", number))
        first, second = (paint(picture, state, style) for state in hidden)
        assert np.array_equal(first, second)
        assert picture.facts(hidden[0], style) == picture.facts(hidden[1], style)
        first, second = (paint(picture, state, style) for state in open_)
        assert np.array_equal(first, second) == (hole == 1)


@every_task
def test_facts_are_plain_and_new_in_every_state(name: str) -> None:
    env = TASKS[name].make("train", 0)
    instance = env.game.deal(np.random.default_rng(1))
    states = list(walk(env.game, instance, 1))
    picture = env.picture
    style = picture.style(states[0], Presentation(instance, 1))
    facts = [picture.facts(state, style) for state in states]
    for fact in facts:
        assert {key: type(value) for key, value in fact.items()} == {
            key: type(value) for key, value in facts[0].items()
        }
    assert picture.facts(states[0], style) is not picture.facts(states[0], style)


def test_facts_of_number_line() -> None:
    picture = NumberLinePicture(ThemeChoice())
    state = NumberLineState(2, 5)
    style = picture.style(state, Presentation("number_line/2-5", 0))
    assert picture.facts(state, style) == {"target": 5, "current": 2}


def test_facts_of_blackjack() -> None:
    picture = BlackjackPicture(ThemeChoice())
    state = BlackjackState("blackjack/1", (1, 10, 12), (13, 1))
    style = picture.style(state, Presentation("blackjack/1", 0))
    assert picture.facts(state, style) == {
        "dealer_card": "K",
        "player_cards": ("A", "10", "Q"),
        "player_total": 21,
        "usable_ace": False,
    }


@pytest.mark.parametrize("faces", [10, 11])
def test_cards_shown_are_those_of_the_hand(faces: int) -> None:
    rank_of = {rank_text(rank): rank for rank in range(1, 14)}
    hand = (1, 7, 10, 10) if faces == 10 else (1, 10, 11, 13)
    state = FormulaState(hand, ("7", "+"), ())
    picture = Points24Picture(ThemeChoice("classic", 0), 36, faces)
    orders: set[tuple[str, ...]] = set()
    for number in range(400):
        style = picture.style(state, Presentation("points24/x", number))
        facts = picture.facts(state, style)
        cards, numbers = facts["cards"], facts["numbers"]
        assert isinstance(cards, tuple) and isinstance(numbers, tuple)
        assert tuple(sorted(numbers)) == hand
        assert numbers == tuple(count_faces(rank_of[str(card)], faces) for card in cards)
        assert (facts["formula"], facts["target"]) == ("7 +", 36)
        orders.add(style.cards)
    assert len({tuple(sorted(cards)) for cards in orders}) == (10 if faces == 10 else 1)
    assert len({cards.index("A") for cards in orders}) == 4


def test_a_group_shows_its_themes_in_turn() -> None:
    state = NumberLineState(2, 5)
    for group, members in THEME_GROUPS.items():
        picture = NumberLinePicture(ThemeChoice(group))
        for number in range(2 * len(members)):
            one = NumberLinePicture(ThemeChoice(members[number % len(members)]))
            at = Presentation("number_line/2-5", number)
            first, second = (paint(p, state, p.style(state, at)) for p in (picture, one))
            assert np.array_equal(first, second)


def test_themes_are_in_one_group_each_and_held_out_ones_lie_otherwise() -> None:
    groups = list(THEME_GROUPS.values())
    assert sorted(itertools.chain(*groups)) == sorted(THEMES) and groups[0][0] == "classic"
    assert len(THEME_GROUPS["train"]) >= 3 and len(THEME_GROUPS["heldout"]) >= 3
    layouts = [{THEMES[name].layout for name in group} for group in groups]
    assert sum(map(len, layouts)) == len(set.union(*layouts))


@every_task
def test_unknown_themes_and_jitters_are_refused_in_one_line(name: str) -> None:
    make = TASKS[name].make
    with pytest.raises(ValueError) as error:
        make("clasic", 0)
    assert str(error.value) == (
        'unknown theme "clasic"; did you mean "classic"? '
        f"(themes: {', '.join(THEMES)}; groups: train, heldout, sealed, varied)"
    )
    for jitter in (-1, 6, 1.5, True, "2"):
        with pytest.raises(ValueError, match="jitter must be a whole number of pixels, 0..5"):
            make("classic", jitter)  # type: ignore[arg-type]


every_role = pytest.mark.parametrize(
    "role", ["display", "large", "small", "label", "title", "name"]
)


@every_role
@every_theme
def test_every_printable_character_is_drawn_in_every_theme_and_role(theme: str, role: str) -> None:
    assert "".join(CHARACTERS) == bytes(range(32, 127)).decode()
    font, table = load_font(THEMES[theme], role), THEMES[theme].table
    drawings = {character: font.draw(f"|{character}|") for character in CHARACTERS}
    assert len({drawing.shape[0] for drawing in drawings.values()}) == 1
    assert len({drawing.tobytes() for drawing in drawings.values()}) == len(CHARACTERS)
    ink = {name: int((drawing != table).any(axis=-1).sum()) for name, drawing in drawings.items()}
    assert [name for name in CHARACTERS if ink[name] <= ink[" "]] == [" "]


@every_role
@every_theme
def test_a_new_label_stands_on_the_line_of_the_benchmarks_own(theme: str, role: str) -> None:
    font = load_font(THEMES[theme], role)
    usual_text = "Player" if role == "label" else "12"
    usual, new = (text_blit(font, text, 10, 20) for text in (usual_text, f"{usual_text}?"))
    assert new.place[1].start == usual.place[1].start == 10
    assert new.sprite.shape[0] >= usual.sprite.shape[0]
    top = usual.place[0].start - new.place[0].start
    first_character = font.draw(f"{usual_text[0]}?").shape[1] - font.draw("??").shape[1] // 2
    rows, columns = slice(top, top + usual.sprite.shape[0]), slice(first_character - 2)
    difference = new.sprite[rows, columns].astype(int) - usual.sprite[:, columns]
    assert np.abs(difference).max() <= 255 / 15 / 2 + 1  # new labels have 16 levels of coverage


def test_characters_that_no_font_has_are_refused_in_one_line() -> None:
    font = load_font(THEMES["classic"], "name")
    for text in ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "two\nlines", ""):
        with pytest.raises(ValueError, match="expected printable ASCII, at least one char"):
            font.draw(text)


def test_shifts_and_choices_take_every_value() -> None:
    shifts = {
        shift
        for number in range(300)
        for shift in offsets(Presentation("x/1", number), "shift", 5, MAX_JITTER)
    }
    assert shifts == set(itertools.product(range(6), repeat=2))
    assert offsets(Presentation("x/1", 1), "shift", 2, 0) == ((0, 0), (0, 0))
    drawn = [choices(Presentation("x/1", number), "suits", 22, 4) for number in range(2000)]
    for position in range(22):
        counts = np.bincount([row[position] for row in drawn], minlength=4)
        assert counts.min() > 400
    firsts = np.bincount([row[0] * 4 + row[1] for row in drawn], minlength=16)
    assert firsts.min() > 80


PROGRAM = """
import hashlib, sys
import numpy as np
from vlbench.instances import Presentation
from vlbench.tasks.blackjack.game import BlackjackGame
from vlbench.tasks.blackjack.picture import BlackjackPicture
from vlbench.themes import ThemeChoice
picture, state = BlackjackPicture(ThemeChoice("heldout", 5)), BlackjackGame().start("blackjack/3")
digest = hashlib.sha256()
for number in range(9):
    frame = np.empty((300, 300, 3), np.uint8)
    picture.paint(frame, state, picture.style(state, Presentation("blackjack/3", number)))
    digest.update(frame)
assert "PIL.ImageFont" not in sys.modules and "PIL.ImageDraw" not in sys.modules
print(digest.hexdigest())
"""


def test_two_processes_draw_the_same_and_open_no_font() -> None:
    assert len(printed_by_two_processes(PROGRAM)) == 1


def test_the_atlases_are_small() -> None:
    files = [path for path in Path(str(ASSETS)).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 7_000_000
