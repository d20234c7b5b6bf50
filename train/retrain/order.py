"""Executes one training order of an admin: runs the job, handles its outcome, promotes the better model."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from engine.contract.codec import encode_text
from engine.contract.queue.models import Requester
from engine.contract.queue.retry import sleep_unless
from engine.contract.queue.training import FINAL_PHASES, Failure, Order, TrainingReport
from engine.model.folder import ModelFolderError
from train.retrain.context import TrainerContext, version_name
from train.retrain.job import RetrainTask, failure_of
from train.retrain.process import JobAction, run_job

log = logging.getLogger("train.retrain.order")

MAX_STALLS = 3
"""How often in a row an order is continued after a crash without having gained a step."""
RESTART_SECONDS = 1.0
"""Pause before a crashed training process is started again."""


class OrderExecution:
    """One order being executed."""

    def __init__(self, trainer: TrainerContext, entry: str, order: Order) -> None:
        self._trainer = trainer
        self._entry = entry
        self._order = order
        self._run_folder = trainer.run_folder(entry)
        self._version = version_name(entry)
        self._report = TrainingReport("preparing")
        self._lost = self._cancelled = False

    async def execute(self, reclaimed: bool) -> TrainingReport:
        """Returns the last report; its phase is "paused" if another trainer is to continue."""
        trainer = self._trainer
        if (ended := await self._resume(reclaimed)) is not None:
            return ended
        await self._send_report()
        try:
            # From here on the order is tied to this TRAIN_DIR, which has its checkpoints.
            await asyncio.to_thread(self._run_folder.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            failure, detail = failure_of(error)
            return self._failed(failure, f"{trainer.home}: {detail}")
        self._update(train_dir=str(trainer.home))
        try:
            base = await self._base()
            before = trainer.versions.home_version() if base == trainer.versions.home else base.name
        except (ModelFolderError, OSError) as error:
            return self._failed("model", str(error))
        self._update(version=self._version, before=before)
        last = await self._run_job(self._task(base))
        if self._cancelled:
            self._delete_version()
            return self._update(phase="cancelled")
        if last is None:
            return await self._pause()
        return await self._end(last)

    async def _resume(self, reclaimed: bool) -> TrainingReport | None:
        """Continue from the report of an earlier trainer; returns the last report if the order ends here."""
        trainer = self._trainer
        before = await trainer.persist(trainer.queue.trainings.current)
        paused_before = False
        if before is not None and before.id == self._entry:
            paused_before = before.report.phase == "paused"
            self._report = dataclasses.replace(before.report, phase="preparing")
            if before.report.phase in FINAL_PHASES:
                return before.report  # its trainer died after reporting this and before finishing the entry
        if self._report.train_dir and not self._run_folder.is_dir():
            started_in = self._report.train_dir
            log.warning("dropped: started in %s, which this trainer cannot see", started_in, extra={"job": self._entry})
            return self._failed("moved", f"{started_in} → {trainer.home}")
        if reclaimed and not paused_before and not self._continue_after("the trainer stopped responding"):
            return self._failed("died")
        return None

    async def _run_job(self, task: RetrainTask) -> dict[str, Any] | None:
        """Run the job until it ends, again if it crashes; returns its last event, or None if it must end here."""
        while True:
            last = await run_job(task, self._handle_event, self._next_action, min(1.0, self._trainer.lease / 4))
            died = last.get("failure") == "died"
            if died and (self._cancelled or self._lost or self._trainer.stopping.is_set()):
                return None
            if not died or not self._continue_after(last["detail"]):
                return last
            await self._send_report()
            await sleep_unless(self._trainer.stopping, RESTART_SECONDS)
            if self._trainer.stopping.is_set():
                return None

    async def _pause(self) -> TrainingReport:
        """Leave the order to another trainer, and say so if this one was told to stop."""
        self._update(phase="paused")
        if self._trainer.stopping.is_set() and not self._lost:
            await self._send_report()
        return self._report

    async def _end(self, last: Mapping[str, Any]) -> TrainingReport:
        """Promote the new version if it is better; publish and prune versions either way."""
        trainer = self._trainer
        if last["event"] == "failed":
            self._delete_version()
            return self._failed(last["failure"], last["detail"])
        if last["curve"]:
            png = await asyncio.to_thread(Path(last["curve"]).read_bytes)
            await trainer.persist(partial(trainer.queue.trainings.keep_curve, png))
        versions = await asyncio.to_thread(trainer.versions.all_versions)
        await trainer.persist(partial(trainer.queue.models.publish, versions))
        if last["better"]:
            requester = encode_text(Requester(self._order.to, self._order.language))
            await trainer.persist(partial(trainer.queue.models.use, self._version, requester))
        await trainer.persist(self._prune)
        return self._update(phase="done", promoted=last["better"], table=last["table"], part=1.0)

    def _update(self, **changes: Any) -> TrainingReport:
        self._report = dataclasses.replace(self._report, **changes)
        return self._report

    def _failed(self, failure: Failure, detail: str = "") -> TrainingReport:
        return self._update(phase="failed", failure=failure, detail=detail)

    def _continue_after(self, cause: str) -> bool:
        """Count an interruption; False if there were too many without progress."""
        report = self._report
        self._update(phase="preparing", stalls=report.stalls + 1, interruptions=report.interruptions + 1)
        log.warning("interrupted: %s", cause, extra={"job": self._entry})
        return self._report.stalls <= MAX_STALLS

    def _delete_version(self) -> None:
        """Delete what exists of a version that was not completed."""
        folder = self._trainer.versions.folder
        for place in (folder / self._version, folder / f".{self._version}.new"):
            shutil.rmtree(place, ignore_errors=True)

    async def _prune(self) -> None:
        trainer = self._trainer
        desired = await trainer.queue.models.desired()
        serving = [each.version for each in (await trainer.queue.models.serving()).values()]
        used = {*serving, *([desired.version, desired.before] if desired else [])}
        deleted = await asyncio.to_thread(trainer.versions.prune, trainer.settings.model_keep, used)
        await trainer.queue.models.forget(deleted)

    async def _base(self) -> Path:
        """The model in use, from which the new one starts and with which it is compared."""
        versions = self._trainer.versions
        desired = await self._trainer.persist(self._trainer.queue.models.desired)
        try:
            return versions.find(versions.home_version() if desired is None else desired.version)
        except ModelFolderError:
            return versions.find(desired.before) if desired is not None and desired.before else versions.home

    def _task(self, base: Path) -> RetrainTask:
        trainer, options = self._trainer, self._trainer.options
        own = trainer.settings.own_poems_dir
        trainer.delete_abandoned_runs()
        return RetrainTask(
            home=str(trainer.home),
            run=self._run_folder.name,
            version=self._version,
            base=str(base),
            epochs=self._order.epochs,
            start=self._order.start,
            own_poems=str(own.absolute()) if own else "",
            device=options.device,
            threads=options.threads or trainer.settings.threads,
            poems=options.poems,
            save_every=options.save_every,
        )

    async def _handle_event(self, event: Mapping[str, Any]) -> None:
        before = self._report
        if self._update(**_changes(before, event)) != before:
            await self._send_report()

    async def _next_action(self) -> JobAction:
        """Renew the lease; end the job if it is cancelled, reclaimed by another trainer, or this trainer stops."""
        trainer = self._trainer
        with contextlib.suppress(RedisError):
            if await trainer.queue.trainings.cancelled(self._entry):
                self._cancelled = True
            elif not await trainer.queue.trainings.hold(trainer.name, self._entry, self._order, self._report):
                self._lost = True
                log.warning("another trainer has reclaimed the order", extra={"job": self._entry})
        if self._cancelled or self._lost:
            return "kill"
        return "stop" if trainer.stopping.is_set() else "go on"

    async def _send_report(self) -> None:
        """Report progress; while Redis is unavailable, training continues without reports."""
        with contextlib.suppress(RedisError):
            await self._trainer.queue.trainings.report(self._entry, self._report)


def _changes(report: TrainingReport, event: Mapping[str, Any]) -> dict[str, Any]:
    """What an event of the job changes in the report."""
    kind = event["event"]
    if kind in ("waiting", "preparing"):
        return {"phase": kind}
    if kind == "corpus":
        return {name: event[name] for name in ("own_poems", "skipped", "more_skipped")}
    if kind == "training":
        resumed = event["step"] if report.stalls else None
        # It gained steps since the last crash, so the order itself is not the cause.
        stalls = 1 if resumed is not None and (report.resumed or 0) < resumed else report.stalls
        return {"phase": "training", "step": event["step"], "resumed": resumed, "stalls": stalls}
    if kind == "progress":
        names = ("epoch", "part", "step", "loss", "validation", "seconds_left")
        return {**{name: event[name] for name in names}, "speed": event["tokens_per_second"]}
    return {"phase": kind, "part": 1.0} if kind in ("aligning", "measuring") else {}
