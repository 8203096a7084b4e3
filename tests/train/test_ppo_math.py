"""The trainer's arithmetic, against numbers worked by hand."""

import math
import random

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from agents.train import objective
from agents.train.token_weights import first_token_of, token_weights
from agents.train.update.micro_batches import micro_batches
from agents.vlm.sampling import log_distribution, nucleus
from vlbench.parsing import parse

pytestmark = pytest.mark.slow


def column(*numbers):
    return torch.tensor(numbers, dtype=torch.float32)[:, None]


def estimate(terminated, ended, next_values):
    flags = [torch.tensor(flag)[:, None] for flag in (terminated, ended)]
    numbers = column(1, 2, 3), column(0.5, 1, 1.5), column(*next_values)
    advantages = objective.generalized_advantages(*numbers, *flags, discount=0.5, trace=0.5)
    return advantages[:, 0].tolist()


def test_advantages_of_an_episode_that_goes_on():
    # δ = 1 + .5·1 − .5, 2 + .5·1.5 − 1, 3 + .5·2 − 1.5 = 1, 1.75, 2.5; γλ = .25
    going = [False] * 3
    assert estimate(going, going, (1, 1.5, 2)) == [1.59375, 2.375, 2.5]


def test_termination_has_no_next_value():
    # δ_1 = 2 − 1 = 1, whatever value stands behind the end; nothing flows back from step 2
    over = [False, True, False]
    assert estimate(over, over, (1, 99, 2)) == [1.25, 1.0, 2.5]


def test_truncation_has_the_value_of_the_last_observation():
    # δ_1 = 2 + .5·4 − 1 = 3
    assert estimate([False] * 3, [False, True, False], (1, 4, 2)) == [1.75, 3.0, 2.5]


def test_the_ratio_of_a_turn_is_weighted_by_lambda():
    # log π = .5·(−2 − 4) + (−1 − .5) = −4.5, and with the last token at −.5 − ln 2: half the ratio
    weights = torch.tensor([[0.5, 0.5, 1, 1]])
    old = objective.turn_log_prob(torch.tensor([[-2.0, -4, -1, -0.5]]), weights)
    assert old.item() == -4.5
    new = objective.turn_log_prob(torch.tensor([[-2.0, -4, -1, -0.5 - math.log(2)]]), weights)
    assert objective.ratio_of(new, old).item() == pytest.approx(0.5)
    thought = objective.turn_log_prob(torch.tensor([[-2.0 - math.log(2), -4, -1, -0.5]]), weights)
    assert objective.ratio_of(thought, old).item() == pytest.approx(1 / math.sqrt(2))


PLAIN = objective.Clip(0.2, 0.2, 0.0)
HIGHER = objective.Clip(0.2, 0.6, 0.0)
DUAL = objective.Clip(0.2, 0.2, 3.0)


@pytest.mark.parametrize(
    ("clip", "ratio", "advantage", "loss", "slope"),
    [
        (PLAIN, 1.5, 2.0, -2.4, 0.0),  # clipped at 1.2: nothing more to gain
        (PLAIN, 1.5, -2.0, 3.0, 2.0),  # a bad turn became likelier: not clipped
        (PLAIN, 0.5, 2.0, -1.0, -2.0),  # a good turn became rarer: not clipped
        (PLAIN, 0.5, -2.0, 1.6, 0.0),  # clipped at .8
        (PLAIN, 1.0, 3.0, -3.0, -3.0),
        (HIGHER, 1.5, 2.0, -3.0, -2.0),  # clip-higher: up to 1.6
        (HIGHER, 1.7, 2.0, -3.2, 0.0),
        (HIGHER, 0.5, -2.0, 1.6, 0.0),  # the lower bound is as before
        (DUAL, 2.9, -2.0, 5.8, 2.0),
        (DUAL, 90.0, -2.0, 6.0, 0.0),  # without the dual clip: 180, and a step of that size
        (DUAL, 90.0, 2.0, -2.4, 0.0),
    ],
)
def test_clipping(clip, ratio, advantage, loss, slope):
    ratios = torch.tensor([ratio], requires_grad=True)
    result = objective.surrogate(ratios, torch.tensor([advantage]), clip)
    result.backward()
    assert result.item() == pytest.approx(loss)
    assert ratios.grad.item() == pytest.approx(slope)


