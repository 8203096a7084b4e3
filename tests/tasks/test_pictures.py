"""The pictures: what they show, that nothing is hidden, and that short cuts change no pixel.

`python -m pytest tests/tasks/test_pictures.py --rewrite-goldens` writes the goldens anew; look at
each of them before committing: a change of pixels is a change of the benchmark.
"""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.card_pictures import TASKS, empty_frame, every_task, every_theme, painted, walk
from support.cli_process import printed_by_two_processes

from vlbench.cards import count_faces, rank_text
from vlbench.instances import Presentation
from vlbench.sprites import ASSETS, MAX_JITTER, choices, offsets
from vlbench.tasks.blackjack.game import BlackjackState
from vlbench.tasks.blackjack.picture import MAX_DEALER, MAX_PLAYER, BlackjackPicture
from vlbench.tasks.formula.game import FormulaState
from vlbench.tasks.number_line.game import NumberLineState
from vlbench.tasks.number_line.picture import NumberLinePicture
from vlbench.tasks.points24.picture import Points24Picture
from vlbench.themes import THEME_GROUPS, THEMES

GOLDENS = Path(__file__).parents[1] / "goldens"


@pytest.mark.parametrize(
    ("name", "theme"),
    [*itertools.product(("number_line", "ez_points", "points24", "blackjack"), THEMES)]
    + [*itertools.product(("number_line_50", "points24_36"), ("classic", "typewriter", "comic"))],
)
def test_pictures_are_those_of_the_goldens(
    name: str, theme: str, request: pytest.FixtureRequest
) -> None:
    task = TASKS[name]
    picture = task.picture(theme, 0)
    state = start = task.game.start(task.instance)
    for action in task.actions:
        state = task.game.step(state, action).state
    frame = painted(picture, state, picture.look(start, Presentation(task.instance, 7)))
    path = GOLDENS / f"{name}-{theme}.png"
    if request.config.getoption("--rewrite-goldens"):
        GOLDENS.mkdir(exist_ok=True)
        Image.fromarray(frame).save(path, optimize=True)
    with Image.open(path) as golden:
        assert np.array_equal(np.asarray(golden), frame), f"{path} differs from what is drawn"


@pytest.mark.parametrize("jitter", [0, 5])
@every_theme
@every_task
def test_painting_only_what_changed_gives_the_same_pixels(
    name: str, theme: str, jitter: int
) -> None:
    task = TASKS[name]
    picture = task.picture(theme, jitter)
    rng = np.random.default_rng(3)
    for seed in range(3):
        instance = task.game.deal(rng)
        states = list(walk(task.game, instance, seed))
        look = picture.look(states[0], Presentation(instance, seed))
        frame = painted(picture, states[0], look)
        for before, state in itertools.pairwise(states):
            picture.paint(frame, state, look, (before, look))
            assert np.array_equal(frame, painted(picture, state, look)), (before, state)


