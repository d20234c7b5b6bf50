"""A Redis stream with one consumer group: take, renew, reclaim, finish."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from engine.contract.codec import or_none
from engine.contract.poem import VERSION
from engine.contract.queue.messages import Address, Job, PendingRequest, Reply

HTTP_REPLY_TTL_SECONDS = 120
"""How long answers are kept for the HTTP server of a bot process, which may be gone."""
TRIES_TTL_SECONDS = 86_400
MAX_DEAD = 10_000
MAX_DEAD_WORDS = 100
"""How many field names and values of an entry are kept in its dead letter; this program's entries have four."""
MAX_PENDING_SCANNED = 100
"""How many reclaimable entries are considered when one is chosen."""
IDLE_CONSUMER_MILLISECONDS = 3_600_000
"""Idle time after which a consumer without pending entries is deleted."""

# Claims one entry whose lease has expired, and counts the redelivery.
_CLAIM = """
local stream, tries = unpack(KEYS)
local group, consumer, lease, id, ttl = unpack(ARGV)
local claimed = redis.call('XCLAIM', stream, group, consumer, lease, id)
if not claimed[1] then
  if #redis.call('XRANGE', stream, id, id) == 0 then redis.call('XACK', stream, group, id) end
  return false
end
local count = redis.call('INCR', tries)
redis.call('EXPIRE', tries, ttl)
return {claimed[1][2], count}
"""

# Renews only the leases that the consumer still has: a lost one must not be taken back.
_RENEW = """
local stream = KEYS[1]
local group, consumer = ARGV[1], ARGV[2]
local kept = 0
for i = 3, #ARGV do
  if #redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer) > 0 then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'JUSTID')
    kept = kept + 1
  end
end
return kept
"""

# Finishes an entry once: only the first caller adds the answer or the dead letter.
_FINISH = """
local stream, tries, target, dead = unpack(KEYS)
local group, id, version, body, ttl, why, max_dead, max_words = unpack(ARGV)
redis.call('XACK', stream, group, id)
redis.call('DEL', tries)
local entry = redis.call('XRANGE', stream, id, id)
if #entry == 0 then return 0 end
redis.call('XDEL', stream, id)
if why ~= '' then
  local words = entry[1][2]
  redis.call('XADD', dead, 'MAXLEN', '~', max_dead, '*', 'why', why, unpack(words, 1, math.min(#words, max_words)))
end
if body ~= '' then
  redis.call('XADD', target, '*', 'v', version, 'body', body)
  if tonumber(ttl) > 0 then redis.call('EXPIRE', target, ttl) end
end
return 1
"""

# DELCONSUMER discards pending entries, so only consumers without any are deleted.
_RETIRE = """
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = {}
  for i = 1, #flat, 2 do c[flat[i]] = flat[i + 1] end
  if c.pending == 0 and (c.name == ARGV[2] or c.idle > tonumber(ARGV[3])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c.name)
  end
end
"""


@dataclass(frozen=True)
class Delivery:
    """A delivered entry. ``redeliveries``: how often it was reclaimed from a dead consumer; 0: new."""

    id: str
    fields: Mapping[str, str]
    redeliveries: int = 0

    @property
    def queued(self) -> float:
        """When it was added to the stream, in Unix seconds by the server's clock."""
        return int(self.id.partition("-")[0]) / 1000


