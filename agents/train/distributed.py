"""Data-parallel training: every process holds the whole model, and plays and learns its share.

`torchrun --nproc-per-node N -m agents.train.ppo …` starts the processes; Accelerate finds their
devices and backends. Gradients are summed over the turns of all processes and divided by their
number, so N processes compute the same update as one. Models are replicated, never sharded.

The sum is our own, not torch's DistributedDataParallel: with that, a process with fewer
micro-batches needs passes of weight 0, about a tenth of an update (`docs/results/gradients.md`).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from vlbench.cli import print_error, run_main

T = TypeVar("T")

SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism configuration",
}
"""Variables that `accelerate launch` sets to shard a model → the kind of sharding."""
OTHER_LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables with the number of processes, set by launchers other than torchrun."""


class Processes:
    """The processes of a run; a single one without a launcher.

    Raises:
        ValueError: The launcher started the wrong number of processes, or requests sharding.
    """

    def __init__(self) -> None:
        _check_launcher(os.environ)
        self.count = int(os.environ.get("WORLD_SIZE", 1))
        self.number = int(os.environ.get("RANK", 0))
        self._state: Any = None
        if self.count > 1:
            from accelerate import PartialState  # a single process doesn't need it

            self._state = PartialState(cpu=not torch.cuda.is_available())
            if self._state.num_processes != self.count:
                raise ValueError(
                    f"torchrun started {self.count} processes, but {self._state.num_processes} "
                    "are connected"
                )

    @property
    def main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.number == 0

    @property
    def device(self) -> torch.device | None:
        """This process's device; None in a single process, which uses the best one."""
        device: torch.device | None = self._state.device if self._state else None
        return device

    def share(self, items: int) -> range:
        """Return the indices of this process's share of items; all shares are equal.

        Raises:
            ValueError: The items can't be divided equally.
        """
        if items % self.count:
            raise ValueError(f"num_envs {items} can't be divided among {self.count} processes")
        each = items // self.count
        return range(self.number * each, (self.number + 1) * each)

    def seed(self, seed: int, step: int) -> int:
        """Return a seed for this process's generators after a step; `seed` at the very start."""
        return seed + 1_000_003 * self.number + 15_485_863 * step

    def gather(self, own: T) -> list[T]:
        """Return the objects of all processes, by process number."""
        if self.count == 1:
            return [own]
        everyone: list[Any] = [None] * self.count
        dist.all_gather_object(everyone, own)
        return everyone

    def gather_columns(self, own: Tensor) -> Tensor:
        """Return (T, N), the concatenated columns (T, n) of all processes."""
        return torch.cat(self.gather(own.cpu()), dim=1)

    def sum(self, own: Mapping[str, float]) -> dict[str, float]:
        """Return the sum of each number over all processes; names are the same in each."""
        if self.count == 1:
            return dict(own)
        numbers = torch.tensor(list(own.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(numbers)
        return dict(zip(own, numbers.tolist(), strict=True))

    def sum_gradients(self, weights: Iterable[Tensor]) -> None:
        """Replace every gradient by its sum over all processes.

        A weight that has no gradient in any process (as some in LLaVA's tower) gets none.
        """
        if self.count == 1:
            return
        weights = list(weights)
        flags = torch.tensor([w.grad is not None for w in weights], device=self.device).int()
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        active = [weight for weight, flag in zip(weights, flags.tolist(), strict=True) if flag]
        for dtype in {weight.dtype for weight in active}:
            some = [weight for weight in active if weight.dtype == dtype]
            for weight in some:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
            gradients = [weight.grad.flatten() for weight in some if weight.grad is not None]
            flat = torch.cat(gradients)
            dist.all_reduce(flat)
            for weight, part in zip(some, flat.split([g.numel() for g in gradients]), strict=True):
                weight.grad = part.view_as(weight)

    def broadcast_weights(self, weights: Iterable[Tensor]) -> None:
        """Copy the main process's weights to every process."""
        if self.count > 1:
            for weight in weights:
                dist.broadcast(weight.data, 0)

    def any(self, own: bool) -> bool:
        """Return whether `own` is true in any process."""
        return self.sum({"": float(own)})[""] > 0

    def together(self, act: Callable[[], T]) -> T:
        """Call `act` in every process; return its result.

        Raises:
            FloatingPointError: `act` raised it in any process; then every process raises it.
            OSError: Likewise.
        """
        if self.count == 1:
            return act()
        result: list[T] = []
        fault: FloatingPointError | OSError | None = None
        try:
            result.append(act())
        except (FloatingPointError, OSError) as error:
            fault = type(error)(str(error))
        if faults := [error for error in self.gather(fault) if error is not None]:
            raise faults[0]
        return result[0]

    def on_main(self, act: Callable[[], T]) -> T:
        """Call `act` in the main process; return its result, or raise its error, in every process.

        Raises:
            OSError: `act` raised it.
            ValueError: `act` raised it.
        """
        outcome: list[Any] = [None, None]  # result, error
        if self.main:
            try:
                outcome[0] = act()
            except (OSError, ValueError) as error:
                outcome[1] = error
        if self.count > 1:
            dist.broadcast_object_list(outcome, 0)
        if outcome[1] is not None:
            raise outcome[1]
        result: T = outcome[0]
        return result

    def close(self) -> None:
        """Leave the process group."""
        if self._state is not None:
            self._state.destroy_process_group()


def _check_launcher(environment: Mapping[str, str]) -> None:
    """Refuse launchers that would silently do something other than requested.

    Raises:
        ValueError: The launcher requests sharding, or starts unconnected processes.
    """
    use = "start with torchrun --nproc-per-node N -m MODULE, or with python for one process"
    for name, what in SHARDING.items():
        if environment.get(name, "").lower() in ("1", "true"):
            raise ValueError(f"the launcher wants {what}, but models can't be sharded here; {use}")
    if "WORLD_SIZE" in environment:
        return
    if "ACCELERATE_MIXED_PRECISION" in environment:
        raise ValueError(f"accelerate launch started one process, not those requested; {use}")
    for name in OTHER_LAUNCHERS:
        if int(environment.get(name, 1)) > 1:
            raise ValueError(
                f"{name} says {environment[name]} processes, but they aren't connected; {use}"
            )


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn torch's two ways to run out of memory into MemoryError."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise MemoryError(
            "out of memory; lower --micro-batch, or the sizes of batch, rollout and model"
        ) from error


def run_in_processes(
    command: str, parse: Callable[[], T], run: Callable[[T, Processes], object]
) -> int:
    """Run a training command and print its result once.

    Args:
        command: Prefix of error messages.
        parse: Parses the command line.
        run: Runs the parsed command.

    Returns:
        0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C.
    """
    number = int(os.environ.get("RANK", 0))
    try:
        config = parse()
        processes = Processes()
    except ValueError as error:
        if number == 0:  # the error is the same in every process
            print_error(command, error)
        return 2

    def run_and_print() -> None:
        with memory_errors():
            result = run(config, processes)
        if processes.main:
            print(result)

    code = run_main(
        f"{command} (process {number})" if number else command,
        run_and_print,
        stopped="stopped; run the same command again to resume from the last checkpoint",
        failure=1,
        quiet=not processes.main,
    )
    if code in (0, 130):
        processes.close()
    return code
