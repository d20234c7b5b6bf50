"""Executes one training order of an admin: runs the job, handles its outcome, promotes the better model."""

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

from engine.contract.codec import encode_text
from engine.contract.queue.models import Asker, Models
from engine.contract.queue.retry import retry_until_available, sleep_unless
from engine.contract.queue.store import Queue
from engine.contract.queue.training import OVER, Order, TrainingReport, Trainings
from engine.generation.poet import RELEASED
from engine.model.checkpoint import ModelFolderError
from engine.model.paddle_runtime import DeviceChoice
from engine.model.versions import Versions
from train.retrain.job import Task, explain
from train.retrain.process import JobAction, run_job
from train.settings import TrainSettings

log = logging.getLogger("train.retrain.order")
T = TypeVar("T")

_RUN = re.compile(r"retrain-\d{13}-\d+")  # not a run that somebody named similarly

LEASE_FACTOR = 4
"""An order's lease is this many times a job's: training loads the machine, so a trainer may be slow to renew it."""
MAX_STALLS = 3
"""How often in a row an order is continued after a crash without having gained a step."""
PAUSE_SECONDS = 1.0
"""Pause before a crashed training process is started again."""
LEFT_BEHIND_SECONDS = 7 * 86_400
"""A run unchanged for this long is assumed to be abandoned, and deleted."""


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """``poems``: per form in the table; ``save_every``: minutes between checkpoints."""

    device: DeviceChoice = "auto"
    threads: int | None = None
    poems: int = 40
    save_every: float = 2.0


@dataclasses.dataclass(frozen=True)
class TrainerContext:
    """What all orders of one trainer share."""

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
    """One order being executed."""

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
                return before.report  # its trainer died after reporting this and before finishing the entry
        if self._report.train_dir and not self._run_folder.is_dir():
            begun = self._report.train_dir
            log.warning("dropped: it was started in %s, which this trainer cannot see", begun, extra={"job": entry})
            detail = f"{begun} → {trainer.home}"
            return dataclasses.replace(self._report, phase="failed", failure="moved", detail=detail)
        if reclaimed and not paused_before and not self._may_continue_after("the trainer stopped responding"):
            return dataclasses.replace(self._report, phase="failed", failure="died")
        await self._send_report()
        try:
            # From here on the order is tied to this TRAIN_DIR, which has its checkpoints.
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
        while events is not None and events.get("failure") == "died" and self._may_continue_after(events["detail"]):
            await self._send_report()
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
        """Promote the new version if it is better; publish and prune versions either way."""
        trainer, report = self._trainer, self._report
        if last["event"] == "failed":
            self._forget(report.version)
            return dataclasses.replace(report, phase="failed", failure=last["failure"], detail=last["detail"])
        if last["curve"]:
            png = await asyncio.to_thread(Path(last["curve"]).read_bytes)
            await trainer.persist(partial(trainer.trainings.keep_curve, png))
        await trainer.persist(self._publish)
        if last["better"]:
            asker = encode_text(Asker(self._order.to, self._order.language))
            await trainer.persist(partial(trainer.models.use, report.version, asker))
        await trainer.persist(self._prune)
        return dataclasses.replace(report, phase="done", promoted=last["better"], table=last["table"], part=1.0)

    def _may_continue_after(self, cause: str) -> bool:
        """Count an interruption; False if there were too many without progress."""
        report = self._report
        self._report = dataclasses.replace(
            report, phase="preparing", stalls=report.stalls + 1, interruptions=report.interruptions + 1
        )
        log.warning("interrupted: %s", cause, extra={"job": self._entry})
        return self._report.stalls <= MAX_STALLS

    @property
    def _run_folder(self) -> Path:
        return self._trainer.home / run_name(self._entry)

    def _forget(self, version: str) -> None:
        """Delete what exists of a version that was not completed."""
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
        """The model in use, from which the new one starts and with which it is compared."""
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
            # A more recent one may belong to a trainer that uses another Redis.
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
        """Run the job; returns its last event, or None if it was stopped, cancelled or lost."""
        last = await run_job(task, self._handle_event, self._next_action, min(1.0, self._trainer.lease / 4))
        return None if last.get("failure") == "died" and self._must_end else last

    async def _handle_event(self, event: Mapping[str, Any]) -> None:
        if self._apply(event):
            await self._send_report()

    @property
    def _must_end(self) -> bool:
        return self._cancelled or self._lost or self._trainer.stopping.is_set()

    async def _next_action(self) -> JobAction:
        """Renew the lease; end the job if it is cancelled, reclaimed by another trainer, or this trainer stops."""
        trainer = self._trainer
        with contextlib.suppress(RedisError):
            if await trainer.trainings.cancelled(self._entry):
                self._cancelled = True
            elif not await trainer.trainings.hold(trainer.name, self._entry, self._order, self._report):
                self._lost = True
                log.warning("another trainer has reclaimed the order", extra={"job": self._entry})
        if self._cancelled or self._lost:
            return "kill"
        return "stop" if trainer.stopping.is_set() else "go on"

    def _apply(self, event: Mapping[str, Any]) -> bool:
        """Update the report from an event; returns whether it changed."""
        kind, report = event["event"], self._report
        if kind in ("waiting", "preparing"):
            report = dataclasses.replace(report, phase=kind)
        elif kind == "corpus":
            skipped, more = event["skipped"], event["more_skipped"]
            report = dataclasses.replace(report, own_poems=event["own_poems"], skipped=skipped, more_skipped=more)
        elif kind == "training":
            resumed = event["step"] if report.stalls else None
            # It gained steps since the last crash, so the order itself is not the cause.
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

    async def _send_report(self) -> None:
        """Report progress; while Redis is unavailable, training continues without reports."""
        with contextlib.suppress(RedisError):
            await self._trainer.trainings.report(self._entry, self._report)


def run_name(entry: str) -> str:
    return f"retrain-{entry}"


def _touched(run: Path) -> float:
    """When the run's folder or its checkpoints last changed, in Unix seconds."""
    with contextlib.suppress(OSError):
        return max(place.stat().st_mtime for place in (run, *run.glob("checkpoints")))
    return time.time()


def version_name(entry: str) -> str:
    """Named after the time of the order and short enough to type: r20261123-221530."""
    moment = datetime.fromtimestamp(int(entry.split("-")[0]) / 1000, UTC)
    return f"r{moment:%Y%m%d-%H%M%S}"
