"""Advantages by each baseline, against numbers worked by hand; and that each finds an optimum."""

from dataclasses import fields, replace

import pytest
import torch

from agents.train import objective
from agents.train.advantages.estimators import (
    ESTIMATORS,
    Discounts,
    estimate_advantages,
    mean_of_others,
)
from agents.train.advantages.facts import TurnFacts
from agents.train.advantages.kinds import BASELINES
from agents.train.advantages.value_head import ValueHead

pytestmark = pytest.mark.slow


def grid(*rows, dtype=torch.float32):
    return torch.tensor(rows, dtype=dtype)


A, B, C, D, E = range(11, 16)
FACTS = TurnFacts(
    # Two pairs of episodes that share a start, of 3, 2, 1 and 3 turns; T × N, so a row is a turn.
    rewards=grid([0, 2, 6, 0], [0, 4, 0, 0], [8, 0, 0, 4]),
    values=torch.zeros(3, 4),
    next_values=torch.zeros(3, 4),
    terminated=grid([0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1], dtype=torch.bool),
    ended=grid([0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1], dtype=torch.bool),
    played=grid([1, 1, 1, 1], [1, 1, 0, 1], [1, 0, 0, 1], dtype=torch.bool),
    numbers=grid([0, 0, 0, 0], [1, 1, 0, 1], [2, 0, 0, 2], dtype=torch.int64),
    starts=grid([7, 7, 9, 9], [7, 7, 0, 9], [7, 0, 0, 9], dtype=torch.int64),
    states=grid([A, A, D, D], [B, B, 0, D], [C, 0, 0, E], dtype=torch.int64),
    regrets=grid([0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 0]),
)
HALF = Discounts(gamma=0.5)
# With γ = ½ the returns from each turn on are
#     2  4  6  1
#     4  4  .  2
#     8  .  .  4
WORKED = {
    # The episodes' returns are 2, 4, 6 and 1; each is compared with the other of its pair.
    "group": [[-2, 2, 5, -5], [-2, 2, 0, -5], [-2, 0, 0, -5]],
    # Turn 0 less the mean of three others, turn 1 of two, turn 2 of one.
    "turn": [
        [2 - 11 / 3, 4 - 9 / 3, 6 - 7 / 3, 1 - 12 / 3],
        [4 - 3, 4 - 3, 0, 2 - 4],
        [8 - 4, 0, 0, 4 - 8],
    ],
    # A and B were met by both of the first pair. D was met by the third (6), and by the fourth
    # twice (1, 2), which isn't compared with itself. C and E were met once: as by turn.
    "state": [[2 - 4, 4 - 2, 6 - 1.5, 1 - 6], [4 - 4, 4 - 4, 0, 2 - 6], [8 - 4, 0, 0, 4 - 8]],
    "exact": [[0, -1, 0, -2], [0, 0, 0, 0], [-3, 0, 0, 0]],
}


def advantages(baseline, facts=FACTS, discounts=HALF):
    return estimate_advantages(baseline, facts, discounts)


@pytest.mark.parametrize("baseline", WORKED)
def test_advantages_are_those_worked_out_by_hand(baseline):
    assert torch.allclose(advantages(baseline), torch.tensor(WORKED[baseline]).float(), atol=1e-6)


TURN, ENVIRONMENT = 0, 1


@pytest.mark.parametrize(
    ("baseline", "keys", "axis"),
    [
        ("group", "starts", TURN),
        ("group", "starts", ENVIRONMENT),
        ("group", "numbers", TURN),
        ("group", "numbers", ENVIRONMENT),
        ("state", "states", TURN),
        ("state", "states", ENVIRONMENT),
        ("state", "numbers", ENVIRONMENT),
        ("turn", "numbers", TURN),
        ("turn", "numbers", ENVIRONMENT),
        ("exact", "regrets", TURN),
        ("exact", "regrets", ENVIRONMENT),
    ],
)
def test_keys_that_are_shifted_give_other_advantages(baseline, keys, axis):
    shifted = replace(FACTS, **{keys: getattr(FACTS, keys).roll(1, axis)})
    worked = torch.tensor(WORKED[baseline]).float()
    assert not torch.allclose(advantages(baseline, shifted), worked, atol=1e-3)


def test_the_value_baseline_is_generalised_advantage_estimation():
    values = replace(FACTS, values=FACTS.played * 1.0, next_values=grid([1] * 4, [1] * 4, [1] * 4))
    # δ of the second episode: 2 + ½ − 1 = 1.5, then 4 − 1 = 3; with γλ = ¼: 2.25, 3
    discounts = Discounts(gamma=0.5, trace=0.5)
    assert advantages("value", values, discounts)[:, 1].tolist() == [2.25, 3, 0]


