"""The worker: takes jobs from Redis, has a poet write them, and finishes them. It is given the poet."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from engine.contract import CodecError, Poem, PoemError, PoemRequest
from engine.contract.check import CheckRequest, Examination
from engine.contract.logs import origin, set_up
from engine.contract.queue.consumer import StreamConsumer
from engine.contract.queue.dead_letters import MAX_REDELIVERIES
from engine.contract.queue.messages import Job, Reply, WorkDone, deadline_error
from engine.contract.queue.store import Queue, connect
from engine.contract.queue.stream import Delivery
from engine.contract.settings import Settings
from engine.serving.batcher import Batcher, BrokenPoetError, PoetLike
from engine.serving.model_reload import MODEL_POLL_SECONDS, ModelReload
from engine.serving.shutdown import asked_to_stop, run_until
from engine.serving.throughput import Throughput

log = logging.getLogger("engine.serving.worker")

MAX_JOBS_IN_FLIGHT = 64
"""Maximum number of jobs in flight."""
JOB_READ_SECONDS = 0.5
"""How long a read waits for jobs, and so how often an idle worker looks for jobs to reclaim."""
_RECLAIM_LOCK = "workers"
"""Lock held by the one worker that takes no new jobs, to become free for reclaiming one."""
PUBLISH_SECONDS = 15.0
"""Interval at which a worker publishes the versions it has."""
JOB_DRAIN_SECONDS = 8.0
"""Time that poems in flight are given when the worker stops; other workers reclaim the rest."""


class Worker(StreamConsumer):
    """One consumer of the queue. ``lease``: seconds without renewal after which others may reclaim its jobs.

    ``model_reload`` replaces the poet when another model version is requested; without it the poet stays.
    """

    def __init__(
        self,
        queue: Queue,
        poet: PoetLike,
        lease: float,
        batch: int = MAX_JOBS_IN_FLIGHT,
        model_reload: ModelReload[PoetLike] | None = None,
    ) -> None:
        super().__init__(queue.jobs)
        self._queue = queue
        self._batcher = Batcher(poet)
        self._lease = lease
        self._batch = batch
        self._model_reload = model_reload
        self._throughput = Throughput()
        self._published = time.monotonic()

    async def run(self) -> None:
        """Serve until ``stop`` is called; retries while Redis is unavailable.

        BrokenPoetError: nothing can be written here any more; the jobs in flight are left to other workers.
        """
        await self._persist(self._queue.prepare)
        if self._model_reload is not None:
            await self._persist(self._model_reload.publish)
            await self._persist(self._reload_model)
        beat, renew = (min(2.0, self._lease), self._beat), (self._lease / 3, self._renew_leases)
        async with self._consuming(beat, renew, (MODEL_POLL_SECONDS, self._watch_models)):
            try:
                while not self._stopping.is_set():
                    self._batcher.raise_if_broken()
                    await self._persist(self._take)
                await self._finish_in_flight(JOB_DRAIN_SECONDS)
            finally:
                self._batcher.close()

    async def _leave(self) -> None:
        await self._queue.workers.leave(self.name)
        if self._model_reload is not None:
            await self._queue.models.leave(self.name)
        await super()._leave()

    async def _take(self) -> None:
        """Reclaim one job of a dead worker, if there is one, and run it alone; then take new jobs up to the limit.

        A reclaimed job may have crashed its last worker, so it is claimed, and the attempt counted, only when nothing
        else is in flight. Of several busy workers, one at a time stops taking new jobs to become free for it.
        """
        orphan = None
        if not self._in_flight:
            orphan = await self._queue.jobs.reclaim(self.name, self._lease)
            if orphan is not None:
                self._begin(orphan)
                while self._in_flight and not self._stopping.is_set():
                    await self._wait_for_one()
                await self._queue.locks.release(_RECLAIM_LOCK)
                if self._stopping.is_set():
                    return
        elif len(self._in_flight) >= self._batch or await self._drains_to_reclaim():
            await self._wait_for_one()
            return
        wait = 0 if orphan else min(JOB_READ_SECONDS, self._lease)
        for delivery in await self._queue.jobs.take(self.name, self._batch - len(self._in_flight), wait):
            self._begin(delivery)

    async def _drains_to_reclaim(self) -> bool:
        """Whether a job waits to be reclaimed and this is the worker that becomes free for it."""
        jobs = self._queue.jobs
        seconds = max(1.0, self._lease)
        return await jobs.orphaned(self._lease) and await self._queue.locks.acquire(_RECLAIM_LOCK, self.name, seconds)

    async def _wait_for_one(self) -> None:
        """Wait a moment for one of the jobs in flight; the last may have ended while Redis was being asked."""
        if self._in_flight:
            seconds = min(JOB_READ_SECONDS, self._lease)
            await asyncio.wait(self._in_flight, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _begin(self, delivery: Delivery) -> None:
        self._throughput.begin(idle=not self._in_flight)
        self._start(self._serve(delivery), delivery.id)

    async def _serve(self, delivery: Delivery) -> None:
        job = await self._decode_job(delivery)
        if job is None:
            return
        work = None
        answer: Poem | Examination | PoemError
        try:
            if isinstance(job.request, CheckRequest):
                answer = await asyncio.to_thread(self._batcher.poet.examine, job.request)
            else:
                answer, work = await self._write(job.request, delivery)
        except PoemError as refusal:
            answer = refusal
        except Exception as error:
            # Not finished: its lease expires, and it is reclaimed and run alone.
            log.error("failed: %s", origin(error), extra={"job": delivery.id})
            return
        reply = Reply(job.to, job.language, answer, job.request, delivery.id, work)
        done = await self._persist(partial(self._queue.jobs.finish, delivery.id, reply))
        outcome = answer.code if isinstance(answer, PoemError) else answer.form
        log.info("%s%s", outcome, "" if done else ", but another worker was first", extra={"job": delivery.id})

    async def _write(self, request: PoemRequest, delivery: Delivery) -> tuple[Poem, WorkDone]:
        began = time.monotonic()
        written = await self._batcher.write(request)
        wrote = time.monotonic() - began
        self._throughput.end()
        waited = max(0.0, await self._persist(self._queue.now) - wrote - delivery.queued)
        return written.poem, WorkDone(waited, wrote, written.together, written.characters)

    async def _decode_job(self, delivery: Delivery) -> Job | None:
        """The job, or None if it ends here: unreadable, out of attempts, or past its deadline."""
        try:
            job = Job.from_fields(delivery.fields)
        except CodecError as error:
            log.error("unreadable: %s", error, extra={"job": delivery.id})
            await self._persist(partial(self._queue.dead_letters.add, delivery, None, "unreadable"))
            return None
        if delivery.redeliveries > MAX_REDELIVERIES:
            log.error("dead letter after %d attempts alone", MAX_REDELIVERIES, extra={"job": delivery.id})
            await self._persist(
                partial(self._queue.dead_letters.add, delivery, job, f"failed {MAX_REDELIVERIES} times alone")
            )
            return None
        if job.overdue(await self._persist(self._queue.now)):
            log.warning("past its deadline", extra={"job": delivery.id})
            reply = Reply(job.to, job.language, deadline_error(), job.request, delivery.id)
            await self._persist(partial(self._queue.jobs.finish, delivery.id, reply))
            return None
        return job

    async def _renew_leases(self) -> None:
        await self._queue.jobs.renew(self.name, list(self._in_flight.values()))

    async def _reload_model(self) -> None:
        """Switch to the desired model, if it changed. Poems in progress are finished by the old one."""
        if self._model_reload is not None and (poet := await self._model_reload.poll()) is not None:
            self._batcher.poet = poet

    async def _watch_models(self) -> None:
        if self._model_reload is None:
            return
        before = self._model_reload.serving
        if time.monotonic() - self._published > PUBLISH_SECONDS:
            await self._model_reload.publish()  # repeated, because the server may have lost its data
            self._published = time.monotonic()
        await self._reload_model()
        if self._model_reload.serving != before:
            await self._queue.models.tell(self.name, self._model_reload.serving, self._beat_ttl)

    @property
    def _beat_ttl(self) -> int:
        return max(10, round(3 * self._lease))

    async def _beat(self) -> None:
        await self._queue.workers.beat(self.name, self._beat_ttl, self._throughput.seconds)
        if self._model_reload is not None:
            await self._queue.models.tell(self.name, self._model_reload.serving, self._beat_ttl)


ReloadFactory = Callable[[Queue], ModelReload[PoetLike]]


async def serve(load: Callable[[], PoetLike], settings: Settings, model_reload_for: ReloadFactory | None = None) -> int:
    """Load the poet, then work until SIGTERM or Ctrl-C. Returns the exit code; exceptions of ``load`` propagate."""
    stop = asked_to_stop()
    poet = await asyncio.to_thread(load)
    redis = connect(settings.redis_url)
    queue = Queue(redis, settings.key_prefix)
    worker = Worker(
        queue, poet, settings.lease, model_reload=None if model_reload_for is None else model_reload_for(queue)
    )
    log.info("worker %s is ready", worker.name)
    try:
        await run_until(stop, worker, redis, log)
    except BrokenPoetError as error:
        log.error("the poet cannot be used any more, and the worker ends: %s", error)
        return 1
    log.info("worker stopped")
    return 0


def main(load: Callable[[], PoetLike], settings: Settings, model_reload_for: ReloadFactory | None = None) -> int:
    """``python -m engine``. Exit code 0 after SIGTERM or Ctrl-C, 1 after BrokenPoetError; exceptions of ``load``
    propagate."""
    set_up(settings.log_level, settings.log_format)
    return asyncio.run(serve(load, settings, model_reload_for))
