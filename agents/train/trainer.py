"""The life of a training run: resume, log, save and stop.

A training method (`ppo`, `sft`, `cnn`) builds its model and optimizer, hands the trainer everything
that changes from step to step, and loops:

    trainer = Trainer(config, method="sft", steps=config.steps, processes=processes)
    policy = build_policy(config, str(trainer.checkpoint or config.model), processes.device)
    with trainer.running(policy.save, {"optimizer": optimizer}) as log:
        for step in trainer.remaining_steps():
            log.write(step, update(policy, optimizer))
    return trainer.last_checkpoint
"""

import contextlib
import dataclasses
import hashlib
import math
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor

from agents.train.checkpoint import Checkpoints, load_state, step_of
from agents.train.distributed import Processes
from agents.train.log.run_log import RunLog, check_log, log_names
from agents.vlm.checkpoint_files import weights_hash
from vlbench.cli.settings import Call, RunSettings
from vlbench.registry import resolve_env_id

CHANGEABLE = frozenset(
    {
        *("iterations", "steps", "turns"),  # length of the run
        *("save_every", "keep", "eval_every", "eval_episodes"),  # what is saved
        *("log", "rollouts_every"),  # what is logged
        # how the same numbers are computed
        *("micro_batch", "micro_tokens", "gradient_checkpointing", "device", "processes"),
        "rollouts",  # who writes the replies
        *("out", "estimate_memory", "trust_remote_code"),
    }
)
"""Options that may differ when a run is resumed; any other difference is refused."""

RANDOM = "random"
"""Key of torch's global random state in a checkpoint."""


class RunConfig(Protocol):
    """The options that every training method has; a dataclass."""

    @property
    def out(self) -> Path:
        """The run's folder."""

    @property
    def seed(self) -> int:
        """Seed of the run."""

    @property
    def save_every(self) -> int:
        """Steps between checkpoints, at least 1."""

    @property
    def log(self) -> str:
        """Where metrics go; see `agents.train.log.run_log.log_names`."""


class Stateful(Protocol):
    """A part of a run to save and restore: a module, an optimizer, environments."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: tensors and plain data, the same in every process."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Restore a saved state."""