@pytest.mark.parametrize(
    ("kind", "values", "means"),
    [
        # Σ w Δ = .5 ln 2 + 1 ln 4 = 2.5 ln 2, and 0 + ln 3
        ("turn", [2**2.5, 3.0], [2**2.5, 3.0]),
        # divided by Σ w = 1.5, and 1.5
        ("length", [2 ** (2.5 / 1.5), 3 ** (1 / 1.5)], [2 ** (2.5 / 1.5), 3 ** (1 / 1.5)]),
        # (.5 · 2 + 1 · 4) / 1.5 and (.5 · 1 + 1 · 3) / 1.5
        ("token", [[1.0, 2.0, 4.0], [1.0, 1.0, 3.0]], [5 / 1.5, 3.5 / 1.5]),
    ],
)
def test_ratios_of_turns_and_tokens(kind, values, means):
    weights = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]])  # the first column is padding
    old = torch.tensor([[0.0, -3.0, -2.0], [0.0, -1.0, -5.0]])
    new = old + torch.tensor([[0.0, math.log(2), math.log(4)], [0.0, 0.0, math.log(3)]])
    ratios = objective.Ratios(kind, new, old, weights)
    assert torch.allclose(ratios.values, torch.tensor(values))
    assert ratios.mean(ratios.values).tolist() == pytest.approx(means)
    assert (ratios.column(torch.ones(2)) * ratios.values).shape == ratios.values.shape


def test_value_loss_with_and_without_clipping():
    values, old, returns = torch.tensor([2.0]), torch.tensor([0.0]), torch.tensor([3.0])
    assert objective.value_loss(values, old, returns, clip=0.0).item() == 0.5
    assert objective.value_loss(values, old, returns, clip=0.5).item() == pytest.approx(3.125)


def test_kl_from_draws_has_the_mean_and_the_gradient_of_the_exact_one():
    logits = torch.tensor([0.3, -1.0, 1.2, 0.1], requires_grad=True)
    other = torch.tensor([-0.5, 0.4, 1.0, 0.0]).log_softmax(-1)
    log_p = logits.log_softmax(-1)
    exact = (log_p.exp() * (log_p - other)).sum()
    (slope,) = torch.autograd.grad(exact, logits, retain_graph=True)
    # the expectation over every possible draw, each with its probability
    mean = (log_p.detach().exp() * objective.sampled_kl(log_p, other)).sum()
    (sampled_slope,) = torch.autograd.grad(mean, logits)
    assert mean.item() == pytest.approx(exact.item(), abs=1e-6)
    assert torch.allclose(sampled_slope, slope, atol=1e-6)
    same = objective.sampled_kl(other, other)
    assert same.tolist() == [0.0] * 4
    # p = ½, q = ¼: ½ − 1 − ln ½
    one = objective.sampled_kl(torch.tensor(math.log(0.5)), torch.tensor(math.log(0.25)))
    assert one.item() == pytest.approx(-0.5 + math.log(2))
    assert objective.sampled_kl(torch.tensor(-1000.0), torch.tensor(0.0)).isfinite()


def test_approximate_kl():
    # 2 − 1 − ln 2 and ½ − 1 + ln 2
    estimates = objective.approximate_kl(torch.tensor([2.0, 0.5])).tolist()
    assert estimates == pytest.approx([1 - math.log(2), math.log(2) - 0.5])


def test_explained_variance():
    returns = torch.tensor([0.0, 2.0, 4.0])
    assert objective.explained_variance(returns, returns) == 1
    assert objective.explained_variance(torch.zeros(3), returns) == 0
    assert objective.explained_variance(torch.zeros(3), torch.ones(3)) == 0


def test_forbidden_tokens_are_never_drawn_and_count_in_no_sum():
    logits = torch.tensor([[1.0, 9.0, 2.0]], requires_grad=True)
    forbidden = torch.tensor([False, True, False])
    log_probs = log_distribution(logits, 1.0, forbidden)
    assert log_probs[0].tolist() == pytest.approx(
        [-1 - math.log1p(math.exp(-1)), -math.inf, -math.log1p(math.exp(-1))]
    )
    log_probs[0, 2].backward()
    assert torch.isfinite(logits.grad).all() and logits.grad[0, 1] == 0


def test_temperature_and_nucleus():
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    none = torch.zeros(3, dtype=torch.bool)
    cold = log_distribution(logits, 0.5, none).exp()[0].tolist()
    assert cold == pytest.approx([25 / 38, 9 / 38, 4 / 38])
    warm = log_distribution(logits, 1.0, none)
    assert nucleus(warm, 0.6).exp()[0].tolist() == pytest.approx([0.625, 0.375, 0.0])
    taken = nucleus(warm, 0.6, torch.tensor([2])).exp()[0].tolist()
    assert taken == pytest.approx([0.5, 0.3, 0.2])
    assert nucleus(warm, 1.0) is warm


