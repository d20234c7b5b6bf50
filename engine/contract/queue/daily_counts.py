"""Counts of all bots per day, kept for a week."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

DAILY_COUNTS_TTL_SECONDS = 8 * 86_400


class DailyCounts:
    """One hash per day (UTC). Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def add(self, counted: Mapping[str, int]) -> None:
        """Add to today's numbers."""
        if not counted:
            return
        key = self._key(datetime.now(UTC))
        async with self._redis.pipeline(transaction=True) as pipe:
            for name, number in counted.items():
                pipe.hincrby(key, name, number)
            pipe.expire(key, DAILY_COUNTS_TTL_SECONDS)
            await pipe.execute()

    async def today(self) -> dict[str, int]:
        counts: Any = await self._redis.hgetall(self._key(datetime.now(UTC)))
        return {name: int(number) for name, number in counts.items() if number.isdecimal()}

    def _key(self, day: datetime) -> str:
        return f"{self._prefix}tally:{day:%Y-%m-%d}"
