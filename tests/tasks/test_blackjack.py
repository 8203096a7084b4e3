"""The rules and odds of Blackjack, the usual ones and those that an argument changes."""

from collections import Counter
from fractions import Fraction
from itertools import combinations_with_replacement

import gymnasium
import numpy as np
import pytest
from support.pictures import paint, update

import vlbench
from vlbench.instances import Presentation
from vlbench.prompts import VARIANTS, template_hash
from vlbench.suites import frozen_rows
from vlbench.tasks.blackjack import odds
from vlbench.tasks.blackjack.game import BlackjackGame, BlackjackState, hand
from vlbench.tasks.blackjack.picture import BlackjackPicture
from vlbench.tasks.blackjack.rules import USUAL, Rules
from vlbench.tasks.blackjack.suites import old_expert
from vlbench.themes import ThemeChoice

BUST_25 = Rules(bust_above=25)
LOW_ACES = Rules(ace_counts_11=False)
HIDDEN_DEALER = Rules(dealer_hidden=True)
CHANGED = (BUST_25, LOW_ACES, HIDDEN_DEALER, Rules(bust_above=31, dealer_draws_to=26))


def at_random(hand, open_card, turns):
    """The policy of uniformly random actions."""
    return 0.5


def worth(policy, payoff=odds.WIN_RATE, rules=USUAL):
    """A policy's mean payoff over the deal."""
    return odds.deal_expectation(odds.policy_worth(policy, payoff, rules), rules)


def best(payoff, rules=USUAL):
    """Best play's mean payoff over the deal."""
    return odds.deal_expectation(lambda start: odds.best_worth(start, payoff), rules)


def test_an_ace_counts_eleven_where_it_can():
    assert hand((1, 13)).total == 21 and hand((1, 13)).usable_ace
    assert hand((1, 13, 5)).total == 16 and not hand((1, 13, 5)).usable_ace
    assert hand((1, 1)).total == 12


def test_a_shoe_deals_the_dealer_the_same_cards_however_often_the_player_hits():
    game = BlackjackGame()
    for number in range(200):
        start = game.start(f"blackjack/{number}")
        stood = game.step(start, "stand").state
        hit = game.step(start, "hit")
        if not hit.terminated:
            later = game.step(hit.state, "stand").state
            assert later.dealer == stood.dealer


def test_the_dealer_stands_on_every_17_unless_told_otherwise():
    for rule in (False, True):
        game = BlackjackGame(Rules(dealer_hits_soft_17=rule))
        for number in range(400):
            end = game.step(game.start(f"blackjack/{number}"), "stand").state
            last, before = hand(end.dealer), hand(end.dealer[:-1])
            assert last.total >= 17 and not (rule and last.total == 17 and last.usable_ace)
            drew_on_17 = len(end.dealer) > 2 and before.total >= 17
            assert not drew_on_17 or (rule and before.total == 17 and before.usable_ace)


def test_blackjack_pays_by_the_better_total_and_bust_loses():
    game = BlackjackGame()
    for number in range(300):
        state = game.start(f"blackjack/{number}")
        end = game.step(state, "stand")
        player, dealer = hand(state.player).total, hand(end.state.dealer).total
        expected = 1 if dealer > 21 or player > dealer else 0 if player == dealer else -1
        assert end.reward == expected and end.success == (expected == 1)
        while not (move := game.step(state, "hit")).terminated:
            state = move.state
        assert move.reward == -1 and hand(move.state.player).total > 21


def test_the_exact_odds_of_blackjack():
    best_return = best(odds.RETURN)
    assert best_return == pytest.approx(-0.04656, abs=5e-6)
    assert worth(odds.expert_hits, odds.RETURN) == pytest.approx(best_return, abs=1e-12)
    assert worth(odds.expert_hits) == pytest.approx(0.42946, abs=5e-6)
    assert best(odds.WIN_RATE) == pytest.approx(0.43163, abs=5e-6)
    assert worth(lambda h, card, turns: 0.0) == pytest.approx(0.38073, abs=5e-6)
    assert worth(at_random) == pytest.approx(0.28061, abs=5e-6)
    assert worth(lambda h, card, turns: float(h.total < 17)) == pytest.approx(0.40773, abs=5e-6)