def test_every_baseline_has_an_estimator_and_only_exact_is_an_oracle():
    assert ESTIMATORS.keys() == BASELINES.keys()
    assert [name for name, baseline in BASELINES.items() if baseline.oracle] == ["exact"]
    assert [name for name, baseline in BASELINES.items() if baseline.critic] == ["value"]


@pytest.mark.parametrize("baseline", BASELINES)
def test_the_order_of_environments_changes_nothing_and_idle_places_are_zero(baseline):
    order = torch.tensor([2, 0, 3, 1])
    mixed = TurnFacts(**{f.name: getattr(FACTS, f.name)[:, order] for f in fields(FACTS)})
    first = advantages(baseline)
    assert torch.allclose(advantages(baseline, mixed), first[:, order], atol=1e-6)
    assert not first[~FACTS.played].any()


@pytest.mark.parametrize("baseline", ["group", "state", "turn"])
def test_what_is_added_to_every_return_of_a_comparison_cancels_out(baseline):
    paid = FACTS.rewards + 5.0 * (FACTS.ended & FACTS.played)
    whole = Discounts(gamma=1.0)
    more = advantages(baseline, replace(FACTS, rewards=paid), whole)
    assert torch.allclose(more, advantages(baseline, discounts=whole), atol=1e-5)


def test_the_own_episode_is_never_compared_with_itself():
    values, keys = torch.tensor([1.0, 2, 10, 20, 7]), torch.tensor([5, 5, 5, 6, 8])
    others = mean_of_others(values, keys, torch.tensor([0, 0, 1, 1, 2]))
    assert others[:3].tolist() == [10, 10, 1.5] and others[3:].isnan().all()


def test_episodes_are_numbered_apart_in_every_environment():
    ended = grid([0, 1], [1, 0], [0, 1], dtype=torch.bool)
    episodes = replace(FACTS, ended=ended).episodes.tolist()
    assert episodes == [[0, 4], [0, 5], [1, 5]]


def test_idle_places_are_added_and_cut_off():
    longer = FACTS.resized(5)
    assert longer.ended[3:].all() and not longer.played[3:].any()
    again = longer.resized(3)
    assert all(torch.equal(getattr(again, f.name), getattr(FACTS, f.name)) for f in fields(FACTS))


class Table:
    """A policy over two actions with a logit for each state, and a critic: a value for each.

    The game has two turns, or one: `pays[a][b]` is paid at its end, and with `pays[a]` a number
    the first turn ends it.
    """

    def __init__(self, pays):
        self.pays = pays
        self.logits = torch.zeros(3, 2, requires_grad=True)
        with torch.no_grad():
            self.logits[:, 1] = -1.0  # a start that mostly takes action 0 everywhere
        self.values = torch.zeros(3, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits, self.values], lr=0.1)

    def play(self, envs, generator):
        """Return facts (2, envs), and states and actions (2, envs)."""
        facts = TurnFacts.idle(2, envs)
        states, actions = torch.zeros(2, envs, dtype=torch.int64), torch.zeros(2, envs).long()
        facts.starts[:] = 1
        best = [max(p) if isinstance(p, list) else p for p in self.pays]
        for i in range(envs):
            first = self.draw(0, generator)
            pay = self.pays[first]
            facts.played[0, i], facts.ended[0, i], facts.terminated[0, i] = True, False, False
            facts.regrets[0, i] = max(best) - best[first]
            actions[0, i] = first
            facts.states[0, i] = 100
            facts.values[0, i] = self.values[0].detach()
            if not isinstance(pay, list):
                facts.rewards[0, i], facts.ended[0, i], facts.terminated[0, i] = pay, True, True
                continue
            second = self.draw(1 + first, generator)
            states[1, i], actions[1, i] = 1 + first, second
            facts.played[1, i], facts.numbers[1, i], facts.states[1, i] = True, 1, 101 + first
            facts.rewards[1, i], facts.regrets[1, i] = pay[second], max(pay) - pay[second]
            facts.values[1, i] = facts.next_values[0, i] = self.values[1 + first].detach()
        return facts, states, actions

    def draw(self, state, generator):
        return int(
            torch.multinomial(self.logits[state].detach().softmax(0), 1, generator=generator)
        )

    def learn(self, baseline, iterations, generator):
        for _ in range(iterations):
            facts, states, actions = self.play(16, generator)
            worth = estimate_advantages(baseline, facts, Discounts(1.0, 0.95))
            played = facts.played
            returns = (worth + facts.values)[played]
            spread = worth[played].std(correction=0) + 1e-8
            worth = (worth[played] - worth[played].mean()) / spread
            old = self.log_probs(states, actions)[played].detach()
            for _ in range(2):
                ratio = objective.ratio_of(self.log_probs(states, actions)[played], old)
                loss = objective.surrogate(ratio, worth, objective.Clip(0.2, 0.2, 3.0)).sum()
                values = self.values[states[played]]
                loss = loss + objective.value_loss(values, facts.values[played], returns, 0.0)
                self.optimizer.zero_grad()
                (loss / 32).backward()
                self.optimizer.step()

    def log_probs(self, states, actions):
        return self.logits.log_softmax(-1)[states].gather(-1, actions[..., None])[..., 0]


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("seed", range(2))
def test_each_baseline_finds_the_better_arm_of_a_bandit(baseline, seed):
    table = Table([0.0, 1.0])
    table.learn(baseline, 40, torch.Generator().manual_seed(seed))
    assert table.logits.softmax(-1)[0, 1] > 0.9


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("seed", range(2))
def test_each_baseline_finds_the_optimum_of_two_turns_beyond_a_safe_first_step(baseline, seed):
    # Action 0 first pays 0.4 whatever follows; action 1 first pays 1, if action 1 follows.
    table = Table([[0.4, 0.4], [0.0, 1.0]])
    table.learn(baseline, 120, torch.Generator().manual_seed(seed))
    chances = table.logits.softmax(-1)
    assert chances[0, 1] > 0.9 and chances[2, 1] > 0.9


