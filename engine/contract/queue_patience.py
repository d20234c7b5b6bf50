"""Waiting for a Redis that is gone: no crash, no busy loop, a log line an attempt."""

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

FIRST, LONGEST = 0.1, 5.0
"""Seconds between attempts, doubling from the first to the longest."""
FAREWELL = 4.0
"""Seconds that attempts go on after the program was asked to stop."""


async def patiently(attempt: Callable[[], Awaitable[T]], stopping: asyncio.Event) -> T:
    """Repeat ``attempt`` until Redis answers; RedisError only once ``stopping`` has been set for a while."""
    wait = FIRST
    asked: float | None = None
    while True:
        try:
            return await attempt()
        except RedisError as error:
            if stopping.is_set():
                asked = asked or time.monotonic()
                if time.monotonic() - asked >= FAREWELL:
                    raise
            log.warning("Redis: %s; next attempt in %.1f s", error, wait)
        with contextlib.suppress(TimeoutError):
            # Asked to stop, it may end its wait early but not turn into a busy loop.
            await (asyncio.sleep(min(wait, 1.0)) if stopping.is_set() else asyncio.wait_for(stopping.wait(), wait))
        wait = min(2 * wait, LONGEST)
