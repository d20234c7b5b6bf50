"""Data-parallel training: under ``python -m paddle.distributed.launch`` every process takes its share of each batch.

All processes hold the same weights, walk through the same batches and make the same step, from the sum of their
gradients. The first one measures, draws, saves and speaks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train.data.batches import Batch
from train.fit.run_folder import RunError

RUN_SECONDS = 600.0


def rank_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's number among how many, as the launcher says; 0 of 1 without one."""
    return int(environment.get("PADDLE_TRAINER_ID") or 0), int(environment.get("PADDLE_TRAINERS_NUM") or 1)


def wait_for_run(folder: Path) -> None:
    """Until the first process has made the run."""
    end = time.monotonic() + RUN_SECONDS
    while not (folder / "run.json").exists():
        if time.monotonic() > end:
            raise RunError(f"the first process made no run in {folder}")
        time.sleep(0.1)


class Ranks:
    """This process among the others; alone, every method gives back what it was given."""

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
        """Every nth row of a batch, and by what its mean loss counts in that of the whole batch.

        A batch with fewer rows than there are processes is given whole to the first; the others learn nothing of it.
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
