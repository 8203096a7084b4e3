"""The pictures: nothing is covered, clipped or outside the frame."""

import itertools

import numpy as np
import pytest
from support.pictures import every_look_and_size, paint, update

from vlbench.instances import Presentation
from vlbench.sprites import CARD_SIZES, deck
from vlbench.tasks.blackjack.game import BlackjackState
from vlbench.tasks.blackjack.picture import MAX_DEALER, MAX_PLAYER, BlackjackPicture
from vlbench.tasks.ez_points.picture import EZPointsPicture
from vlbench.tasks.formula.game import FormulaState
from vlbench.tasks.formula.picture import FormulaPicture
from vlbench.tasks.points24.picture import Points24Picture
from vlbench.themes import SIZE, ThemeChoice, find_theme
from vlbench.themes.theme import resized, scaled


def boxes(places: list[tuple[slice, slice]], size: int = SIZE) -> None:
    """Check that rectangles are disjoint and inside the frame."""
    for rows, columns in places:
        assert 0 <= rows.start < rows.stop <= size and 0 <= columns.start < columns.stop <= size
    for (rows, columns), (other_rows, other_columns) in itertools.combinations(places, 2):
        assert (
            rows.stop <= other_rows.start
            or other_rows.stop <= rows.start
            or columns.stop <= other_columns.start
            or other_columns.stop <= columns.start
        ), (rows, columns, other_rows, other_columns)


LONGEST = {
    2: [("10", "+", "+", "+", "+", "10"), ("13", "*", "+", "+", "+", "12")],
    4: [
        ("13", "+", "13", "+", "12", "+", "11", *"++++++++++++++"),
        ("+",) * 17 + ("10", "10", "10", "10"),
        (*"((", "10", "+", "10", *")*((", "13", "-", "12", *")/(+((+")[:21],
    ],
}


@pytest.mark.parametrize("jitter", [0, 5])
@pytest.mark.parametrize("cards", [2, 4])
@every_look_and_size
def test_cards_and_the_longest_formulas_lie_apart_and_in_the_frame(
    theme: str, cards: int, jitter: int, picture_size: int
) -> None:
    for kind, number in itertools.product((0, 1), range(3 if jitter else 1)):
        target, faces = (36, 11) if kind else ((12, 24)[cards == 4], 10)
        make = EZPointsPicture if cards == 2 else Points24Picture
        picture: FormulaPicture = make(ThemeChoice(theme, jitter, picture_size), target, faces)
        hand = (1, 10, 10, 10)[-cards:]
        for tokens in LONGEST[cards]:
            state = FormulaState(hand, (), hand)
            style = picture.style(state, Presentation("x/1", number))
            places = [blit.place for blit in style.still]
            frame = paint(picture, state, style)
            boxes(places, picture_size)
            for i, token in enumerate(tokens):
                earlier, before = frame.copy(), state
                state = FormulaState(hand, tokens[: i + 1], ())
                update(picture, frame, state, style, before, style)
                rows, columns = np.nonzero(frame[..., 2] != earlier[..., 2])
                height, width = style.assets.tokens[token].shape[:2]
                assert rows.size, f"{token} can't be seen"
                box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
                assert box[0].stop - box[0].start <= height
                assert box[1].stop - box[1].start <= width
                ink = (style.assets.tokens[token] != style.assets.empty[0, 0])[..., 2].sum()
                assert rows.size == ink, f"{token} covers something or leaves the frame"
                places.append(box)
            boxes(places, picture_size)


@pytest.mark.parametrize("jitter", [0, 5])
@every_look_and_size
def test_blackjack_labels_lie_apart_from_all_hands(
    theme: str, jitter: int, picture_size: int
) -> None:
    picture = BlackjackPicture(ThemeChoice(theme, jitter, picture_size))
    for number in range(20):
        bare = BlackjackState("blackjack/1", (1, 2), (3, 4))
        style = picture.style(bare, Presentation("blackjack/1", number))
        boxes([blit.place for blit in style.still], picture_size)
        ranks = tuple(i % 13 + 1 for i in range(MAX_PLAYER))
        for n in (4, 5, 7, 8, 22):
            state = BlackjackState("blackjack/1", ranks[:n], ranks[:MAX_DEALER], over=True)
            frame = paint(picture, state, style)
            for place, sprite in style.still:
                assert np.array_equal(frame[place], sprite)


@pytest.mark.parametrize("jitter", [0, 5])
@every_look_and_size
def test_the_corner_index_of_every_card_is_visible_in_every_hand(
    theme: str, jitter: int, picture_size: int
) -> None:
    picture = BlackjackPicture(ThemeChoice(theme, jitter, picture_size))
    cards = deck(resized(find_theme(theme), picture_size), "medium")
    wide, high = scaled(20, picture_size), scaled(40, picture_size)
    for n in (2, 4, 5, 7, 8, 14, 15, MAX_PLAYER):
        ranks = tuple((5 * i) % 13 + 1 for i in range(n))
        state = BlackjackState("blackjack/1", ranks, (7, 8))
        style = picture.style(state, Presentation("blackjack/1", n))
        frame = paint(picture, state, style)
        for i, rank in enumerate(ranks):
            suit = style.player.suits >> 2 * i & 3
            other = {6: 8, 8: 9}.get(rank, 6)
            changed = BlackjackState("blackjack/1", (*ranks[:i], other, *ranks[i + 1 :]), (7, 8))
            differ = (frame != paint(picture, changed, style))[..., 1].sum()
            index, other_index = (cards.card(r, suit)[:high, :wide, 1] for r in (rank, other))
            assert differ >= (index != other_index).sum() > 15, (n, i)


@pytest.mark.parametrize("size", CARD_SIZES)
@every_look_and_size
def test_the_52_cards_and_the_back_differ(theme: str, picture_size: int, size: str) -> None:
    cards = deck(resized(find_theme(theme), picture_size), size)
    faces = [cards.card(rank, suit) for rank in range(1, 14) for suit in range(4)]
    assert len({face.tobytes() for face in (*faces, cards.back)}) == 53
    assert not any(face.flags.writeable for face in faces)


def test_no_card_lies_on_the_table_twice() -> None:
    hand = (10, 10, 10, 10)
    picture = Points24Picture(ThemeChoice())
    for number in range(200):
        style = picture.style(FormulaState(hand, (), hand), Presentation("points24/x", number))
        assert len({id(blit.sprite) for blit in style.still}) == 5