def test_a_head_that_standardises_reads_deviations_from_the_first_rollout():
    torch.manual_seed(0)
    head = ValueHead(3, (8,), detach=True, standardise=True)
    inputs = torch.tensor([[1.0, 5, 2], [3, 5, 2.2], [5, 5, 2.4], [7, 5, 2.6]])
    with torch.no_grad():
        assert head(inputs[:3]).tolist() == [0, 0, 0]  # new heads say 0
        head(inputs[3:])
    head(inputs * 100)  # scored with gradient, in an update: doesn't count
    head.standardise(head.input_sums())
    assert head.mean.tolist() == pytest.approx([4, 5, 2.3])
    assert head.deviation.tolist() == pytest.approx([5**0.5, 1, 0.05**0.5])  # a constant: 1
    torch.nn.init.normal_(head.layers[-1].weight)
    expected = head.layers((inputs - head.mean) / head.deviation).squeeze(-1)
    assert torch.allclose(head(inputs), expected)
    other = ValueHead(3, (8,), detach=True, standardise=True)
    other.load_state_dict(head.state_dict())
    with torch.no_grad():
        assert torch.equal(other(inputs), head(inputs))
    assert other.is_fixed and not other.input_sums().any()


def test_two_shares_of_inputs_give_the_mean_of_all():
    heads = [ValueHead(2, (4,), detach=True, standardise=True) for _ in range(3)]
    inputs = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for head, part in zip(heads, (inputs, inputs[:3], inputs[3:]), strict=True):
            head(part)
    heads[0].standardise(heads[0].input_sums())
    heads[1].standardise(heads[1].input_sums() + heads[2].input_sums())
    assert torch.allclose(heads[0].mean, heads[1].mean)
    assert torch.allclose(heads[0].deviation, heads[1].deviation)
    raw = ValueHead(2, (4,), detach=True)
    assert raw.is_fixed and raw.deviation.tolist() == [1, 1]


def test_a_nearly_constant_input_is_learned_from_once_it_is_standardised():
    """What the last prompt token gives: coordinates near 1 that vary by a few hundredths."""
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(256, 16, generator=generator)
    hidden, targets = 1 + 0.03 * signal, 5 + 3 * signal[:, 0]
    explained = {}
    for standardise in (False, True):
        torch.manual_seed(0)
        head = ValueHead(16, (64,), detach=True, standardise=standardise)
        with torch.no_grad():
            head(hidden)
        if standardise:
            head.standardise(head.input_sums())
        optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
        for _ in range(96):
            optimizer.zero_grad()
            objective.value_loss(head(hidden), targets, targets, 0.0).div(256).backward()
            optimizer.step()
        explained[standardise] = objective.explained_variance(head(hidden).detach(), targets)
    assert explained[True] > 0.6 and explained[False] < 0.3, explained