@pytest.mark.parametrize("jitter", [0, 5])
@pytest.mark.parametrize("group", [*THEME_GROUPS, "classic", "comic"])
@every_task
def test_painting_over_another_episode_gives_the_same_pixels(
    name: str, group: str, jitter: int
) -> None:
    task = TASKS[name]
    picture = task.picture(group, jitter)
    rng = np.random.default_rng(4)
    frame, shown = empty_frame(), None
    for number in range(24):
        instance = task.game.deal(rng)
        states = list(walk(task.game, instance, number))
        look = picture.look(states[0], Presentation(instance, number // 2))
        for state in (states[0], states[-1])[number % 3 == 0 :]:
            picture.paint(frame, state, look, shown)
            assert np.array_equal(frame, painted(picture, state, look)), (shown, state)
            shown = state, look


def test_blackjack_hands_of_any_sizes_are_painted_over_each_other() -> None:
    picture, rng = BlackjackPicture("classic", 0), random.Random(0)
    frame, shown = empty_frame(), None
    for number in range(300):
        cards = tuple(rng.randint(1, 13) for _ in range(MAX_PLAYER))
        player, dealer = cards[: rng.randint(2, 9)], cards[-rng.randint(2, 6) :]
        state = BlackjackState("blackjack/1", player, dealer, over=rng.random() < 0.5)
        look = picture.look(state, Presentation("blackjack/1", number))
        picture.paint(frame, state, look, shown)
        assert np.array_equal(frame, painted(picture, state, look)), (shown, state)
        shown = state, look


def test_numbers_of_any_length_are_painted_over_each_other() -> None:
    picture, rng = NumberLinePicture("classic", 0), random.Random(0)
    frame, shown = empty_frame(), None
    for number in range(200):
        state = NumberLineState(*(rng.randrange(10 ** rng.randint(1, 9)) for _ in range(2)))
        look = picture.look(state, Presentation("number_line/x", number))
        picture.paint(frame, state, look, shown)
        assert np.array_equal(frame, painted(picture, state, look)), (shown, state)
        shown = state, look


@pytest.mark.parametrize("jitter", [0, 5])
@every_theme
def test_large_hands_are_extended_to_the_same_pixels(theme: str, jitter: int) -> None:
    picture = BlackjackPicture(theme, jitter)
    ranks = tuple(i % 13 + 1 for i in range(MAX_PLAYER))
    states = [BlackjackState("blackjack/1", ranks[:n], (13, 5)) for n in range(2, MAX_PLAYER + 1)]
    look = picture.look(states[0], Presentation("blackjack/1", 5))
    frame = painted(picture, states[0], look)
    for before, state in itertools.pairwise(states):
        picture.paint(frame, state, look, (before, look))
        assert np.array_equal(frame, painted(picture, state, look))
    for n in range(2, MAX_DEALER + 1):
        over = BlackjackState("blackjack/1", ranks[:3], (13, *ranks[: n - 1]), over=True)
        before = BlackjackState("blackjack/1", ranks[:3], (13, ranks[0]))
        frame = painted(picture, before, look)
        picture.paint(frame, over, look, (before, look))
        assert np.array_equal(frame, painted(picture, over, look))


@pytest.mark.parametrize("current", [0, 9, 10, 99, 999, 9_999, 99_999, 999_999_998])
@every_theme
def test_long_numbers_replace_each_other(theme: str, current: int) -> None:
    picture = NumberLinePicture(theme, 5)
    look = picture.look(NumberLineState(current, 999_999_999), Presentation("number_line/x", 1))
    for other in (1, 5_000, 123_456_789):
        before, state = NumberLineState(other, 999_999_999), NumberLineState(current, 999_999_999)
        frame = painted(picture, before, look)
        picture.paint(frame, state, look, (before, look))
        assert np.array_equal(frame, painted(picture, state, look))
        assert not np.array_equal(frame, painted(picture, before, look))


def test_the_hole_card_is_hidden_until_the_end() -> None:
    picture = BlackjackPicture("train", 5)
    for number, hole in itertools.product(range(4), range(1, 14)):
        hidden = [BlackjackState("blackjack/1", (5, 9), (10, card)) for card in (hole, 1)]
        shown = [BlackjackState("blackjack/1", (5, 9), (10, card), over=True) for card in (hole, 1)]
        look = picture.look(hidden[0], Presentation("blackjack/1", number))
        first, second = (painted(picture, state, look) for state in hidden)
        assert np.array_equal(first, second)
        assert picture.facts(hidden[0], look) == picture.facts(hidden[1], look)
        first, second = (painted(picture, state, look) for state in shown)
        assert np.array_equal(first, second) == (hole == 1)


@every_task
def test_facts_are_plain_and_new_in_every_state(name: str) -> None:
    task = TASKS[name]
    picture = task.picture("train", 0)
    states = list(walk(task.game, task.instance, 1))
    look = picture.look(states[0], Presentation(task.instance, 1))
    facts = [picture.facts(state, look) for state in states]
    for fact in facts:
        assert {key: type(value) for key, value in fact.items()} == {
            key: type(value) for key, value in facts[0].items()
        }
    assert picture.facts(states[0], look) is not picture.facts(states[0], look)


def test_facts_of_number_line() -> None:
    picture = NumberLinePicture()
    state = NumberLineState(2, 5)
    look = picture.look(state, Presentation("number_line/2-5", 0))
    assert picture.facts(state, look) == {"target": 5, "current": 2}


def test_facts_of_blackjack() -> None:
    picture = BlackjackPicture()
    state = BlackjackState("blackjack/1", (1, 10, 12), (13, 1))
    look = picture.look(state, Presentation("blackjack/1", 0))
    assert picture.facts(state, look) == {
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
    picture = Points24Picture("classic", 0, 36, faces)
    seen: set[tuple[str, ...]] = set()
    for number in range(400):
        look = picture.look(state, Presentation("points24/x", number))
        facts = picture.facts(state, look)
        cards, numbers = facts["cards"], facts["numbers"]
        assert isinstance(cards, tuple) and isinstance(numbers, tuple)
        assert tuple(sorted(numbers)) == hand
        assert numbers == tuple(count_faces(rank_of[str(card)], faces) for card in cards)
        assert (facts["formula"], facts["target"]) == ("7 +", 36)
        seen.add(look.cards)
    assert len({tuple(sorted(cards)) for cards in seen}) == (10 if faces == 10 else 1)
    assert len({cards.index("A") for cards in seen}) == 4


def test_a_group_shows_its_themes_in_turn() -> None:
    state = NumberLineState(2, 5)
    for group, members in THEME_GROUPS.items():
        picture = NumberLinePicture(group)
        for number in range(2 * len(members)):
            one = NumberLinePicture(members[number % len(members)])
            at = Presentation("number_line/2-5", number)
            first, second = (painted(p, state, p.look(state, at)) for p in (picture, one))
            assert np.array_equal(first, second)


def test_themes_are_in_one_group_each_and_held_out_ones_lie_otherwise() -> None:
    train, heldout = THEME_GROUPS["train"], THEME_GROUPS["heldout"]
    assert sorted(train + heldout) == sorted(THEMES) and train[0] == "classic"
    assert len(train) >= 3 and len(heldout) >= 3
    layouts = [{THEMES[name].layout for name in group} for group in (train, heldout)]
    assert not layouts[0] & layouts[1]


@every_task
def test_unknown_themes_and_jitters_are_refused_in_one_line(name: str) -> None:
    make = TASKS[name].picture
    with pytest.raises(ValueError) as error:
        make("clasic", 0)
    assert str(error.value) == (
        'unknown theme "clasic"; did you mean "classic"? '
        f"(themes: {', '.join(THEMES)}; groups: train, heldout)"
    )
    for jitter in (-1, 6, 1.5, True, "2"):
        with pytest.raises(ValueError, match="jitter must be a whole number of pixels, 0..5"):
            make("classic", jitter)


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
picture, state = BlackjackPicture("heldout", 5), BlackjackGame().start("blackjack/3")
digest = hashlib.sha256()
for number in range(9):
    frame = np.empty((300, 300, 3), np.uint8)
    picture.paint(frame, state, picture.look(state, Presentation("blackjack/3", number)), None)
    digest.update(frame)
assert "PIL.ImageFont" not in sys.modules and "PIL.ImageDraw" not in sys.modules
print(digest.hexdigest())
"""


def test_two_processes_draw_the_same_and_open_no_font() -> None:
    assert len(printed_by_two_processes(PROGRAM)) == 1


def test_the_atlases_are_small() -> None:
    files = [path for path in Path(str(ASSETS)).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
