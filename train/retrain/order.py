"""One order of an admin carried out: the job run and watched, its end judged, the better model promoted."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from redis.exceptions import RedisError

from engine.contract.queue.models import Asker, Models
from engine.contract.queue.retry import retry_until_available, sleep_unless
from engine.contract.queue.store import Queue
from engine.contract.queue.training import OVER, Order, TrainingReport, Trainings
from engine.generation.poet import RELEASED
from engine.model.checkpoint import ModelFolderError
from engine.model.paddle_runtime import DeviceChoice
from engine.model.versions import Versions
from train.retrain.job import Task, explain
from train.retrain.process import Verdict, run_job
from train.settings import TrainSettings

log = logging.getLogger("train.retrain.order")
T = TypeVar("T")

_RUN = re.compile(r"retrain-\d{13}-\d+")  # and no run that somebody has named like one

LEASE_FACTOR = 4
"""An order's lease is this many times a job's: training loads the machine, so a trainer may be slow to renew it."""
MAX_STALLS = 3
"""How often in a row an order may be gone on with, after a death, without a step gained."""
PAUSE_SECONDS = 1.0
"""Before a training process that died is followed by another."""
LEFT_BEHIND_SECONDS = 7 * 86_400
"""A run untouched for so long belongs to no order any more."""


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How jobs compute. ``poems``: a form in the table; ``save_every``: minutes between two checkpoints."""

    device: DeviceChoice = "auto"
    threads: int | None = None
    poems: int = 40
    save_every: float = 2.0


@dataclasses.dataclass(frozen=True)
class TrainerContext:
    """What every order of one trainer shares."""

    name: str
    queue: Queue
    settings: TrainSettings
    options: TrainOptions
    stopping: asyncio.Event

    @property
    def trainings(self) -> Trainings:
        return self.queue.trainings

    @property
    def models(self) -> Models:
        return self.queue.models

    @property
    def home(self) -> Path:
        return self.settings.train_dir.absolute()

    @property
    def versions(self) -> Versions:
        return Versions.of((self.settings.model_dir or RELEASED).absolute(), self.home)

    @property
    def lease(self) -> float:
        return LEASE_FACTOR * self.settings.lease

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await retry_until_available(attempt, self.stopping)


