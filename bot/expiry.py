"""Ends overdue jobs with an apology, even if no worker is alive to do it."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from redis.exceptions import RedisError

from engine.contract.queue.messages import Reply, deadline_error, no_worker_error
from engine.contract.queue.retry import sleep_unless
from engine.contract.queue.store import Queue

log = logging.getLogger("bot.expiry")

SWEEP_SECONDS = 2.0


async def sweep(queue: Queue, grace: float) -> int:
    """End the jobs whose deadline passed ``grace`` seconds ago, including those that a worker is still writing; returns
    how many."""
    ended = 0
    jobs = await queue.overdue(grace)
    if jobs:
        apology = deadline_error() if (await queue.status()).workers else no_worker_error()
        for entry, job in jobs:
            ended += await queue.jobs.finish(entry, Reply(job.to, job.language, apology, job.request, entry))
    if ended:
        log.warning("%d overdue jobs ended", ended)
    return ended


async def end_overdue_jobs(queue: Queue, grace: float, stopping: asyncio.Event) -> None:
    """Sweep every two seconds while Redis is available, until ``stopping`` is set."""
    while not stopping.is_set():
        with contextlib.suppress(RedisError):
            await sweep(queue, grace)
        await sleep_unless(stopping, SWEEP_SECONDS)
