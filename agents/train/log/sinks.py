"""Where a run's metrics go: a file of JSON lines, TensorBoard, Weights & Biases."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.train.metrics import Metrics
from vlbench.records.redaction import redact_data


class JsonLines:
    """A file with one JSON object per step.

    Args:
        path: The file; lines are appended.
        step: Lines of later steps are dropped, as is an incomplete last line.
    """

    def __init__(self, path: Path, step: int) -> None:
        rows: list[tuple[str, dict[str, Any]]] = []
        for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
            try:
                rows.append((line, json.loads(line)))
            except ValueError:
                continue
        rows = [(line, row) for line, row in rows if row["step"] <= step]
        self.seconds = float(rows[-1][1]["seconds"]) if rows else 0.0
        """Wall time of the run up to the last line, in seconds."""
        path.write_text("".join(f"{line}\n" for line, _ in rows), "utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, metrics: Metrics) -> None:
        """Append a line."""
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """TensorBoard events in the run's folder `tensorboard`; events of later steps are dropped."""

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, metrics: Metrics) -> None:
        """Add the scalars."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases; the same folder continues the same run.

    W&B's environment variables apply: WANDB_PROJECT, and WANDB_MODE=offline for a folder that
    `wandb sync` uploads later.

    Args:
        run: The run's folder; W&B writes into its subfolder `wandb`.
        options: The run's options, logged as its configuration.

    Raises:
        ValueError: W&B refuses to start.
    """

    def __init__(self, run: Path, options: Mapping[str, Any]) -> None:
        import wandb

        # W&B prints many lines of its own, and takes our package `agents` for OpenAI's.
        settings = wandb.Settings(silent=True, console="off")
        wandb.setup(settings)
        identity = run / "wandb-id.txt"
        if not identity.is_file():
            identity.write_text(secrets.token_hex(4) + "\n", "utf-8")
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "vlbench"),
                name=run.name,
                id=identity.read_text("utf-8").strip(),
                resume="allow",
                dir=str(run),
                config=redact_data({name: _plain(value) for name, value in options.items()}),
                settings=settings,
            )
        except wandb.Error as error:
            raise ValueError(f"W&B can't start: {' '.join(str(error).split())}") from error
        # W&B's own step counter would drop steps that are repeated after a crash.
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, metrics: Metrics) -> None:
        """Record a step."""
        self._run.log({"step": step, **metrics})

    def close(self) -> None:
        """Finish the run; online, wait until everything is uploaded."""
        self._run.finish()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
