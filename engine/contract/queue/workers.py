"""The workers that are alive, how fast they write, and what that means for a job that waits.

Keys: ``workers`` (zset, heartbeats), ``pace`` (seconds per poem), ``skews`` (hash, clock differences).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from redis.asyncio import Redis

from engine.contract.queue.clock import StoreClock
from engine.contract.queue.heartbeats import Heartbeats
from engine.contract.queue.stream import Stream

PACE_TTL_SECONDS = 3600

_READ_STATUS = """
local now = tonumber(redis.call('TIME')[1])
local alive = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf')
local skew = '0'
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf')) do
  local own = redis.call('HGET', KEYS[5], worker) or '0'
  if math.abs(tonumber(own) or 0) > math.abs(tonumber(skew)) then skew = own end
end
return {redis.call('XLEN', KEYS[1]), alive, redis.call('GET', KEYS[3]) or '0', redis.call('XLEN', KEYS[4]), skew}
"""


@dataclass(frozen=True)
class Status:
    """``waiting``: unfinished jobs; ``workers``: alive; ``wait_seconds``: for one more job; ``dead``: dead letters;
    ``skew``: seconds that the clock of the worker that is farthest off is ahead of the server's."""

    waiting: int
    workers: int
    wait_seconds: int
    dead: int = 0
    skew: float = 0.0


class Workers:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str, jobs: Stream, clock: StoreClock) -> None:
        self._redis = redis
        self._prefix = prefix
        self._jobs = jobs
        self._clock = clock
        self.heartbeats = Heartbeats(redis, f"{prefix}workers")
        self._status = redis.register_script(_READ_STATUS)

    async def beat(self, worker: str, ttl: int, pace: float | None = None) -> None:
        """``worker`` counts as alive for another ``ttl`` seconds; ``pace``: its recent seconds per poem."""
        await self.heartbeats.beat(worker, ttl)
        await self._clock.now()
        async with self._redis.pipeline() as pipe:
            pipe.hset(f"{self._prefix}skews", worker, f"{self._clock.skew:.1f}")
            pipe.expire(f"{self._prefix}skews", PACE_TTL_SECONDS)
            await pipe.execute()
        if pace is not None:
            await self._redis.set(f"{self._prefix}pace", f"{pace:.4f}", ex=PACE_TTL_SECONDS)

    async def leave(self, worker: str) -> None:
        await self.heartbeats.leave(worker)
        await self._redis.hdel(f"{self._prefix}skews", worker)

    async def status(self) -> Status:
        keys = [self._jobs.key, self.heartbeats.key, *(f"{self._prefix}{name}" for name in ("pace", "dead", "skews"))]
        waiting, workers, pace, dead, skew = await self._status(keys=keys, args=[])
        seconds = math.ceil((int(waiting) + 1) * max(0.0, _finite_number(pace)) / max(1, int(workers)))
        return Status(int(waiting), int(workers), seconds, int(dead), _finite_number(skew))


def _finite_number(text: str) -> float:
    """A number reported by a worker; 0 if it is not valid."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
