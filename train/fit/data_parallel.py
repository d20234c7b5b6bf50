"""Data-parallel training: under ``python -m paddle.distributed.launch`` each process trains on its share of each batch.

All processes have the same weights, go through the same batches, and make the same update from the sum of their
gradients. Only the first one validates, draws, saves and reports.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from train.data.batches import Batch
from train.fit.run_folder import Run, RunError

RUN_CREATION_SECONDS = 600.0


def rank_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's rank and the number of processes, as set by the launcher; (0, 1) without one."""
    return int(environment.get("PADDLE_TRAINER_ID") or 0), int(environment.get("PADDLE_TRAINERS_NUM") or 1)


def wait_for_run(folder: Path) -> None:
    """Wait until the first process has created the run."""
    end = time.monotonic() + RUN_CREATION_SECONDS
    while not (folder / "run.json").exists():
        if time.monotonic() > end:
            raise RunError(f"the first process did not create a run in {folder}")
        time.sleep(0.1)


def locked_by_first(run: Run, environment: Mapping[str, str]) -> AbstractContextManager[None]:
    """The run's lock, which the first process takes for all. RunError: it is taken."""
    return run.locked() if rank_of(environment)[0] == 0 else nullcontext()


class Ranks:
    """Communication with the other processes; in a single process every method returns its argument."""

    def __init__(self, rank: int, world: int, paddle: Any) -> None:
        self.first = rank == 0
        self.alone = world == 1
        self._rank, self._world, self._paddle = rank, world, paddle
        if not self.alone:
            env = paddle.distributed.ParallelEnv()
            if paddle.device.get_device().startswith("gpu"):
                paddle.set_device(f"gpu:{env.device_id}")
            paddle.distributed.init_parallel_env()

    def share(self, batch: Batch, pad: int) -> tuple[Batch, float]:
        """This process's rows of a batch, and the weight of their mean loss in that of the whole batch.

        A batch with fewer rows than processes is processed by the first alone; the weight of the others is 0.
        """
        if self.alone:
            return batch, 1.0
        rows = slice(self._rank, None, self._world)
        if len(batch.ids) < self._world:
            return batch, 1.0 if self.first else 0.0
        targets = batch.targets[rows]
        count = int((targets != pad).sum())
        return Batch(batch.ids[rows], targets, count), count / batch.count

    def sum_gradients(self, weights: Iterable[Any]) -> None:
        if not self.alone:
            for weight in weights:
                self._paddle.distributed.all_reduce(weight.grad)

    def sum(self, number: float) -> float:
        return number if self.alone else self._reduce(number, self._paddle.distributed.ReduceOp.SUM)

    def most(self, number: float) -> float:
        return number if self.alone else self._reduce(number, self._paddle.distributed.ReduceOp.MAX)

    def _reduce(self, number: float, how: Any) -> float:
        tensor = self._paddle.to_tensor([number], dtype="float64")
        self._paddle.distributed.all_reduce(tensor, how)
        return float(tensor[0])
