"""A Redis stream with one consumer group: take, renew, take over, finish."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from engine.contract.poem import VERSION
from engine.contract.queue.messages import Address, Reply, Waiter

WAITER_TTL = 120
"""Seconds that answers wait for the HTTP server of a bot process, which may be gone."""
TRIES_TTL = 86_400
MAX_DEAD = 10_000
MAX_DEAD_WORDS = 100
"""Names and values of an entry that are kept of it among the dead; one of ours has four."""
MAX_PENDING_SCANNED = 100
"""Entries of the dead that are looked at to choose one."""
IDLE_CONSUMER_MILLISECONDS = 3_600_000
"""Milliseconds after which a consumer that holds nothing is forgotten."""

# Takes over one entry whose holder let the lease run out, and counts that redeliveries delivery.
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

# Renews the leases that are still the consumer's own: who lost one must not take it back.
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

# Ends an entry once, whoever comes first; only that one adds the answer, or the dead entry.
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

# DELCONSUMER discards what the consumer holds, so only those that hold nothing may go.
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
    """An entry in hand. ``redeliveries``: 0 when new, else how often it was taken over from a dead holder."""

    id: str
    fields: Mapping[str, str]
    redeliveries: int = 0

    @property
    def queued(self) -> float:
        """Unix seconds at which it was put into the stream, by the server's clock."""
        return int(self.id.partition("-")[0]) / 1000


class Stream:
    """A stream with one consumer group: take, renew, take over, finish."""

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
        """Make stream and group; harmless where they are. Needed again after a server lost its data."""
        try:
            await self._redis.xgroup_create(self.key, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def take(self, consumer: str, count: int, block: float) -> list[Delivery]:
        """Up to ``count`` new entries, waiting at most ``block`` seconds (0: not at all) for the first."""
        milliseconds = max(1, int(block * 1000)) if block > 0 else None
        try:
            found: Any = await self._redis.xreadgroup(
                self.group, consumer, {self.key: ">"}, count=count, block=milliseconds
            )
        except ResponseError as error:
            await self._prepare_after(error)
            return []
        return [Delivery(entry, fields) for _, entries in found or [] for entry, fields in entries]

    async def orphaned(self, lease: float) -> bool:
        """Whether there is an entry whose holder has not renewed it for ``lease`` seconds."""
        try:
            pending: Any = await self._redis.xpending_range(
                self.key, self.group, min="-", max="+", count=1, idle=int(lease * 1000)
            )
        except ResponseError as error:
            await self._prepare_after(error)
            return False
        return bool(pending)

    async def reclaim(self, consumer: str, lease: float) -> Delivery | None:
        """One entry whose holder has not renewed it for ``lease`` seconds, or None."""
        while True:
            try:
                pending: Any = await self._redis.xpending_range(
                    self.key, self.group, min="-", max="+", count=MAX_PENDING_SCANNED, idle=int(lease * 1000)
                )
            except ResponseError as error:
                await self._prepare_after(error)
                return None
            if not pending:
                return None
            # The least tried first, or the oldest would be in hand whenever another worker dies, and be blamed for it.
            entry = min(pending, key=lambda one: int(one["times_delivered"]))["message_id"]
            claimed = await self._claim(
                keys=[self.key, self._tries(entry)], args=[self.group, consumer, int(lease * 1000), entry, TRIES_TTL]
            )
            if claimed:
                flat, count = claimed
                return Delivery(entry, dict(zip(flat[::2], flat[1::2], strict=True)), int(count))

    async def renew(self, consumer: str, ids: Sequence[str]) -> int:
        """Renew the leases of ``ids`` that ``consumer`` still holds; says how many those are."""
        return int(await self._renew(keys=[self.key], args=[self.group, consumer, *ids])) if ids else 0

    async def finish(self, entry: str, reply: Reply | None = None, why: str = "") -> bool:
        """End an entry and add its answer; False if someone else had ended it. ``why`` buries it as well."""
        body, ttl = (
            ("", 0) if reply is None else (reply.fields()["body"], WAITER_TTL if isinstance(reply.to, Waiter) else 0)
        )
        target = self.key if reply is None else self._prefix + reply_stream(reply.to)
        return bool(
            await self._finish(
                keys=[self.key, self._tries(entry), target, f"{self._prefix}dead"],
                args=[self.group, entry, VERSION, body, ttl, why, MAX_DEAD, MAX_DEAD_WORDS],
            )
        )

    async def length(self) -> int:
        """Entries not yet finished."""
        return int(await self._redis.xlen(self.key))

    async def held(self) -> int:
        """Entries in somebody's hands."""
        pending: Any = await self._redis.xpending(self.key, self.group)
        return int(pending["pending"])

    async def delivered(self) -> str:
        """The last entry that was handed out."""
        try:
            groups: Any = await self._redis.xinfo_groups(self.key)
        except ResponseError:  # there is no stream yet
            return "0-0"
        return next((str(group["last-delivered-id"]) for group in groups if group["name"] == self.group), "0-0")

    async def retire(self, consumer: str) -> None:
        """Forget ``consumer`` and long-idle others, each only if it holds nothing."""
        await self._retire(keys=[self.key], args=[self.group, consumer, IDLE_CONSUMER_MILLISECONDS])

    async def _prepare_after(self, error: ResponseError) -> None:
        if not str(error).startswith("NOGROUP"):
            raise error
        await self.prepare()

    def _tries(self, entry: str) -> str:
        return f"{self._prefix}tries:{self._name}:{entry}"


def is_entry(text: str) -> bool:
    """Whether it can be the id of an entry, which Redis answers anything else than by an error."""
    return re.fullmatch(r"[0-9]{1,15}-[0-9]{1,9}", text) is not None


def reply_stream(to: Address) -> str:
    """The stream, without the prefix, that leads to an address."""
    return f"http:{to.process}" if isinstance(to, Waiter) else "replies"