def test_shoes_fall_like_an_infinite_deck():
    game = BlackjackGame()
    ranks = [rank for n in range(4000) for rank in game.start(f"blackjack/{n}").player]
    counts = np.bincount(ranks, minlength=14)[1:]
    assert counts.sum() == 8000 and abs(counts - 8000 / 13).max() < 4.5 * (8000 / 13) ** 0.5


def test_near_the_turn_limit_a_hit_that_cannot_bust_beats_a_losing_stand():
    game = BlackjackGame()
    state = next(
        s
        for s in (game.start(f"blackjack/{n}") for n in range(500))
        if hand(s.player).total <= 11 and s.dealer[0] == 10
    )
    assert game.values(state, 1)["hit"] == 0.0  # truncation costs nothing
    assert game.expert(state, 1) == "hit"


# Changed rules


@pytest.mark.parametrize(
    ("ranks", "rules", "total"),
    [
        ((1, 1), BUST_25, 22),  # both aces count 11
        ((1, 1, 1, 1, 1), BUST_25, 25),
        ((1,) * 6, BUST_25, 16),  # two of them would make 26
        ((1, 1, 4), BUST_25, 16),
        ((1, 13), BUST_25, 21),
        ((1, 13, 4), BUST_25, 25),
        ((1, 13, 5), BUST_25, 16),
        ((13, 10, 6), BUST_25, 26),
        ((1, 13), LOW_ACES, 11),
        ((1, 1), LOW_ACES, 2),
        ((1,) * 5, Rules(bust_above=63), 55),
        ((1,) * 5, Rules(bust_above=63, ace_counts_11=False), 5),
    ],
)
def test_totals_under_changed_rules(ranks, rules, total):
    assert hand(ranks, rules).total == total
    assert hand(ranks, rules).usable_ace == (total > sum(min(rank, 10) for rank in ranks))
    assert hand(ranks, rules).bust == (total > rules.bust_above)


@pytest.mark.parametrize("rules", [USUAL, *CHANGED])
def test_a_total_is_the_largest_that_is_not_bust(rules):
    for count in range(1, 6):
        for ranks in combinations_with_replacement((1, 2, 5, 9, 12), count):
            low = sum(min(rank, 10) for rank in ranks)
            high = ranks.count(1) if rules.ace_counts_11 else 0
            totals = [low + 10 * i for i in range(high + 1) if low + 10 * i <= rules.bust_above]
            assert hand(ranks, rules).total == max(totals, default=low)


def test_the_dealers_totals_are_those_worked_by_hand():
    # The dealer shows a ten and draws to 12. The second card makes 12..19 (a 2 to a 9), 20 (a ten)
    # or 21 (an ace). So 19 wins against seven ranks, ties with one, and loses to five.
    until_12 = Rules(dealer_draws_to=12)
    assert odds.stand(19, 10, odds.RETURN, until_12) == pytest.approx(Fraction(2, 13))
    # If an ace counts 1, ten and ace make 11 and the dealer draws: 12..18 lose, 19 ties, and 20 and
    # the four ranks that make 21 win. That is worth 2/13 to the player instead of a loss.
    low = Rules(dealer_draws_to=12, ace_counts_11=False)
    worth_of_19 = Fraction(7 - 4, 13) + Fraction(1, 13) * Fraction(7 - 5, 13)
    assert odds.stand(19, 10, odds.RETURN, low) == pytest.approx(worth_of_19)
    # If 25 isn't bust, only 25 ties with 25. With a ten and drawing to 16, the dealer is at 14 with
    # probability 14/169 (a 4, or 2 and 2) and at 15 with 15/169 (a 5, or 2 and 3, or 3 and 2); an
    # ace makes 25 of 14, and a ten makes 25 of 15.
    until_16 = Rules(dealer_draws_to=16, bust_above=25)
    tie = Fraction(14, 169) * Fraction(1, 13) + Fraction(15, 169) * Fraction(4, 13)
    assert odds.stand(25, 10, odds.RETURN, until_16) == pytest.approx(1 - tie)


def test_the_last_hit_is_worth_the_chance_of_a_bust_worked_by_hand():
    sixteen, twenty = odds.Hand(16), odds.empty_hand(BUST_25).draw(10).draw(10)
    assert odds.hit(sixteen, 10, 1, odds.RETURN) == pytest.approx(-8 / 13)  # 6, 7, 8, 9, tens
    assert odds.hit(twenty, 10, 1, odds.RETURN, BUST_25) == pytest.approx(-8 / 13)
    assert odds.hit(odds.empty_hand(BUST_25).draw(9).draw(6), 10, 1, odds.RETURN, BUST_25) == 0