class OrderExecution:
    """One order in hand."""

    def __init__(self, trainer: TrainerContext, entry: str, order: Order) -> None:
        self._trainer = trainer
        self._entry = entry
        self._order = order
        self._report = TrainingReport("preparing")
        self._lost = self._cancelled = False

    async def carry_out(self, reclaimed: bool) -> TrainingReport:
        trainer, entry = self._trainer, self._entry
        before = await trainer.persist(trainer.trainings.current)
        paused_before = False
        if before is not None and before.id == entry:
            paused_before = before.report.phase == "paused"
            self._report = dataclasses.replace(before.report, phase="preparing")
            if before.report.phase in OVER:
                return before.report  # its trainer died between saying so and finishing it
        if self._report.train_dir and not self._run_folder.is_dir():
            begun = self._report.train_dir
            log.warning("dropped: it was begun in %s, which this trainer does not see", begun, extra={"job": entry})
            detail = f"{begun} → {trainer.home}"
            return dataclasses.replace(self._report, phase="failed", failure="moved", detail=detail)
        if reclaimed and not paused_before and not self._goes_on_after("the trainer fell silent"):
            return dataclasses.replace(self._report, phase="failed", failure="died")
        await self._say()
        try:
            # The order is tied to this TRAIN_DIR from here on: what is left of it lies in this folder.
            await asyncio.to_thread(self._run_folder.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            failure, detail = explain(error)
            return dataclasses.replace(
                self._report, phase="failed", failure=failure, detail=f"{trainer.home}: {detail}"
            )
        self._report = dataclasses.replace(self._report, train_dir=str(trainer.home))
        try:
            base = await self._base()
        except (ModelFolderError, OSError) as error:
            return dataclasses.replace(self._report, phase="failed", failure="model", detail=str(error))
        version = version_name(entry)
        home = trainer.versions.home
        before_name = trainer.versions.home_version() if base == home else base.name
        self._report = dataclasses.replace(self._report, version=version, before=before_name)
        task = self._task(base, version)
        events = await self._compute(task)
        while events is not None and events.get("failure") == "died" and self._goes_on_after(events["detail"]):
            await self._say()
            await sleep_unless(trainer.stopping, PAUSE_SECONDS)
            events = None if trainer.stopping.is_set() else await self._compute(task)
        if self._cancelled:
            self._forget(version)
            return dataclasses.replace(self._report, phase="cancelled")
        if events is None:
            paused = dataclasses.replace(self._report, phase="paused")
            if trainer.stopping.is_set() and not self._lost:
                with contextlib.suppress(RedisError):
                    await trainer.trainings.report(entry, paused)
            return paused
        return await self._end(events)

    async def _end(self, last: Mapping[str, Any]) -> TrainingReport:
        """Promote what is better; publish and prune either way."""
        trainer, report = self._trainer, self._report
        if last["event"] == "failed":
            self._forget(report.version)
            return dataclasses.replace(report, phase="failed", failure=last["failure"], detail=last["detail"])
        if last["curve"]:
            png = await asyncio.to_thread(Path(last["curve"]).read_bytes)
            await trainer.persist(partial(trainer.trainings.keep_curve, png))
        await trainer.persist(self._publish)
        if last["better"]:
            asker = Asker(self._order.to, self._order.language).text()
            await trainer.persist(partial(trainer.models.use, report.version, asker))
        await trainer.persist(self._prune)
        return dataclasses.replace(report, phase="done", promoted=last["better"], table=last["table"], part=1.0)

    def _goes_on_after(self, death: str) -> bool:
        """Count an interruption; False when there have been too many without a step gained."""
        report = self._report
        self._report = dataclasses.replace(
            report, phase="preparing", stalls=report.stalls + 1, interruptions=report.interruptions + 1
        )
        log.warning("interrupted: %s", death, extra={"job": self._entry})
        return self._report.stalls <= MAX_STALLS

    @property
    def _run_folder(self) -> Path:
        return self._trainer.home / run_name(self._entry)

    def _forget(self, version: str) -> None:
        """What there is of a version that came to nothing, half-written files included."""
        folder = self._trainer.versions.folder
        for place in (folder / version, folder / f".{version}.new"):
            shutil.rmtree(place, ignore_errors=True)

    async def _publish(self) -> None:
        await self._trainer.models.publish(self._trainer.versions.figures())

    async def _prune(self) -> None:
        trainer = self._trainer
        desired = await trainer.models.desired()
        serving = [each.version for each in (await trainer.models.serving()).values()]
        used = {*serving, *([desired.version, desired.before] if desired else [])}
        gone = await asyncio.to_thread(trainer.versions.prune, trainer.settings.model_keep, used)
        await trainer.models.forget(gone)

    async def _base(self) -> Path:
        """The model in use: what the new one goes on from and is compared with."""
        trainer = self._trainer
        desired = await trainer.persist(trainer.models.desired)
        home = trainer.versions.home
        version = desired.version if desired is not None else trainer.versions.home_version()
        try:
            return trainer.versions.find(version)
        except ModelFolderError:
            return trainer.versions.find(desired.before) if desired is not None and desired.before else home

    def _task(self, base: Path, version: str) -> Task:
        trainer, options = self._trainer, self._trainer.options
        own = trainer.settings.own_poems_dir
        for other in trainer.home.glob("retrain-*"):
            # One that is younger may belong to a trainer of another store.
            if _RUN.fullmatch(other.name) and time.time() - _touched(other) > LEFT_BEHIND_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
        return Task(
            home=str(trainer.home),
            run=run_name(self._entry),
            version=version,
            base=str(base),
            epochs=self._order.epochs,
            start=self._order.start,
            own_poems=str(own.absolute()) if own else "",
            device=options.device,
            threads=options.threads or trainer.settings.threads,
            poems=options.poems,
            save_every=options.save_every,
        )

    async def _compute(self, task: Task) -> dict[str, Any] | None:
        """Run the job; its last event, or None where it did not come to one: stopped, cancelled or lost."""
        last = await run_job(task, self._heard, self._verdict, min(1.0, self._trainer.lease / 4))
        return None if last.get("failure") == "died" and self._is_to_end else last

    async def _heard(self, event: Mapping[str, Any]) -> None:
        if self._hear(event):
            await self._say()

    @property
    def _is_to_end(self) -> bool:
        return self._cancelled or self._lost or self._trainer.stopping.is_set()

    async def _verdict(self) -> Verdict:
        """Renew the lease; end the job when it is cancelled, lost to another trainer, or this one is to stop."""
        trainer = self._trainer
        with contextlib.suppress(RedisError):
            if await trainer.trainings.cancelled(self._entry):
                self._cancelled = True
            elif not await trainer.trainings.hold(trainer.name, self._entry, self._order, self._report):
                self._lost = True
                log.warning("the order is in other hands", extra={"job": self._entry})
        if self._cancelled or self._lost:
            return "kill"
        return "stop" if trainer.stopping.is_set() else "go on"

    def _hear(self, event: Mapping[str, Any]) -> bool:
        """Take an event into the report."""
        kind, report = event["event"], self._report
        if kind in ("waiting", "preparing"):
            report = dataclasses.replace(report, phase=kind)
        elif kind == "corpus":
            skipped, more = event["skipped"], event["more_skipped"]
            report = dataclasses.replace(report, own_poems=event["own_poems"], skipped=skipped, more_skipped=more)
        elif kind == "training":
            resumed = event["step"] if report.stalls else None
            # Steps gained since the last death: it is not the order that kills.
            stalls = 1 if resumed is not None and (report.resumed or 0) < resumed else report.stalls
            report = dataclasses.replace(report, phase="training", step=event["step"], resumed=resumed, stalls=stalls)
        elif kind == "progress":
            report = dataclasses.replace(
                report,
                **{name: event[name] for name in ("epoch", "part", "step", "loss", "validation", "seconds_left")},
                speed=event["tokens_per_second"],
            )
        elif kind == "measuring":
            report = dataclasses.replace(report, phase="measuring", part=1.0)
        changed = report != self._report
        self._report = report
        return changed

    async def _say(self) -> None:
        """Report; while Redis is gone the training goes on unreported."""
        with contextlib.suppress(RedisError):
            await self._trainer.trainings.report(self._entry, self._report)


def run_name(entry: str) -> str:
    return f"retrain-{entry}"


def _touched(run: Path) -> float:
    """Unix seconds of the last checkpoint or other file of a run."""
    with contextlib.suppress(OSError):
        return max(place.stat().st_mtime for place in (run, *run.glob("checkpoints")))
    return time.time()


def version_name(entry: str) -> str:
    """After the moment of the order, short enough to be typed: r20261123-221530."""
    moment = datetime.fromtimestamp(int(entry.split("-")[0]) / 1000, UTC)
    return f"r{moment:%Y%m%d-%H%M%S}"
