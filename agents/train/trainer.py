"""The life of a training run: resume, log, save and stop.

A training method (`ppo`, `sft`, `cnn`) builds its model and optimizer, hands the trainer everything
that changes from step to step, and loops:

    trainer = Trainer(config, steps=config.steps, processes=processes)
    policy = build_policy(config, str(trainer.checkpoint or config.model), processes.device)
    with trainer.running(policy.save, {"optimizer": optimizer}) as log:
        for step in trainer.remaining_steps():
            log.write(step, update(policy, optimizer))
    return trainer.last_checkpoint
"""

import contextlib
import dataclasses
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol

import torch

from agents.train.checkpoint import Checkpoints, load_state, step_of
from agents.train.distributed import Processes
from agents.train.run_log import RunLog, check_log, log_names

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
        """Where metrics go; see `agents.train.run_log.log_names`."""


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

    Raises:
        ValueError: `config.log` names a log that is unknown or isn't installed.
    """

    def __init__(
        self, config: RunConfig, *, steps: int, processes: Processes, keep: int = 2
    ) -> None:
        self.steps = steps
        self.processes = processes
        self._config = config
        check_log(config.log)
        self._checkpoints = Checkpoints(config.out, keep)
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
        """
        self._write_model, self._parts = write_model, parts
        self._generators = dict(generators or {}) | {RANDOM: torch.default_generator}
        if self.checkpoint:
            self._restore(self.checkpoint)
        options = dataclasses.asdict(self._config)  # type: ignore[call-overload]
        self.processes.on_main(lambda: self._write_options(options))
        log = RunLog(
            self._config.out,
            log_names(self._config.log),
            step=self.step,
            options=options,
            silent=not self.processes.main,
        )
        interruption = Interruption(launched=self.processes.count > 1)
        with interruption as self._interruption, contextlib.closing(log):
            yield log

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

    def _write_options(self, options: dict[str, Any]) -> None:
        self._config.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(options, indent=2, default=str)
        (self._config.out / "config.json").write_text(text + "\n", "utf-8")


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
