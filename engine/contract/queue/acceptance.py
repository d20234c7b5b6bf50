"""Accepting jobs and replies: each once per idempotency key, within its sender's limits and the queue's capacity.

Keys, all with a time to live: ``guards:…`` (hash, idempotency keys → entries; a hundred neighbouring updates share a
hash), ``minute:``, ``day:`` and ``told:`` (counters of one sender, and whether they were told to slow down).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis

from engine.contract.queue.clock import StoreClock
from engine.contract.queue.messages import Job, PendingRequest, Reply
from engine.contract.queue.stream import HTTP_REPLY_TTL_SECONDS

DAY_SECONDS = 86_400
SEEN_TTL_SECONDS = 2 * DAY_SECONDS
"""Longer than the day for which Telegram repeats unconfirmed updates."""

# In one step: checks for a duplicate, the sender's limits and the queue's capacity, then adds the entry and remembers
# its idempotency key. A sender with any budget left may overspend it once, and then waits proportionally longer.
_ACCEPT = """
local stream, accepted, minute, day, told = unpack(KEYS)
local idempotency_key, version, body, ttl, per_minute, per_day, capacity, cost = unpack(ARGV)
local before = redis.call('HGET', accepted, idempotency_key)
if before then return {'duplicate', before, 0} end
local wait = 0
local function count(key, limit)
  if tonumber(limit) > 0 and tonumber(redis.call('GET', key) or '0') >= tonumber(limit) then
    wait = math.max(wait, 1, redis.call('TTL', key))
  end
end
count(minute, per_minute)
count(day, per_day)
if wait > 0 then
  if redis.call('SET', told, '1', 'NX', 'EX', wait) then return {'limited', '', wait} end
  return {'silent', '', wait}
end
if tonumber(capacity) > 0 and redis.call('XLEN', stream) >= tonumber(capacity) then return {'busy', '', 0} end
local function charge(key, limit, ttl)
  limit = tonumber(limit)
  if limit <= 0 then return end
  local spent = redis.call('INCRBY', key, cost)
  if spent == tonumber(cost) or spent > limit then
    redis.call('EXPIRE', key, math.ceil(ttl * math.max(1, spent / limit)))
  end
end
charge(minute, per_minute, 60)
charge(day, per_day, 86400)
local id = redis.call('XADD', stream, '*', 'v', version, 'body', body)
redis.call('HSET', accepted, idempotency_key, id)
redis.call('EXPIRE', accepted, ttl)
return {'accepted', id, 0}
"""


@dataclass(frozen=True)
class Limits:
    """How many commands, at the cost of a usual poem, a sender may give per minute and day; 0: no limit."""

    per_minute: int = 0
    per_day: int = 0


@dataclass(frozen=True)
class Verdict:
    """The outcome of a submission. ``wait``: seconds until a limited sender may try again.

    ``limited`` is returned once per period, ``silent`` afterwards. ``id``: the entry, also for a duplicate.
    """

    kind: Literal["accepted", "duplicate", "limited", "silent", "busy"]
    id: str
    wait: int


class Acceptance:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str, clock: StoreClock) -> None:
        self._redis = redis
        self._prefix = prefix
        self._clock = clock
        self._accept = redis.register_script(_ACCEPT)

    async def accept(
        self,
        stream: str,
        mail: Job | Reply,
        idempotency_key: str,
        sender: str,
        limits: Limits,
        capacity: int,
        cost: int,
    ) -> Verdict:
        """Add ``mail`` to ``stream``; see ``Queue.submit``."""
        accepted, field = self.hash_and_field(idempotency_key)
        counters = (f"{self._prefix}{counter}:{sender}" for counter in ("minute", "day", "told"))
        entry, ttl = mail.fields(), _ttl_seconds(mail, await self._clock.now())
        kind, entry_id, wait = await self._accept(
            keys=[stream, accepted, *counters],
            args=[field, entry["v"], entry["body"], ttl, limits.per_minute, limits.per_day, capacity, cost],
        )
        return Verdict(kind, entry_id, int(wait))

    async def entry(self, idempotency_key: str) -> str | None:
        """The entry accepted under a key; None: nothing was, or it is forgotten."""
        accepted, field = self.hash_and_field(idempotency_key)
        entry: Any = await self._redis.hget(accepted, field)
        return entry or None

    async def forget(self, idempotency_key: str) -> None:
        accepted, field = self.hash_and_field(idempotency_key)
        await self._redis.hdel(accepted, field)

    def hash_and_field(self, idempotency_key: str) -> tuple[str, str]:
        """The hash of a key and its field there; neighbouring keys share a hash to save memory."""
        return f"{self._prefix}guards:{idempotency_key[:-2]}", idempotency_key[-2:]


def _ttl_seconds(mail: Job | Reply, now: float) -> int:
    """Seconds to remember an idempotency key: for an HTTP request, as long as its answer may be awaited."""
    if isinstance(mail, Job) and isinstance(mail.to, PendingRequest):
        return HTTP_REPLY_TTL_SECONDS + max(0, math.ceil(mail.deadline - now))
    return SEEN_TTL_SECONDS
