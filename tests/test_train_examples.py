"""What `sft` learns of a transcript, token by token."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("transformers")

from pathlib import Path  # noqa: E402

from agents.train import sft_data, tiny  # noqa: E402
from agents.train.drawing import Sampling  # noqa: E402
from agents.train.examples import Examples  # noqa: E402
from agents.train.loading import load  # noqa: E402
from agents.train.policy import Policy  # noqa: E402
from agents.train.thoughts import saying_what_is_seen  # noqa: E402


@pytest.mark.parametrize(
    ("reply", "seen"),
    [
        ('{"cards": ["A", "10"], "thoughts": "1"}', '{"cards": ["A", "10"]'),
        ('{"cards": ["A", "10"]}', '{"cards": ["A", "10"]'),
        ('{"current number": 2, "target number": 5, "action": "+"}',
         '{"current number": 2, "target number": 5'),
        ('{"action": "+", "cards": ["A"]}', ""),
        ("10 9 9 3 > 10 + 9 = 19", ""),
        ("24", ""),
    ],
)  # fmt: skip
def test_a_reply_begins_by_saying_what_the_picture_shows(reply, seen):
    assert saying_what_is_seen(reply) == seen
    assert reply.startswith(seen)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tokens_that_say_what_is_seen_weigh_more_and_end_with_their_reply(tmp_path):
    small = {"width": 32, "vision_layers": 1, "text_layers": 1, "heads": 2, "image_size": 48}
    tiny.build(tiny.Config(out=tmp_path, env="EZPoints", **small))
    loaded = load(str(tmp_path), device=torch.device("cpu"))
    policy = Policy(loaded.model, loaded.processor, Sampling())
    told = list(sft_data.transcripts(sft_data.Config(Path(), "EZPoints", episodes=1)))[:2]
    read = list(sft_data.transcripts(sft_data.Config(Path(), "EZPoints", episodes=1, reading=True)))
    examples = Examples([*told, *read[:1]], policy, seen_weight=7.0)
    weights = examples.weights([0, 2])
    _, replies = examples.batch([0, 2])
    log_probs = policy(*examples.batch([0, 2])).log_probs
    assert weights.shape == log_probs.shape
    for row, reply in zip(weights, replies, strict=True):
        mine = row[len(row) - len(reply) :]
        heavy = int((mine == 7).sum())
        assert (mine[:heavy] == 7).all() and (mine[heavy:] == 1).all() and 0 < heavy < len(reply)
        seen = policy.decode(reply[:heavy].tolist())
        assert seen.startswith('{"cards": ["') and "thoughts" not in seen
        assert (row[: len(row) - len(reply)] == 0).all()
    assert examples.weight([0, 2]) == float(weights.sum())
