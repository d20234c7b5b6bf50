"""Retries while Redis is unavailable, with increasing pauses and a log line per attempt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import RedisError

log = logging.getLogger("queue")
T = TypeVar("T")

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 5.0
"""Pause between attempts, doubling from the first to the longest."""
STOP_RETRY_SECONDS = 4.0
"""How long attempts continue after the program was told to stop."""


async def retry_until_available(attempt: Callable[[], Awaitable[T]], stopping: asyncio.Event) -> T:
    """Repeat ``attempt`` until Redis answers. RedisError: ``stopping`` has been set for a while."""
    wait = FIRST_RETRY_SECONDS
    asked: float | None = None
    while True:
        try:
            return await attempt()
        except RedisError as error:
            if stopping.is_set():
                asked = asked or time.monotonic()
                if time.monotonic() - asked >= STOP_RETRY_SECONDS:
                    raise
            log.warning("Redis: %s; next attempt in %.1f s", error, wait)
        if stopping.is_set():
            await asyncio.sleep(min(wait, 1.0))
        else:
            await sleep_unless(stopping, wait)
        wait = min(2 * wait, MAX_RETRY_SECONDS)


async def sleep_unless(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, but wake up as soon as ``stopping`` is set."""
    # Not `wait_for`, which before Python 3.12 may swallow a cancellation that comes with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