@pytest.mark.parametrize(
    ("rules", "floor", "ceiling"),
    [
        (BUST_25, 0.2074, 0.5374),
        (LOW_ACES, 0.2793, 0.4312),
        (HIDDEN_DEALER, 0.2806, 0.4250),
        (Rules(bust_above=31, dealer_draws_to=26), 0.2336, 0.4386),
    ],
)
def test_the_exact_odds_under_changed_rules(rules, floor, ceiling):
    # Computed by another program, written for this test alone.
    assert worth(at_random, rules=rules) == pytest.approx(floor, abs=6e-5)
    assert best(odds.WIN_RATE, rules) == pytest.approx(ceiling, abs=6e-5)


def test_a_hidden_card_is_worth_the_mean_of_all_cards():
    for total in range(12, 22):
        mean = sum(p * odds.stand(total, card, odds.RETURN) for card, p in odds.DECK)
        hidden = odds.stand(total, odds.HIDDEN, odds.RETURN, HIDDEN_DEALER)
        assert hidden == pytest.approx(mean)


def test_hitting_a_soft_17_changes_no_best_action():
    soft_17 = Rules(dealer_hits_soft_17=True)
    hands = {odds.empty_hand().draw(a).draw(b) for a, _ in odds.DECK for b, _ in odds.DECK}
    hands |= {h.draw(c) for h in hands for c, _ in odds.DECK}
    situations = [(h, card) for h in hands if not h.bust for card, _ in odds.DECK]
    assert len(situations) > 250
    for h, card in situations:
        assert odds.expert_hits(h, card, 20) == odds.expert_hits(h, card, 20, soft_17)


@pytest.mark.parametrize("rules", CHANGED)
def test_the_game_plays_by_the_changed_rules(rules):
    game = BlackjackGame(rules)
    results = Counter()
    for number in range(300):
        state = game.start(f"blackjack/{number}")
        end = game.step(state, "stand")
        dealer, player = hand(end.state.dealer, rules), hand(state.player, rules)
        before = hand(end.state.dealer[:-1], rules)
        assert dealer.total >= rules.dealer_draws_to
        assert len(end.state.dealer) == 2 or before.total < rules.dealer_draws_to
        wins = dealer.bust or player.total > dealer.total
        assert end.reward == (1 if wins else 0 if player.total == dealer.total else -1)
        while not (move := game.step(state, "hit")).terminated:
            state = move.state
        assert move.reward == -1 and hand(move.state.player, rules).total > rules.bust_above
        results[end.reward, move.reward] += 1
    assert {win for win, _ in results} >= {-1, 1}


def test_hidden_cards_are_those_of_the_shoe_and_stand_in_no_state_before_the_end():
    usual, hidden = BlackjackGame(), BlackjackGame(HIDDEN_DEALER)
    for number in range(100):
        start, same = (game.start(f"blackjack/{number}") for game in (usual, hidden))
        assert same.dealer == () and same.player == start.player
        stood = hidden.step(same, "stand")
        assert stood == usual.step(start, "stand")
        while not (move := hidden.step(same, "hit")).terminated:
            same = move.state
            assert same.dealer == ()
        assert move.state.dealer == start.dealer


def test_the_picture_hides_both_cards_until_the_player_stands():
    picture = BlackjackPicture(ThemeChoice("train", 5), HIDDEN_DEALER)
    for number in range(4):
        start = BlackjackState("blackjack/17", (5, 9), ())
        style = picture.style(start, Presentation("blackjack/17", number))
        assert picture.facts(start, style)["dealer_card"] == "hidden"
        end = BlackjackGame(HIDDEN_DEALER).step(start, "stand").state
        assert picture.facts(end, style)["dealer_card"] == "J"
        frame = paint(picture, start, style)
        ended = paint(picture, end, style)
        assert not np.array_equal(frame, ended)
        update(picture, frame, end, style, start, style)
        assert np.array_equal(frame, ended)
    still = BlackjackPicture(ThemeChoice("classic"), HIDDEN_DEALER)
    style = still.style(start, Presentation("blackjack/17", 0))
    frame = paint(still, start, style)
    assert np.array_equal(*(frame[place] for place in style.dealer.spreads[2].places))