class Stream:
    """A stream with one consumer group: take, renew, reclaim, finish."""

    def __init__(self, redis: Redis, prefix: str, name: str, group: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._name = name
        self.key = prefix + name
        self.group = group
        self._claim = redis.register_script(_CLAIM)
        self._renew = redis.register_script(_RENEW)
        self._finish = redis.register_script(_FINISH)
        self._retire = redis.register_script(_RETIRE)

    async def prepare(self) -> None:
        """Create stream and group if they do not exist. Needed again after the server lost its data."""
        try:
            await self._redis.xgroup_create(self.key, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def take(self, consumer: str, count: int, block: float) -> list[Delivery]:
        """Up to ``count`` new entries, waiting up to ``block`` seconds (0: not at all) for the first."""
        milliseconds = max(1, int(block * 1000)) if block > 0 else None
        try:
            response: Any = await self._redis.xreadgroup(
                self.group, consumer, {self.key: ">"}, count=count, block=milliseconds
            )
        except ResponseError as error:
            await self._prepare_after(error)
            return []
        return [Delivery(entry, fields) for _, entries in response or [] for entry, fields in entries]

    async def orphaned(self, lease: float) -> bool:
        """Whether an entry's lease was not renewed for ``lease`` seconds."""
        return bool(await self._pending(lease, 1))

    async def reclaim(self, consumer: str, lease: float) -> Delivery | None:
        """Claim one entry whose lease was not renewed for ``lease`` seconds, if there is one."""
        while pending := await self._pending(lease, MAX_PENDING_SCANNED):
            # The least delivered first; otherwise the oldest would be in flight at every crash and use up its attempts.
            entry = min(pending, key=lambda one: int(one["times_delivered"]))["message_id"]
            claimed = await self._claim(
                keys=[self.key, self._tries(entry)],
                args=[self.group, consumer, int(lease * 1000), entry, TRIES_TTL_SECONDS],
            )
            if claimed:
                flat, count = claimed
                return Delivery(entry, dict(zip(flat[::2], flat[1::2], strict=True)), int(count))
        return None

    async def _pending(self, lease: float, count: int) -> list[Any]:
        """Up to ``count`` entries whose lease was not renewed for ``lease`` seconds."""
        try:
            response: Any = await self._redis.xpending_range(
                self.key, self.group, min="-", max="+", count=count, idle=int(lease * 1000)
            )
        except ResponseError as error:
            await self._prepare_after(error)
            return []
        return list(response)

    async def renew(self, consumer: str, ids: Sequence[str]) -> int:
        """Renew the leases of ``ids`` that ``consumer`` still has; returns how many those are."""
        return int(await self._renew(keys=[self.key], args=[self.group, consumer, *ids])) if ids else 0

    async def finish(self, entry: str, reply: Reply | None = None, why: str = "") -> bool:
        """Finish an entry and add its answer; False if it was already finished. ``why``: also make it a dead letter."""
        target, body, ttl = self.key, "", 0  # without a reply nothing is added to the target
        if reply is not None:
            target, body = self._prefix + reply_stream(reply.to), reply.fields()["body"]
            ttl = HTTP_REPLY_TTL_SECONDS if isinstance(reply.to, PendingRequest) else 0
        keys = [self.key, self._tries(entry), target, f"{self._prefix}dead"]
        args: list[str | int] = [self.group, entry, VERSION, body, ttl, why, MAX_DEAD, MAX_DEAD_WORDS]
        return bool(await self._finish(keys=keys, args=args))

    async def length(self) -> int:
        """Number of unfinished entries."""
        return int(await self._redis.xlen(self.key))

    async def held(self) -> int:
        """Number of entries delivered to a consumer and not yet finished."""
        pending: Any = await self._redis.xpending(self.key, self.group)
        return int(pending["pending"])

    async def delivered(self) -> str:
        """The last delivered entry."""
        try:
            groups: Any = await self._redis.xinfo_groups(self.key)
        except ResponseError:  # the stream does not exist yet
            return "0-0"
        return next((str(group["last-delivered-id"]) for group in groups if group["name"] == self.group), "0-0")

    async def retire(self, consumer: str) -> None:
        """Delete ``consumer`` and long-idle others, each only if it has no pending entries."""
        await self._retire(keys=[self.key], args=[self.group, consumer, IDLE_CONSUMER_MILLISECONDS])

    async def _prepare_after(self, error: ResponseError) -> None:
        if not str(error).startswith("NOGROUP"):
            raise error
        await self.prepare()

    def _tries(self, entry: str) -> str:
        return f"{self._prefix}tries:{self._name}:{entry}"


def is_entry(text: str) -> bool:
    """Whether ``text`` has the form of an entry's ID; to any other, Redis would answer with an error."""
    return re.fullmatch(r"[0-9]{1,15}-[0-9]{1,9}", text) is not None


def reply_stream(to: Address) -> str:
    """The stream, without the prefix, for replies to an address."""
    return f"http:{to.process}" if isinstance(to, PendingRequest) else "replies"


async def read_jobs(redis: Redis, key: str, count: int) -> list[tuple[str, Job | None]]:
    """The oldest ``count`` entries of a stream: ID, job (None: unreadable)."""
    response: Any = await redis.xrange(key, count=count)
    return [(entry, or_none("job", partial(Job.from_fields, fields))) for entry, fields in response]