class Trainer:
    """The run in a folder: a new one, or one resumed from its newest checkpoint.

    It seeds torch's global generator, which draws dropout and new weights, so create it before the
    model.

    Args:
        config: The run's options.
        steps: Number of steps in the whole run.
        processes: The processes that train together.
        keep: Number of checkpoints to keep, the newest ones.
        method: Name of the training method; a folder holds runs of one method.

    Raises:
        ValueError: The folder holds something else or a run with other settings, or `config.log`
            names a log that is unknown or isn't installed.
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        steps: int,
        processes: Processes,
        keep: int = 2,
        method: str = "training",
    ) -> None:
        self.steps = steps
        self.processes = processes
        self._config = config
        self._method = method
        check_log(config.log)
        self._checkpoints = Checkpoints(config.out, keep)
        self._changes = processes.on_main(self._open)
        self.checkpoint: Path | None = processes.on_main(self._checkpoints.latest)
        """The newest checkpoint; None before the first."""
        self.step = step_of(self.checkpoint) if self.checkpoint else 0
        """The last completed step; 0 in a new run."""
        self.seed = processes.seed(config.seed, self.step)
        """Seed for this process's own generators."""
        torch.manual_seed(self.seed)

    @property
    def last_checkpoint(self) -> Path:
        """The newest checkpoint; requires that there is one."""
        assert self.checkpoint is not None, "a run of at least one step leaves a checkpoint"
        return self.checkpoint

    @contextlib.contextmanager
    def running(
        self,
        write_model: Callable[[Path], None],
        parts: Mapping[str, Stateful | torch.Generator],
        generators: Mapping[str, torch.Generator] | None = None,
    ) -> Iterator[RunLog]:
        """Restore the parts if the run is resumed, open its log, and handle Ctrl-C inside.

        Args:
            write_model: Writes the model's files into a folder.
            parts: Name → state to save besides the model, the same in every process.
            generators: Name → a generator that differs between processes. These, and torch's global
                generator, restart from the seed if the number of processes has changed.

        Raises:
            ValueError: The checkpoint is damaged, or the parts don't fit it.
            OSError: The folder can't be written.
            FloatingPointError: The training diverged; the last good checkpoint is intact.
        """
        self._write_model, self._parts = write_model, parts
        self._generators = dict(generators or {}) | {RANDOM: torch.default_generator}
        if self.checkpoint:
            self._restore(self.checkpoint)
        for part in parts.values():
            if isinstance(part, torch.optim.Optimizer):
                _check_start(part)
        if self.step < self.steps:
            self.processes.on_main(self._record)
        log = RunLog(
            self._config.out,
            log_names(self._config.log),
            step=self.step if self.checkpoint else -1,
            options=dataclasses.asdict(self._config),  # type: ignore[call-overload]
            silent=not self.processes.main,
        )
        self._announce(log)
        interruption = Interruption(launched=self.processes.count > 1)
        with interruption as self._interruption, contextlib.closing(log):
            try:
                yield log
            except FloatingPointError as error:
                raise FloatingPointError(self._advise(str(error))) from error

    def remaining_steps(self) -> Iterator[int]:
        """Yield the remaining steps, and save checkpoints between them.

        Raises:
            KeyboardInterrupt: The user stopped the run; a checkpoint has been written.
            OSError: A checkpoint can't be written.
        """
        for step in range(self.step + 1, self.steps + 1):
            yield step
            self.step = step
            stop = self.processes.any(self._interruption.requested)
            if stop or step == self.steps or step % self._config.save_every == 0:
                self._save()
            if stop and step < self.steps:
                raise KeyboardInterrupt

    def choose(self, step: int, success: float) -> None:
        """Keep the model of a step in the folder `chosen` if it is the best on `val` so far.

        Of several that are equally good the first is kept. `chosen.json` says which step it is.

        Args:
            step: The step after which it was measured.
            success: Its success on the split `val`, the same in every process.
        """
        self.processes.on_main(lambda: self._checkpoints.choose(step, success, self._write_model))

    def _open(self) -> list[str]:
        """Check the run's folder; return what this call changes."""
        content = content_of(self._config)
        self._call = Call.of(self._method, self._config, content, self.processes.count)
        self._settings = RunSettings(self._config.out, CHANGEABLE)
        started = self._checkpoints.latest() is not None
        return self._settings.differences(self._call, started=started)

    def _record(self) -> None:
        """Add this call to the run's settings."""
        self._settings.append(dataclasses.replace(self._call, step=self.step))

    def _announce(self, log: RunLog) -> None:
        """Say where the run resumes, and with which changes."""
        changes = f"; changed: {', '.join(self._changes)}" if self._changes else ""
        if self.step >= self.steps:
            log.log_line(f"nothing to do: the run is at step {self.step} of {self.steps}{changes}")
        elif self.step or changes:
            log.log_line(f"resumed after step {self.step}{changes}")
        else:
            log.log_line(f"{self.steps} steps into {self._config.out}")

    def _advise(self, reason: str) -> str:
        """Return what to do after a number wasn't finite, unless the reason says so itself."""
        last = f"the last good checkpoint is {self.checkpoint}"
        parts = [f"step {self.step + 1}: {reason}"]
        parts.append(last if self.checkpoint else "there is no checkpoint yet")
        parts += [] if ";" in reason else ["try a lower --lr in a new --out"]
        return "; ".join(parts)

    def _save(self) -> None:
        state = {name: _state_of(part) for name, part in self._parts.items()}
        for name, generator in self._generators.items():
            state[name] = self.processes.gather(generator.get_state())
        self.checkpoint = self.processes.on_main(
            lambda: self._checkpoints.save(self.step, self._write_model, state)
        )

    def _restore(self, checkpoint: Path) -> None:
        state = load_state(checkpoint)
        expected = {*self._parts, *self._generators}
        if state.keys() != expected:
            raise ValueError(
                f"{checkpoint} is of another kind of training: it holds "
                f"{', '.join(sorted(state))}, not {', '.join(sorted(expected))}; choose another "
                "--out"
            )
        try:
            for name, part in self._parts.items():
                _set_state(part, state[name])
        except (RuntimeError, KeyError) as error:
            raise ValueError(
                f"{checkpoint} doesn't fit these options: {' '.join(str(error).split())[:200]}"
            ) from error
        for name, generator in self._generators.items():
            if len(state[name]) == self.processes.count:
                generator.set_state(state[name][self.processes.number])


