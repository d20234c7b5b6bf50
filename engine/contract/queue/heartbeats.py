"""Heartbeats: a sorted set of the running programs of one kind, with the time until which each counts as alive."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

_BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""


class Heartbeats:
    """By the server's clock. Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self.key = key
        self._beat = redis.register_script(_BEAT)

    async def beat(self, name: str, ttl: int) -> None:
        """``name`` counts as alive for another ``ttl`` seconds."""
        await self._beat(keys=[self.key], args=[name, ttl])

    async def leave(self, name: str) -> None:
        await self._redis.zrem(self.key, name)

    async def names(self) -> list[str]:
        """The names that were alive at the last heartbeat of any of them."""
        names: Any = await self._redis.zrange(self.key, 0, -1)
        return list(names)

    async def alive(self) -> int:
        """How many are alive now."""
        seconds, _ = await self._redis.time()
        return int(await self._redis.zcount(self.key, f"({seconds}", "+inf"))
