"""A run resumes bit for bit, stops with a checkpoint, and refuses a checkpoint of another run."""

import json
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from agents.train.checkpoint import Checkpoints
from agents.train.distributed import Processes
from agents.train.trainer import Trainer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@dataclass(frozen=True)
class Config:
    out: Path
    seed: int = 0
    save_every: int = 2
    log: str = "json"
    width: int = 3


def train(config, steps, stop_at=None, noise_seed=None):
    """Fit a line to noise; draws come from torch's own generator and from one beside it."""
    trainer = Trainer(config, steps=steps, processes=Processes())
    model = torch.nn.Linear(config.width, 1)
    if trainer.checkpoint:
        model.load_state_dict(torch.load(trainer.checkpoint / "model.pt"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    noise = torch.Generator().manual_seed(trainer.seed)

    def write_model(folder):
        torch.save(model.state_dict(), folder / "model.pt")

    with trainer.running(write_model, {"optimizer": optimizer}, {"noise": noise}) as log:
        for step in trainer.remaining_steps():
            target = torch.randn(8, 1) + torch.rand(1, generator=noise)
            loss = (model(torch.ones(8, config.width)) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log.write(step, {"loss": loss.item()})
            if step == stop_at:
                signal.raise_signal(signal.SIGINT)
    return trainer.last_checkpoint


def losses(run):
    rows = map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
    return [(row["step"], row["loss"]) for row in rows]


def test_a_run_saves_every_few_steps_and_at_the_end_and_keeps_the_newest(tmp_path):
    assert train(Config(tmp_path), steps=5) == tmp_path / "step-000005"
    assert [path.name for path in Checkpoints(tmp_path).all()] == ["step-000004", "step-000005"]
    assert (tmp_path / "latest").resolve() == tmp_path / "step-000005"
    assert json.loads((tmp_path / "config.json").read_text("utf-8")) == {
        "out": str(tmp_path),
        "seed": 0,
        "save_every": 2,
        "log": "json",
        "width": 3,
    }
    assert train(Config(tmp_path), steps=5) == tmp_path / "step-000005"  # no step is left
    assert [step for step, _ in losses(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_run_that_was_stopped_and_one_that_crashed_equal_an_undisturbed_one(tmp_path):
    whole = train(Config(tmp_path / "whole"), steps=6)
    stopped = Config(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, steps=6, stop_at=3)
    assert Checkpoints(stopped.out).latest().name == "step-000003"
    crashed = Config(tmp_path / "crashed")
    train(crashed, steps=4)
    with (crashed.out / "metrics.jsonl").open("a") as file:  # steps that no checkpoint holds
        file.write('{"step": 5, "seconds": 1.0, "loss": 0.5}\n{"step": 6, "sec')
    for config in (stopped, crashed):
        end = train(config, steps=6)
        model, other = (torch.load(folder / "model.pt") for folder in (whole, end))
        assert all(torch.equal(model[name], other[name]) for name in model)
        assert losses(config.out) == losses(tmp_path / "whole")


def test_a_stop_after_the_last_step_is_no_interruption(tmp_path):
    assert train(Config(tmp_path), steps=3, stop_at=3) == tmp_path / "step-000003"


def test_a_checkpoint_of_another_run_is_refused_in_one_line(tmp_path):
    config = Config(tmp_path)
    train(config, steps=1)
    trainer = Trainer(config, steps=2, processes=Processes())
    with pytest.raises(ValueError, match="another kind of training: it holds noise, optimizer"):
        with trainer.running(lambda folder: None, {}):
            pass
    model = torch.nn.Linear(9, 1)
    optimizer = torch.optim.Adam([*model.parameters(), torch.zeros(1)])
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        with trainer.running(
            lambda folder: None, {"optimizer": optimizer}, {"noise": torch.Generator()}
        ):
            pass


def test_a_damaged_state_is_refused_in_one_line(tmp_path):
    train(Config(tmp_path), steps=1)
    (tmp_path / "step-000001" / "trainer.pt").write_bytes(b"no zip file")
    with pytest.raises(ValueError, match=r"trainer.pt can't be read .* delete .*step-000001"):
        train(Config(tmp_path), steps=2)


def test_an_unknown_log_is_refused_before_anything_is_written(tmp_path):
    config = replace(Config(tmp_path / "run"), log="tensorbord")
    with pytest.raises(ValueError, match='did you mean "tensorboard"'):
        train(config, steps=1)
    assert not config.out.exists()