def content_of(config: Any) -> dict[str, str]:
    """Return what a run's options stand for, as two calls are compared by.

    A model's folder and a file of data stand for the hash of their content, so that they may move;
    an environment's short name for its id.
    """
    content = {}
    if (model := getattr(config, "model", "")) and Path(model).is_dir():
        content["model"] = f"sha256:{weights_hash(Path(model))}"
    if (data := getattr(config, "data", None)) and data.is_file():
        with data.open("rb") as file:
            content["data"] = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    if isinstance(env := getattr(config, "env", None), str):
        content["env"] = resolve_env_id(env)
    return content


def take_step(optimizer: torch.optim.Optimizer, *, max_norm: float, loss: float) -> list[float]:
    """Clip the gradients and apply them, if loss and gradients are finite.

    Args:
        optimizer: Its gradients are 0 afterwards.
        max_norm: Largest norm of the gradients of each of the optimizer's groups; larger ones are
            scaled down, each group apart.
        loss: The loss over all processes.

    Returns:
        The norm of each group before clipping.

    Raises:
        FloatingPointError: The loss or the norm isn't finite, and the weights are those before the
            step; or the weights aren't finite after it.
    """
    groups = [group["params"] for group in optimizer.param_groups]
    norms = [float(torch.nn.utils.clip_grad_norm_(weights, max_norm)) for weights in groups]
    for name, value in (("loss", loss), *(("gradient norm", norm) for norm in norms)):
        if not math.isfinite(value):
            raise FloatingPointError(f"the {name} is {value}")
    optimizer.step()
    optimizer.zero_grad()
    if not are_finite(weight for weights in groups for weight in weights):
        raise FloatingPointError("a weight is no longer finite")
    return norms


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether every number is finite."""
    return bool(torch.stack([tensor.detach().isfinite().all() for tensor in tensors]).all())


def _check_start(optimizer: torch.optim.Optimizer) -> None:
    """Raise FloatingPointError if a weight isn't finite before the first step."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    if not are_finite(weights):
        raise FloatingPointError("a weight of the checkpoint to start from isn't finite")


def _state_of(part: Stateful | torch.Generator) -> Any:
    return part.get_state() if isinstance(part, torch.Generator) else part.state_dict()


def _set_state(part: Stateful | torch.Generator, state: Any) -> None:
    if isinstance(part, torch.Generator):
        part.set_state(state)
    else:
        part.load_state_dict(state)


class Interruption:
    """Within it, the first Ctrl-C (or SIGTERM) requests a stop; the second interrupts at once.

    Args:
        launched: Whether a launcher receives the same signals. It forwards them, so the first one
            arrives twice, and it kills the run itself if stopping takes too long.
    """

    def __init__(self, launched: bool = False) -> None:
        self.requested = False
        self._launched = launched
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        """Install the handlers; outside the main thread there are no signals to handle."""
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._previous[number] = signal.signal(number, self._request)
            except ValueError:
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested and not self._launched:
            raise KeyboardInterrupt
        self.requested = True
