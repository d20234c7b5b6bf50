"""The worker: take a batch, write it, finish it. The poet is handed in; Redis is the only other thing it knows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from redis.exceptions import RedisError

from engine.contract import CodecError, Poem, PoemError, PoemRequest
from engine.contract.logs import set_up
from engine.contract.queue import MAX_LONELY, Queue, connect
from engine.contract.queue_mail import Job, Reply, too_late
from engine.contract.queue_patience import patiently, sleep_unless
from engine.contract.queue_stream import Delivery
from engine.contract.settings import Settings
from engine.renewal import EVERY, Renewal

log = logging.getLogger("engine.worker")
T = TypeVar("T")

BATCH = 32
"""Jobs written together at most."""
BURST = 0.01
"""Seconds given to the rest of a burst: the first read after a pause brings a single job."""
IDLE = 0.5
"""Seconds a read waits for work, and so how often an idle worker looks for jobs of the dead."""


class PoetLike(Protocol):
    """Writes poems; blocks while it does. An answer a request, in their order; a bad one harms no other."""

    def write_each(self, requests: Sequence[PoemRequest]) -> list[Poem | PoemError]: ...


class Worker:
    """One consumer of the queue. ``lease``: seconds after which others may take its jobs, if it falls silent.

    ``renewal`` brings another poet when another model is wished for; without it the poet stays.
    """

    def __init__(
        self,
        queue: Queue,
        poet: PoetLike,
        lease: float,
        batch: int = BATCH,
        renewal: Renewal[PoetLike] | None = None,
    ) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._queue = queue
        self._poet = poet
        self._lease = lease
        self._batch = batch
        self._renewal = renewal
        self._pace: float | None = None
        self._stopping = asyncio.Event()
        self._gone = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, take no other."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until ``stop``; an absent Redis is waited for."""
        await self._persist(self._queue.prepare)
        if self._renewal is not None:
            await self._persist(self._renewal.publish)
            await self._persist(self._renew_poet)
        beside = [asyncio.create_task(self._beat()), asyncio.create_task(self._watch_models())]
        try:
            while not self._stopping.is_set():
                await self._persist(self.step)
        finally:
            # Cancelled as well, for a quick end; but a library under it may swallow that.
            self._gone.set()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            with contextlib.suppress(RedisError):
                await self._queue.leave(self.name)
                if self._renewal is not None:
                    await self._renewal.leave(self.name)
                await self._queue.jobs.retire(self.name)

    async def step(self) -> None:
        """One job of a dead worker by itself, if there is one; then a batch of new ones, if there are any."""
        orphan = await self._queue.jobs.take_over(self.name, self._lease)
        if orphan is not None:
            await self._serve([orphan])
            if self._stopping.is_set():
                return
        batch = await self._queue.jobs.take(self.name, self._batch, 0 if orphan else min(IDLE, self._lease))
        if batch and len(batch) < self._batch:
            await asyncio.sleep(BURST)
            with contextlib.suppress(RedisError):
                batch += await self._queue.jobs.take(self.name, self._batch - len(batch), 0)
        await self._serve(batch)

    async def _serve(self, batch: Sequence[Delivery]) -> None:
        with self._leased([delivery.id for delivery in batch]):
            jobs = [(delivery, job) for delivery in batch if (job := await self._readable(delivery)) is not None]
            if not jobs:
                return
            started = time.monotonic()
            try:
                poems = await asyncio.to_thread(self._poet.write_each, [job.request for _, job in jobs])
            except Exception:
                # Left unfinished: their leases run out, and each comes back alone.
                log.exception("a batch of %d failed: %s", len(jobs), " ".join(delivery.id for delivery, _ in jobs))
                return
            seconds = time.monotonic() - started
            self._pace = seconds / len(jobs)
            # Together, so that a server that writes to disk before it answers does so once and not once a poem.
            await asyncio.gather(
                *(self._finish(d, job, poem) for (d, job), poem in zip(jobs, poems, strict=True)),
            )
            log.info("%d written in %.2f s", len(jobs), seconds)

    async def _finish(self, delivery: Delivery, job: Job, poem: Poem | PoemError) -> None:
        reply = Reply(job.to, job.language, poem, job.request, delivery.id)
        done = await self._persist(partial(self._queue.jobs.finish, delivery.id, reply))
        outcome = poem.code if isinstance(poem, PoemError) else poem.form
        log.info("%s%s", outcome, "" if done else ", but someone else was first", extra={"job": delivery.id})

    async def _readable(self, delivery: Delivery) -> Job | None:
        """The job, unless it ends here: unreadable, given up or too late."""
        try:
            job = Job.from_fields(delivery.fields)
        except CodecError as error:
            log.error("unreadable: %s", error, extra={"job": delivery.id})
            await self._persist(partial(self._queue.bury, delivery, None, "unreadable"))
            return None
        if delivery.lonely > MAX_LONELY:
            log.error("given up after %d attempts alone", MAX_LONELY, extra={"job": delivery.id})
            await self._persist(partial(self._queue.bury, delivery, job, f"failed {MAX_LONELY} times alone"))
            return None
        if job.overdue():
            log.warning("past its deadline", extra={"job": delivery.id})
            reply = Reply(job.to, job.language, too_late(), job.request, delivery.id)
            await self._persist(partial(self._queue.jobs.finish, delivery.id, reply))
            return None
        return job

    @contextlib.contextmanager
    def _leased(self, ids: Sequence[str]) -> Iterator[None]:
        task = asyncio.create_task(self._renew(ids)) if ids else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()

    async def _renew(self, ids: Sequence[str]) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            with contextlib.suppress(RedisError):
                await self._queue.jobs.renew(self.name, ids)

    async def _renew_poet(self) -> None:
        """A batch in hand keeps the poet it began with; the next one has the new."""
        if self._renewal is not None and (poet := await self._renewal.look()) is not None:
            self._poet = poet

    async def _watch_models(self) -> None:
        while self._renewal is not None and not self._gone.is_set():
            before = self._renewal.serving
            with contextlib.suppress(RedisError):
                await self._renew_poet()
                if self._renewal.serving != before:
                    await self._renewal.tell(self.name, self._beat_ttl)
            await sleep_unless(self._gone, EVERY)

    @property
    def _beat_ttl(self) -> int:
        return max(10, round(3 * self._lease))

    async def _beat(self) -> None:
        while not self._gone.is_set():
            with contextlib.suppress(RedisError):
                await self._queue.beat(self.name, self._beat_ttl, self._pace)
                if self._renewal is not None:
                    await self._renewal.tell(self.name, self._beat_ttl)
            await sleep_unless(self._gone, min(2.0, self._lease))

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await patiently(attempt, self._stopping)


Renewing = Callable[[Queue], Renewal[PoetLike]]


async def serve(load: Callable[[], PoetLike], settings: Settings, renewing: Renewing | None = None) -> int:
    """Load the poet, then work until SIGTERM or Ctrl-C. Returns the exit code; errors of ``load`` pass through."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    poet = await asyncio.to_thread(load)
    redis = connect(settings.redis_url)
    queue = Queue(redis, settings.key_prefix)
    worker = Worker(queue, poet, settings.lease, renewal=None if renewing is None else renewing(queue))
    log.info("worker %s is ready", worker.name)
    running = asyncio.create_task(worker.run())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await running
    except RedisError as error:
        log.error("stopped without Redis: %s", error)
    finally:
        stopped.cancel()
        await redis.aclose()
    log.info("worker stopped")
    return 0


def main(load: Callable[[], PoetLike], settings: Settings, renewing: Renewing | None = None) -> int:
    """``python -m engine``: exit 0 after SIGTERM or Ctrl-C; what ``load`` raises is the caller's to explain."""
    set_up(settings.log_level, settings.log_format)
    return asyncio.run(serve(load, settings, renewing))