REPLY = '{"thoughts": "2 < 3", "action": "+"}'
BROKEN = '{"thoughts": "2 < 3",\n"action": "+"}'


def byte_level():
    """Merges across words as GPT-2's kin do; characters beyond ASCII are several tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("a", "c"), ("t", "i"), ("o", "n"), ("ac", "ti"), ("acti", "on"), ("Ġ", '"')]
    vocab = [*letters, *(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(vocab)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def prefix_spaces():
    """A space is part of the word behind it, and the first one isn't written."""
    pieces = ["▁", *sorted(set(REPLY) - {" "}), '▁"action":', '▁"+"}', "▁3", "\n"]
    tokenizer = Tokenizer(
        models.Unigram(
            [(piece, -float(len(pieces)) / (1 + len(piece))) for piece in pieces], unk_id=0
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def by_context():
    """After a comma the key's quote goes with the comma, after a line break with the letter."""
    merges = [(",", " "), (", ", '"'), ("\n", '"'), ('\n"', "a"), ('"', ":"), ('":', " ")]
    vocab = [*sorted({*REPLY, "\n"}), *(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(vocab)}, merges))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


@pytest.mark.parametrize(
    ("make", "reply", "first"),
    [
        (byte_level, REPLY, ' "'),  # straddles: the space is outside the span
        (byte_level, BROKEN, '"'),
        (byte_level, '{"é": 1, \'action\': "+"}', "'"),
        (prefix_spaces, REPLY, '"action":'),
        (by_context, REPLY, ', "'),
        (by_context, BROKEN, '\n"a'),
    ],
)
def test_the_span_of_an_action_becomes_a_mask_of_tokens(make, reply, first):
    tokenizer = make()
    ids = tokenizer.encode(reply).ids
    text = tokenizer.decode(ids)
    assert text == reply
    span = parse(reply, ("+", "-")).span
    index = first_token_of(ids, text, span[0], tokenizer.decode)
    assert tokenizer.decode([ids[index]]) == first
    assert len(tokenizer.decode(ids[:index])) <= span[0] < len(tokenizer.decode(ids[: index + 1]))
    weights = token_weights(ids, text, span, 0.2, tokenizer.decode)
    assert weights.tolist() == pytest.approx([0.2] * index + [1.0] * (len(ids) - index))


def test_a_character_cut_between_tokens_is_found():
    tokenizer = byte_level()
    text = 'é{"action": "+"}'
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids[:1]) == "\ufffd"
    assert first_token_of(ids, text, text.index('"'), tokenizer.decode) == 3


def test_a_reply_without_an_action_has_weight_one_everywhere():
    tokenizer = byte_level()
    ids = tokenizer.encode("I would go up.").ids
    weights = token_weights(ids, "I would go up.", None, 0.0, tokenizer.decode)
    assert weights.tolist() == [1.0] * len(ids)


def test_an_action_in_the_first_token():
    tokenizer = byte_level()
    reply = '{"action": "+"}'
    ids = tokenizer.encode(reply).ids
    assert token_weights(ids, reply, (1, 14), 0.5, tokenizer.decode).tolist() == [0.5] + [1.0] * (
        len(ids) - 1
    )


def test_micro_batches_keep_both_limits_and_lose_nothing():
    assert micro_batches([5, 9, 5, 4], most=2, tokens=0) == [[1, 0], [2, 3]]
    # 9 + 5 would be 2 · 9 tokens with padding; 3 · 5 fit
    assert micro_batches([5, 9, 5, 4], most=4, tokens=15) == [[1], [0, 2, 3]]
    assert micro_batches([5, 9, 5, 4], most=4, tokens=14) == [[1], [0, 2], [3]]
    assert micro_batches([20], most=4, tokens=14) == [[0]], "a long one has its own"
    assert micro_batches([], most=4, tokens=14) == []
    draws = random.Random(0)
    for _ in range(200):
        lengths = [draws.randint(1, 30) for _ in range(draws.randint(0, 40))]
        most, tokens = draws.randint(1, 9), draws.choice([0, 20, 60])
        batches = micro_batches(lengths, most, tokens)
        assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
        for batch in batches:
            width = max(lengths[i] for i in batch)
            assert len(batch) <= most
            assert not tokens or len(batch) == 1 or width * len(batch) <= tokens
