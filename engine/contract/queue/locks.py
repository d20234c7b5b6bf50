"""Locks in Redis that expire by themselves."""

from __future__ import annotations

from redis.asyncio import Redis

_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class Locks:
    """One lock per name. Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._acquire = redis.register_script(_ACQUIRE)

    async def acquire(self, name: str, holder: str, seconds: float) -> bool:
        """Take or extend a lock for ``seconds``; False if another holder has it."""
        return bool(await self._acquire(keys=[self._prefix + name], args=[holder, max(1, int(seconds * 1000))]))

    async def release(self, name: str) -> None:
        await self._redis.delete(self._prefix + name)
