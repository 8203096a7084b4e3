"""RL4VLM's rules, one oddity at a time; every number is worked out by hand or by counting."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from support.rl4vlm_games import make, play

import vlbench
from vlbench.cards import RANKS, SUITS
from vlbench.rl4vlm.blackjack import hand


class Enumerated:
    """A fake generator that deals a fixed pair."""

    def __init__(self, pair):
        self.pair = pair

    def integers(self, *bounds, size):
        assert bounds == (6,) and size == 2
        return np.array(self.pair)


def number_line_law():
    game = make("NumberLine").unwrapped.game
    law = Counter()
    for start in range(6):
        for target in range(6):
            law[game.deal(Enumerated((start, target))).split("/")[1]] += Fraction(1, 36)
    return law


def test_equal_numbers_move_the_target_by_one_modulo_five():
    law = number_line_law()
    assert law["4-0"] == law["5-1"] == law["0-1"] == Fraction(2, 36) and "4-4" not in law
    targets = Counter()
    distances = Counter()
    for pair, chance in law.items():
        start, target = map(int, pair.split("-"))
        targets[target] += chance
        distances[abs(start - target)] += chance
    assert [targets[t] * 36 for t in range(6)] == [6, 7, 6, 6, 6, 5]
    assert [distances[d] * 36 for d in range(1, 6)] == [14, 8, 6, 6, 2]


def test_random_play_has_a_return_above_zero_in_28_3_percent():
    # A wrong move costs what the target pays, so only the straight way is above zero.
    share = sum(
        chance * Fraction(1, 2 ** abs(int(pair[0]) - int(pair[2])))
        for pair, chance in number_line_law().items()
    )
    assert share == Fraction(163, 576) and round(100 * float(share), 1) == 28.3


def first_release(start, target, actions):
    """Return the best of the actions' returns in commit 202229a, where a reset moves nothing.

    There equal numbers stay equal at the reset, and the first step moves the target, after the
    reward and behind the picture.
    """
    position, goal, total = start, target, 0
    for number, action in enumerate(actions):
        before = abs(position - goal)
        position = min(max(position + (1 if action == "+" else -1), 0), 5)
        after = abs(position - goal)
        total += 1 if after == 0 else 0 if after < before else -1
        if after == 0:
            break
        if number == 0 and start == target:
            goal = (goal + 1) % 5
    return total


def test_the_first_release_capped_numberline_at_88_9_percent():
    best = blind = chance = Fraction(0)
    for start in range(6):
        for target in range(6):
            way = "+" if target > start else "-"
            ways = [way * abs(target - start)] if start != target else ["-+", "--", "+-", "++"]
            won = [first_release(start, target, actions) > 0 for actions in ways]
            best += Fraction(any(won), 36)
            blind += Fraction(sum(won), 36 * len(won))
            steps = abs(target - start) or 1
            chance += Fraction(sum(won), 36 * len(won)) * Fraction(
                1, 2**steps if start != target else 1
            )
    assert best == Fraction(32, 36) and round(100 * float(best), 1) == 88.9
    assert blind == Fraction(31, 36) and round(100 * float(blind), 1) == 86.1
    assert round(100 * float(chance), 1) == 25.2


def test_number_line_by_hand():
    env = make("NumberLine")
    assert play(env, "rl4vlm_number_line/4-2", "--")[0] == [0, 1]
    rewards, over, info = play(env, "rl4vlm_number_line/4-2", "+--")
    assert (rewards, over, info["success"]) == ([-1, 0, 0], "", False)
    rewards, over, info = play(env, "rl4vlm_number_line/4-2", "+---")
    assert (rewards, over, info["success"]) == ([-1, 0, 0, 1], "terminated", False)  # return 0
    assert play(env, "rl4vlm_number_line/5-4", "++-")[0] == [-1, -1, 1]  # a wall
    rewards, over, _ = play(env, "rl4vlm_number_line/0-5", "+-" * 5)
    assert (rewards, over) == ([0, -1] * 5, "truncated")
    rewards, over, _ = play(env, "rl4vlm_number_line/1-4", "-" * 7 + "+++")
    assert (rewards, over) == ([-1] * 7 + [0] * 3, "truncated")
    rewards, over, _ = play(env, "rl4vlm_number_line/1-4", "-" * 6 + "++++")
    assert (rewards, over) == ([-1] * 6 + [0] * 3 + [1], "terminated")  # not truncated too


def test_the_law_of_ez_points():
    game = make("EZPoints").unwrapped.game
    rng = np.random.default_rng(0)
    deals = [game.start(game.deal(rng)).hand for _ in range(24_000)]
    pairs = Counter(tuple(sorted(deal.numbers)) for deal in deals)
    law = {(2, 10): 9, (5, 7): 4, (4, 8): 3, (3, 9): 3, (2, 6): 2, (3, 4): 2, (6, 6): 1}
    assert set(pairs) == set(law)
    for pair, chance in law.items():
        expected = 24_000 * chance / 24
        assert abs(pairs[pair] - expected) < 4 * (expected * (1 - chance / 24)) ** 0.5
    ranks = Counter(card[1] for deal in deals for card in deal.cards)
    assert not ranks["A"]
    assert abs(sum(ranks[face] for face in "JQK") / 24_000 - 0.25) < 0.012
    with_two = [deal for deal in deals if deal.numbers in ((2, 10), (10, 2))]
    tens = Counter(card[1] for deal in with_two for card in deal.cards if card[1] != "2")
    # From a 2 comes always a T; from 10, J, Q, K come themselves: T has 1/24 + 1/12 of 9/24.
    assert abs(tens["T"] / len(with_two) - (1 / 24 + 2 / 24) / (9 / 24)) < 0.03
    orders = Counter(deal.numbers[0] == 2 for deal in with_two)
    assert abs(orders[True] / len(with_two) - 0.5) < 0.03


def test_points24_deals_ranks_and_suits_uniformly_and_unfiltered():
    game = make("Points24").unwrapped.game
    rng = np.random.default_rng(0)
    deals = [game.start(game.deal(rng)).hand for _ in range(20_000)]
    for place in range(4):
        for letter, names in ((0, SUITS), (1, RANKS)):
            counts = Counter(deal.cards[place][letter] for deal in deals)
            assert set(counts) == set(names)
            expected = 20_000 / len(names)
            assert all(abs(count - expected) < 4.5 * expected**0.5 for count in counts.values())
    unsolvable = sum(deal.numbers.count(10) >= 3 for deal in deals)
    assert unsolvable > 500  # hands of three or four tens come, solvable or not


HAND = "rl4vlm_points24/"
PAIR = "rl4vlm_ez_points/"


@pytest.mark.parametrize(
    ("instance", "tokens", "rewards", "formula"),
    [
        (PAIR + "D3-H9", "3 + 9 =", [0, 0, 0, 10], "3+9"),
        (PAIR + "D3-H4", "3 * 4 =", [0, 0, 0, 10], "3*4"),
        (PAIR + "D3-H9", "3 =", [0, -1], "3"),  # one number is missing
        (PAIR + "D2-HK", "1 2 =", [-1, 0, -1], " 2"),  # "1" is on no card
        (PAIR + "D3-H9", "3 3 + 9 =", [0, -1, 0, 0, 10], "3 +9"),  # a space, and still right
        (PAIR + "D3-H9", "7 7 3 + 9 =", [-1, -1, 0, 0, 0, 10], "  3+9"),  # two illegal: room left
        (PAIR + "D3-H9", "3 9 + + = ", [0, 0, 0, 0, -1], "39++"),
        (PAIR + "H6-D6", "6 + + 6 =", [0, 0, 0, 0, 10], "6++6"),  # a sign
        (HAND + "H2-D4-S3-C3", "2 4 + 3 - 3 =", [0] * 6 + [10], "24+3-3"),  # joined digits
        (HAND + "HA-D2-SA-C2", "1 2 + 1 2 =", [0] * 5 + [10], "12+12"),
        (HAND + "H2-D4-S3-C3", "2 5 4 + 3 - 3 =", [0, -1] + [0] * 5 + [-1], "2 4+3-3"),
        (HAND + "H2-D4-S3-C3", "9 2 4 + 3 - 3 =", [-1] + [0] * 6 + [10], " 24+3-3"),
        (HAND + "H2-D4-S3-C3", "2 4 + 3 - 3 9 =", [0] * 6 + [-1, 10], "24+3-3 "),
        (HAND + "H5-D2-SA-C9", "5 * * 2 - 1 * * 9 =", [0] * 9 + [10], "5**2-1**9"),
        (HAND + "H7-D7-S2-CA", "7 * 7 / / 2 * 1 =", [0] * 8 + [10], "7*7//2*1"),
        (HAND + "H3-D3-S8-C8", "8 / ( 3 - 8 / 3 ) =", [0] * 9 + [-1], "8/(3-8/3)"),  # floats
        (HAND + "HA-D5-S4-C6", "4 / ( 1 - 5 / 6 ) =", [0] * 9 + [-1], "4/(1-5/6)"),
        (HAND + "H2-D3-S4-C6", "( 2 ) ( 3 ) * 4 + 6 =", [0] * 10 + [-1], "(2)(3)*4+6"),  # a call
        (HAND + "H6-D4-SA-CA", "- - 6 * 4 * 1 * 1 =", [0] * 9 + [10], "--6*4*1*1"),
        (HAND + "H6-D4-SA-CA", "6 * 4 =", [0, 0, 0, -1], "6*4"),  # 24, of two numbers
        (HAND + "HT-DJ-SQ-CK", "10 * * 10 * * 10 * * 10 =", [0] * 10 + [-1], "10**10**10**10"),
    ],
)
def test_formulas_by_hand(instance, tokens, rewards, formula):
    task = "EZPoints" if instance.startswith(PAIR) else "Points24"
    env = make(task)
    paid, over, info = play(env, instance, tokens.split())
    assert (paid, over) == (rewards, "terminated")
    assert "".join(env.unwrapped._state.tokens) == formula
    assert info["success"] == (sum(rewards) > 0)
    assert f"current formula: {formula}. You" in env.unwrapped.text


def test_notes_name_what_the_judge_did():
    env = make("Points24")
    for instance, tokens, said in (
        (
            HAND + "H2-D4-S3-C3",
            "2 4 + 3 - 3 =",
            "rewarded, although it isn't a well-formed formula",
        ),
        (
            HAND + "H3-D3-S8-C8",
            "8 / ( 3 - 8 / 3 ) =",
            "not rewarded, although it is exactly 24: eval",
        ),
        (HAND + "HT-DJ-SQ-CK", "10 * * 10 * * 10 =", "2**34 bits; RL4VLM would hang"),
        (HAND + "H6-D4-SA-CA", "6 * 4 * 1 * 1 =", ""),
        (HAND + "H6-D4-SA-CA", "+ " * 22, "more than 20 tokens"),
    ):
        info = play(env, instance, tokens.split())[2]
        assert said in info["note"] and bool(said) == bool(info["note"])


@pytest.mark.parametrize(("task", "limit"), [("EZPoints", 5), ("Points24", 20)])
@pytest.mark.parametrize("last", ["=", "+", "10"])
def test_one_token_too_many_truncates_whatever_the_action_is(task, limit, last):
    env = make(task)
    start = PAIR + "D3-H9" if task == "EZPoints" else HAND + "H6-D4-SA-CA"
    right = "3 + 9".split() if task == "EZPoints" else "6 * 4 * 1 * 1".split()
    # At the limit of tokens "=" still counts …
    padded = ["+"] * (limit - len(right)) + right
    rewards, over, info = play(env, start, [*padded, "="])
    assert (rewards, over, info["success"]) == ([0] * limit + [10], "terminated", True)
    # … and one token later nothing does.
    rewards, over, info = play(env, start, ["+", *padded, last])
    assert (rewards, over, info["success"]) == ([0] * (limit + 1) + [-1], "truncated", False)
    assert len(env.unwrapped._state.tokens) == limit + 1 and env.unwrapped.turns_left == 0


@pytest.mark.parametrize(("illegal", "success"), [(9, True), (10, False)])
def test_ten_illegal_numbers_make_a_right_formula_a_failure(illegal, success):
    actions = ["9"] * illegal + "6 * 4 * 1 * 1 =".split()
    rewards, over, info = play(make("Points24"), HAND + "H6-D4-SA-CA", actions)
    assert (sum(rewards), over, info["success"]) == (10 - illegal, "terminated", success)


def test_illegal_numbers_are_marked_and_cannot_be_seen_in_the_hint_alone():
    env = make("EZPoints")
    env.reset(seed=0, options={"instance": PAIR + "D3-H9"})
    _, reward, _, _, info = env.step(vlbench.reply("4"))
    assert info["illegal"] and reward == -1 and "a space was appended" in info["hint"]
    assert info["legal_actions"] == ("3", "9", "+", "*", "=")
    _, _, _, _, info = env.step(vlbench.reply("3"))
    assert not info["illegal"] and info["facts"]["formula"] == "  3"


def test_experts_solve_what_floats_let_be_solved():
    env = make("EZPoints")
    for seed in range(60):
        env.reset(seed=seed)
        while not env.unwrapped._over:
            info = env.step(vlbench.reply(env.unwrapped.expert()))[4]
        assert info["success"]
    env = make("Points24")
    _, _, info = play(env, HAND + "H3-D3-S8-C8", ["="])
    env.reset(options={"instance": HAND + "H3-D3-S8-C8"})
    assert env.unwrapped.expert() == "=" and set(env.unwrapped.values().values()) == {-1.0}
    env.reset(options={"instance": HAND + "HA-D5-S4-C6"})  # 4/(1-5/6) fails, 6/(5/4-1) doesn't
    while not env.unwrapped._over:
        assert max(env.unwrapped.values().values()) == 10
        info = env.step(vlbench.reply(env.unwrapped.expert()))[4]
    assert info["success"] and info["facts"]["formula"].replace(" ", "") == "6/(5/4-1)"


def test_the_heuristic_takes_the_cards_as_they_lie():
    env = make("Points24")
    env.reset(options={"instance": HAND + "H6-D4-SA-CA"})
    while not env.unwrapped._over:
        info = env.step(vlbench.reply(env.unwrapped.heuristic()))[4]
    assert info["success"] and info["facts"]["formula"].startswith("6 * 4")


def shoe(accepts):
    """Return the first shoe whose hands pass a test."""
    game = make("Blackjack").unwrapped.game
    for number in range(200_000):
        state = game.start(f"rl4vlm_blackjack/{number}")
        if accepts(state, game):
            return f"rl4vlm_blackjack/{number}"
    raise AssertionError("no such shoe")


def test_the_fifth_card_cannot_be_seen_and_the_sixth_shows_its_upper_half():
    def long_hand(state, game):
        for _ in range(4):
            state = game.step(state, "hit").state
        return hand(state.player).total <= 21

    env = make("Blackjack")
    observation, _ = env.reset(options={"instance": shoe(long_hand)})
    frames, infos = [observation["image"]], []
    for _ in range(4):
        observation, _, _, _, info = env.step(vlbench.reply("hit"))
        frames.append(observation["image"])
        infos.append(info["facts"])
    assert (frames[1] != frames[2]).any()  # the fourth card
    assert np.array_equal(frames[2], frames[3])  # the fifth
    assert infos[2]["unseen_cards"] == 1 and len(infos[2]["player_cards"]) == 4
    rows, columns = np.nonzero((frames[3] != frames[4]).any(2))
    assert rows.min() >= 252 and rows.max() == 299 and 5 <= columns.min() <= columns.max() < 75


def test_the_dealer_s_hand_is_never_revealed():
    def draws(state, game):
        return len(game.step(state, "stand").state.dealer) > 2

    env = make("Blackjack")
    first, before = env.reset(options={"instance": shoe(draws)})
    last, _, terminated, _, after = env.step(vlbench.reply("stand"))
    assert terminated and np.array_equal(first["image"], last["image"])
    assert before["facts"] == after["facts"]


def test_ties_fail_naturals_earn_nothing_extra_and_the_dealer_stands_on_a_soft_17():
    env = make("Blackjack")

    def natural(state, game):
        move = game.step(state, "stand")
        return hand(state.player).total == 21 and move.reward == 1

    assert play(env, shoe(natural), ["stand"])[0] == [1]

    def tie(state, game):
        return hand(state.player).total == hand(state.dealer).total == 21

    rewards, over, info = play(env, shoe(tie), ["stand"])
    assert (rewards, over, info["success"]) == ([0], "terminated", False)

    def soft_17(state, game):
        return hand(state.dealer).usable_ace and hand(state.dealer).total == 17

    game, name = env.unwrapped.game, shoe(soft_17)
    assert len(game.step(game.start(name), "stand").state.dealer) == 2


def test_blackjack_s_cards_come_from_an_infinite_deck_that_shows_no_ten():
    game = make("Blackjack").unwrapped.game
    cards = Counter()
    for number in range(6000):
        state = game.start(f"rl4vlm_blackjack/{number}")
        cards.update((*state.player, *state.dealer))
    ranks, suits = Counter(), Counter()
    for card, count in cards.items():
        suits[card[0]] += count
        ranks[card[1]] += count
    assert "T" not in ranks and len(ranks) == 12 and len(suits) == 4
    for rank, count in ranks.items():
        chance = 4 / 39 if rank in "JQK" else 1 / 13
        assert abs(count - 24_000 * chance) < 4.5 * (24_000 * chance) ** 0.5
    assert all(abs(count - 6000) < 320 for count in suits.values())


def test_simple_players_win_as_often_as_computed():
    env = make("Blackjack").unwrapped
    for choose, rate in (
        (lambda rng: "stand", 0.3807),
        (lambda rng: rng.choice(["stand", "hit"]), 0.2806),
    ):
        rng = np.random.default_rng(0)
        wins = 0
        for number in range(4000):
            state, over = env.game.start(f"rl4vlm_blackjack/{number}"), False
            while not over:
                move = env.game.step(state, choose(rng))
                state, over = move.state, move.terminated
            wins += move.success
        assert abs(wins / 4000 - rate) < 3.3 * (rate * (1 - rate) / 4000) ** 0.5