def test_the_longest_hand_of_a_dealer_who_counts_aces_as_one_can_be_drawn():
    picture = BlackjackPicture(ThemeChoice("classic"), LOW_ACES)
    assert odds.longest_dealer_hand(LOW_ACES) == 17
    end = BlackjackState("blackjack/1", (5, 9), (1,) * 17, over=True)
    style = picture.style(end, Presentation("blackjack/1", 0))
    assert paint(picture, end, style).any()


SENTENCES = {
    BUST_25: (
        "A hand is bust above 25. Each ace counts 11 where that does not exceed 25, else 1; J, Q "
        "and K count 10; the dealer draws to 17 and stands on every 17."
    ),
    LOW_ACES: "An ace counts 1, never 11; J, Q and K count 10; the dealer draws to 17 and",
    HIDDEN_DEALER: "The image shows your cards; the dealer's cards lie face down. An ace counts 11",
    Rules(bust_above=42, ace_counts_11=False, dealer_draws_to=37, dealer_hits_soft_17=True): (
        "A hand is bust above 42. An ace counts 1, never 11; J, Q and K count 10; the dealer draws "
        "to 37 and hits a soft 37."
    ),
}


def make(rules=USUAL, **options):
    """An environment with rules."""
    given = {name: getattr(rules, name) for name in Rules.__dataclass_fields__}
    return gymnasium.make("vlbench/Blackjack-v0", **given, **options)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_prompt_states_each_rule(variant):
    usual = make(prompt=variant).unwrapped
    assert usual.prompt.sha256 == template_hash("vlbench/Blackjack-v0", variant)
    for rules, sentence in SENTENCES.items():
        env = make(rules, prompt=variant)
        observation, _ = env.reset(seed=1)
        assert sentence in observation["text"] and "$" not in observation["text"]
        assert env.unwrapped.prompt.sha256 != usual.prompt.sha256
        hidden = rules.dealer_hidden
        assert ("dealer card" in env.unwrapped.prompt.reply_fields) == (
            not hidden and "cot" in variant
        )
        assert not (hidden and "open card" in observation["text"])


@pytest.mark.parametrize("rules", CHANGED)
def test_the_expert_explains_its_actions_under_changed_rules(rules):
    env = make(rules)
    for seed in range(20):
        env.reset(seed=seed)
        demonstration = env.unwrapped.demonstrate()
        assert demonstration.action == env.unwrapped.expert()
        assert ("dealer card" in demonstration.fields) == (not rules.dealer_hidden)
        assert env.unwrapped.check_statements(demonstration.fields).perception is True
        env.step(vlbench.reply("hit"))
    if rules.dealer_hidden:
        env.reset(seed=1)
        assert env.unwrapped.check_statements({"dealer card": "K"}).perception is False


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"bust_above": 20}, "bust_above must be an integer of at least 21, got 20"),
        ({"bust_above": 64}, "bust_above must be at most 63, got 64"),
        ({"bust_above": 25.0}, "bust_above must be an integer of at least 21, got 25.0"),
        ({"dealer_draws_to": 22}, "dealer_draws_to must be at most 21, got 22"),
        ({"ace_counts_11": 1}, "ace_counts_11 must be a bool, got 1"),
        ({"dealer_hidden": "no"}, "dealer_hidden must be a bool, got 'no'"),
    ],
)
def test_a_wrong_rule_of_blackjack_says_what_was_wanted(rules, message):
    with pytest.raises(ValueError, match=message):
        gymnasium.make("vlbench/Blackjack-v0", **rules)


def test_each_changed_rule_turns_the_usual_experts_play_on_over_half_of_its_rows():
    wrong, rows = Counter(), Counter()
    for row in frozen_rows("vlbench/Blackjack-v0", "ood-rules"):
        rule = {name: value for name, value in row.kwargs.items() if name != "theme"}
        game = BlackjackGame(Rules(**rule))
        state, over, lost, turns = game.start(row.instance), False, 0.0, game.max_turns
        while not over:
            action, values = old_expert(state, turns), game.values(state, turns)
            lost = max(lost, max(values.values()) - values[action])
            move = game.step(state, action)
            state, over, turns = move.state, move.terminated, turns - 1
        (name,) = rule
        rows[name] += 1
        wrong[name] += lost > 1e-9
    assert rows == {"bust_above": 200, "ace_counts_11": 200, "dealer_hidden": 200}
    assert wrong == {"bust_above": 153, "ace_counts_11": 136, "dealer_hidden": 143}
