"""What all orders of one trainer share: its settings, its options and the folders it works in."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from engine.contract.queue.retry import retry_until_available
from engine.contract.queue.store import Queue
from engine.generation.poet import RELEASED
from engine.model.paddle_runtime import DeviceChoice
from engine.model.versions import Versions
from train.settings import TrainSettings

T = TypeVar("T")

_RUN = re.compile(r"retrain-\d{13}-\d+")  # not a run that somebody named similarly

LEASE_FACTOR = 4
"""An order's lease is this many times a job's: training loads the machine, so a trainer may be slow to renew it."""
ABANDONED_SECONDS = 7 * 86_400
"""A run unchanged for this long is assumed to be abandoned, and deleted."""


@dataclass(frozen=True)
class TrainOptions:
    """``poems``: per form in the table; ``save_every``: minutes between checkpoints."""

    device: DeviceChoice = "auto"
    threads: int | None = None
    poems: int = 40
    save_every: float = 2.0


@dataclass(frozen=True)
class TrainerContext:
    """``name``: of the trainer; ``stopping``: set when it is told to stop."""

    name: str
    queue: Queue
    settings: TrainSettings
    options: TrainOptions
    stopping: asyncio.Event

    @property
    def home(self) -> Path:
        return self.settings.train_dir.absolute()

    @property
    def versions(self) -> Versions:
        return Versions.of((self.settings.model_dir or RELEASED).absolute(), self.home)

    @property
    def lease(self) -> float:
        return LEASE_FACTOR * self.settings.lease

    def run_folder(self, entry: str) -> Path:
        """The folder of the run that an order trains."""
        return self.home / run_name(entry)

    def delete_abandoned_runs(self) -> None:
        """More recent runs stay: one may belong to a trainer that uses another Redis."""
        for folder in self.home.glob("retrain-*"):
            if _RUN.fullmatch(folder.name) and time.time() - _changed(folder) > ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await retry_until_available(attempt, self.stopping)


def run_name(entry: str) -> str:
    return f"retrain-{entry}"


def version_name(entry: str) -> str:
    """Named after the time of the order and short enough to type: r20261123-221530."""
    moment = datetime.fromtimestamp(int(entry.split("-")[0]) / 1000, UTC)
    return f"r{moment:%Y%m%d-%H%M%S}"


def _changed(run: Path) -> float:
    """When the run's folder or its checkpoints last changed, in Unix seconds."""
    with contextlib.suppress(OSError):
        return max(place.stat().st_mtime for place in (run, *run.glob("checkpoints")))
    return time.time()
