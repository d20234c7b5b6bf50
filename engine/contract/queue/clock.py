"""Redis' time, tracked by each process: all deadlines and ages use it, whatever the machine's clock says."""

from __future__ import annotations

import logging
import time

from redis.asyncio import Redis

log = logging.getLogger("clock")

MEASUREMENT_TTL_SECONDS = 10.0
"""How long a measurement is valid; in between, ``elapsed`` is added to it."""
MAX_SKEW_SECONDS = 2.0
"""A larger difference between the machine's clock and Redis' is logged as a warning."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed() -> float:
    """Monotonic seconds, including time in which the machine was suspended, which ``time.monotonic`` leaves out on
    Linux: leases expire and deadlines pass meanwhile.
    """
    return time.clock_gettime(_CLOCK)


class StoreClock:
    """Raises redis.exceptions.RedisError if Redis is unavailable and the last measurement is too old."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._measured: float | None = None
        self._offset = 0.0
        self._warned = False
        self.skew = 0.0
        """Seconds that this machine's clock is ahead of Redis', as last measured."""

    async def now(self) -> float:
        """Unix seconds by the server's clock."""
        if self._measured is None or elapsed() - self._measured > MEASUREMENT_TTL_SECONDS:
            await self._measure()
        return elapsed() + self._offset

    async def _measure(self) -> None:
        before = elapsed()
        seconds, micros = await self._redis.time()
        self._measured = elapsed()
        # The time in the answer was current at some moment between request and response.
        self._offset = seconds + micros / 1e6 - (before + self._measured) / 2
        self.skew = time.time() - (self._measured + self._offset)
        off = abs(self.skew) > MAX_SKEW_SECONDS
        if off and not self._warned:
            log.warning(
                "this machine's clock is %.0f s %s of Redis'; deadlines go by Redis', but set it right (NTP)",
                abs(self.skew),
                "ahead" if self.skew > 0 else "behind",
            )
        self._warned = off
