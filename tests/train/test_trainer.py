"""A run resumes bit for bit, stops with a checkpoint, and refuses a checkpoint of another run."""

import json
import math
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from agents.train.checkpoint import Checkpoints
from agents.train.distributed import Processes
from agents.train.trainer import Trainer, take_step

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@dataclass(frozen=True)
class Config:
    out: Path
    seed: int = 0
    save_every: int = 2
    log: str = "json"
    width: int = 3


def train(config, steps, stop_at=None, before_step=lambda step: None, spoil=(0, "", 0.0)):
    """Fit a line to noise; draws come from torch's own generator and from one beside it.

    Args:
        config: The run's options.
        steps: Its length.
        stop_at: Step in which Ctrl-C is pressed.
        before_step: Called before each step.
        spoil: A step, what goes bad in it ("loss", "gradient" or "weight"), and its value.
    """
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
            before_step(step)
            bad = spoil[1] if step == spoil[0] else ""
            target = torch.randn(8, 1) + torch.rand(1, generator=noise)
            loss = (model(torch.ones(8, config.width)) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            if bad == "gradient":
                model.weight.grad[0, 0] = spoil[2]
            if bad == "weight":
                optimizer.register_step_post_hook(lambda *_: model.bias.data.fill_(spoil[2]))
            take_step(
                optimizer,
                max_norm=1e9,
                loss=spoil[2] if bad == "loss" else loss.item(),
            )
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
    assert train(Config(tmp_path), steps=5) == tmp_path / "step-000005"  # no step is left
    assert [step for step, _ in losses(tmp_path)] == [1, 2, 3, 4, 5]


def calls(run):
    return list(map(json.loads, (run / "settings.jsonl").read_text("utf-8").splitlines()))


def test_the_settings_are_a_history_of_the_calls_that_trained(tmp_path, capsys):
    train(Config(tmp_path), steps=2)
    train(Config(tmp_path), steps=2)  # trains nothing, so its settings were used for nothing
    assert "nothing to do: the run is at step 2 of 2" in capsys.readouterr().err
    train(Config(tmp_path, save_every=3), steps=4)
    assert "resumed after step 2; changed: save-every 2 → 3\n" in capsys.readouterr().err
    first, second = calls(tmp_path)
    assert (first["step"], second["step"]) == (0, 2) and first["command"] == "training"
    assert first["settings"] == {
        "out": str(tmp_path),
        "seed": 0,
        "save_every": 2,
        "log": "json",
        "width": 3,
    }
    assert second["settings"] == {**first["settings"], "save_every": 3}


def test_a_run_is_not_resumed_with_settings_that_change_what_is_learned(tmp_path):
    train(Config(tmp_path), steps=2)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for other, difference in (
        (Config(tmp_path, width=4), "--width 3 → 4"),
        (Config(tmp_path, seed=1, log="json,tensorboard"), "--seed 0 → 1"),
    ):
        with pytest.raises(ValueError, match=rf"recorded → new\): {difference}; resume it with"):
            train(other, steps=4)
    with pytest.raises(ValueError, match="is a run of training, not a run of ppo"):
        Trainer(Config(tmp_path), method="ppo", steps=4, processes=Processes())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_a_run_of_an_earlier_version_is_refused(tmp_path):
    train(Config(tmp_path), steps=2)
    (tmp_path / "settings.jsonl").rename(tmp_path / "config.json")
    with pytest.raises(ValueError, match="is a training run of an earlier version, not a run of"):
        train(Config(tmp_path), steps=4)


def test_without_a_checkpoint_a_run_starts_anew_and_may_change(tmp_path):
    def diverge(step):
        if step == 2:
            raise FloatingPointError("the loss is nan")

    with pytest.raises(FloatingPointError, match="^step 2: .*no checkpoint yet; try a lower --lr"):
        train(Config(tmp_path, save_every=5), steps=5, before_step=diverge)
    train(Config(tmp_path, width=4), steps=2)
    assert [step for step, _ in losses(tmp_path)] == [1, 2]
    assert [call["settings"]["width"] for call in calls(tmp_path)] == [3, 4]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient", "weight"])
def test_what_is_not_finite_stops_the_run_before_it_is_saved(tmp_path, where, bad):
    """The run of 6 steps saves after each; the number goes bad in step 4."""
    whole = train(Config(tmp_path / "whole", save_every=1), steps=6)
    config = Config(tmp_path / "run", save_every=1)
    with pytest.raises(FloatingPointError) as caught:
        train(config, steps=6, spoil=(4, where, bad))
    assert str(caught.value).startswith("step 4: ") and "\n" not in str(caught.value)
    last = config.out / "step-000003"
    assert f"the last good checkpoint is {last}; try a lower --lr" in str(caught.value)
    assert [path.name for path in Checkpoints(config.out).all()] == ["step-000002", "step-000003"]
    end = train(config, steps=6)
    model, other = (torch.load(folder / "model.pt") for folder in (whole, end))
    assert all(torch.equal(model[name], other[name]) for name in model)
    assert losses(config.out) == losses(tmp_path / "whole")


def test_a_step_with_bad_gradients_leaves_the_weights_alone():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.grad = torch.tensor([3.0, 4.0])
    assert take_step(optimizer, max_norm=1.0, loss=0.0) == [5.0]
    assert weight.tolist() == pytest.approx([0.4, 0.2])  # 1 − 3/5, 1 − 4/5
    for gradient, loss in (([math.nan, 0.0], 0.0), ([1e30, 1e30], 0.0), ([1.0, 0.0], math.inf)):
        weight.grad = torch.tensor(gradient)  # the norm of the second overflows
        with pytest.raises(FloatingPointError, match="the (gradient norm|loss) is (nan|inf)"):
            take_step(optimizer, max_norm=1.0, loss=loss)
        assert weight.tolist() == pytest.approx([0.4, 0.2])


def test_the_gradients_of_each_group_are_clipped_apart():
    body, head = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([{"params": [body]}, {"params": [head]}], lr=1.0)
    body.grad, head.grad = torch.tensor([0.0, 0.5]), torch.tensor([30.0, 40.0])
    assert take_step(optimizer, max_norm=1.0, loss=0.0) == [0.5, 50.0]
    assert body.tolist() == [0.0, -0.5], "the head's large gradient doesn't shrink the body's"
    assert head.tolist() == pytest.approx([-0.6, -0.8])


def test_a_start_with_bad_weights_is_refused(tmp_path):
    trainer = Trainer(Config(tmp_path), steps=1, processes=Processes())
    optimizer = torch.optim.SGD([torch.full((2,), math.nan)])
    with pytest.raises(FloatingPointError, match="weight of the checkpoint to start from"):
        with trainer.running(lambda folder: None, {"optimizer": optimizer}):
            pass
    assert list(tmp_path.iterdir()) == []


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
