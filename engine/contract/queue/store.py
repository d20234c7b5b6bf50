"""The queue between bot and workers: every stream, key, script and command that Redis sees.

Keys, all under one prefix; those in the second group carry a time to live:

    jobs:v1        stream   jobs; one stream per request version, so that no worker meets what it cannot read
    replies        stream   replies for Telegram
    dead           stream   dead letters, for an operator
    trainings, training…    retraining: see ``training.py``
    model, versions, …      which model serves: see ``models.py``
    cards, card:… …         poems behind buttons and links: see ``cards.py``
    languages, busy:… …     state of chats: see ``chats.py``

    http:PROCESS   stream   answers for the HTTP requests waiting in one bot process
    guards:…       hash     idempotency keys → entries; a hundred neighbouring updates share a hash
    tries:…        string   redeliveries of one entry
    minute: day: told:      counters of one sender, and whether they were told to slow down
    workers        zset     heartbeats; ``pace``: seconds per poem; ``skews``: clock differences
    probe          string   written to learn whether the server accepts writes
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from engine.contract.codec import CodecError, skip_unreadable
from engine.contract.poem import VERSION
from engine.contract.queue.cards import Cards
from engine.contract.queue.chats import Chats
from engine.contract.queue.clock import StoreClock
from engine.contract.queue.daily_counts import DailyCounts
from engine.contract.queue.heartbeats import Heartbeats
from engine.contract.queue.messages import Job, Reply, Waiter, attempts_failed_error
from engine.contract.queue.models import Models
from engine.contract.queue.stream import MAX_DEAD, WAITER_TTL, Delivery, Stream, is_entry, reply_stream
from engine.contract.queue.training import Trainings

DAY = 86_400
SEEN_TTL = 2 * DAY
"""Longer than the day for which Telegram repeats unconfirmed updates."""
PACE_TTL = 3600
MAX_REDELIVERIES = 3
"""Redeliveries of a job before it becomes a dead letter."""

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

_RETRY = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'v', ARGV[2], 'body', ARGV[3])
return 1
"""

_STATUS = """
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


@dataclass(frozen=True)
class Status:
    """``waiting``: unfinished jobs; ``workers``: alive; ``wait_seconds``: for one more job; ``dead``: dead letters;
    ``skew``: seconds that the clock of the worker that is farthest off is ahead of the server's."""

    waiting: int
    workers: int
    wait_seconds: int
    dead: int = 0
    skew: float = 0.0


def connect(url: str) -> Redis:
    """A client for ``redis://``, ``rediss://`` or ``unix://``.

    One silent retry replaces connections broken by a restart of the server (every command here may be repeated); longer
    outages are handled by the caller.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        decode_responses=True,
        encoding_errors="surrogateescape",  # invalid UTF-8 becomes lone surrogates, which ``codec`` refuses
        max_connections=64,
        socket_timeout=10.0,
        socket_connect_timeout=5.0,
        retry=Retry(ExponentialBackoff(cap=0.1, base=0.02), 1),
    )
    return Redis.from_pool(pool)


@dataclass(frozen=True)
class Queued:
    """A job not yet finished. ``position`` in the queue, from 1; 0: it is being written."""

    id: str
    job: Job
    position: int

    @property
    def since(self) -> float:
        """Unix seconds at which it was accepted, by the server's clock."""
        return int(self.id.partition("-")[0]) / 1000


class Queue:
    """Everything that bot and workers do in Redis. Raises redis.exceptions.RedisError while it is unavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self.clock = StoreClock(redis)
        self.jobs = Stream(redis, prefix, f"jobs:v{VERSION}", "workers")
        self.replies = Stream(redis, prefix, "replies", "bots")
        self._heartbeats = Heartbeats(redis, f"{prefix}workers")
        self.models = Models(redis, prefix, self._heartbeats)
        self.trainings = Trainings(redis, prefix)
        self.daily_counts = DailyCounts(redis, prefix)
        self.cards = Cards(redis, prefix)
        self.chats = Chats(redis, prefix)
        self._accept = redis.register_script(_ACCEPT)
        self._status = redis.register_script(_STATUS)
        self._retry = redis.register_script(_RETRY)

    async def now(self) -> float:
        """Unix seconds by the server's clock, as used for all deadlines."""
        return await self.clock.now()

    async def prepare(self) -> None:
        await self.jobs.prepare()
        await self.replies.prepare()

    async def submit(
        self,
        mail: Job | Reply,
        idempotency_key: str,
        sender: str = "",
        limits: Limits | None = None,
        capacity: int = 0,
        cost: int = 1,
    ) -> Verdict:
        """Accept a job, or a reply that needs no worker, once per ``idempotency_key``; durable when this returns.

        ``sender`` is held to ``limits``, of which this spends ``cost``; ``capacity`` bounds the stream's length
        (0: unbounded).
        """
        stream = self.jobs.key if isinstance(mail, Job) else self._prefix + reply_stream(mail.to)
        names = (f"minute:{sender}", f"day:{sender}", f"told:{sender}")
        limits = limits or Limits()
        fields, now = mail.fields(), await self.now()
        accepted, field = self._accepted_key(idempotency_key)
        kind, entry, wait = await self._accept(
            keys=[stream, accepted, *(self._prefix + name for name in names)],
            args=[
                field,
                fields["v"],
                fields["body"],
                _remembered(mail, now),
                limits.per_minute,
                limits.per_day,
                capacity,
                cost,
            ],
        )
        return Verdict(kind, entry, int(wait))

    async def abandon(self, idempotency_key: str) -> None:
        """End the job accepted under ``idempotency_key`` without an answer; harmless if there is none."""
        accepted, field = self._accepted_key(idempotency_key)
        entry: Any = await self._redis.hget(accepted, field)
        if entry:
            await self.jobs.finish(entry)
            await self._redis.hdel(accepted, field)

    def _accepted_key(self, idempotency_key: str) -> tuple[str, str]:
        """The hash of ``idempotency_key`` and its field; neighbouring keys share a hash to save memory."""
        return f"{self._prefix}guards:{idempotency_key[:-2]}", idempotency_key[-2:]

    async def beat(self, worker: str, ttl: int, pace: float | None = None) -> None:
        """``worker`` counts as alive for another ``ttl`` seconds; ``pace``: its recent seconds per poem."""
        await self._heartbeats.beat(worker, ttl)
        await self.now()
        async with self._redis.pipeline() as pipe:
            pipe.hset(f"{self._prefix}skews", worker, f"{self.clock.skew:.1f}")
            pipe.expire(f"{self._prefix}skews", PACE_TTL)
            await pipe.execute()
        if pace is not None:
            await self._redis.set(f"{self._prefix}pace", f"{pace:.4f}", ex=PACE_TTL)

    async def leave(self, worker: str) -> None:
        await self._heartbeats.leave(worker)
        await self._redis.hdel(f"{self._prefix}skews", worker)

    async def workers(self) -> list[str]:
        """The names of the workers alive at the last heartbeat of any of them."""
        return await self._heartbeats.names()

    async def probe(self) -> None:
        """Write a test value. RedisError: the server accepts no writes (memory or disk full, a replica), or is
        unavailable."""
        await self._redis.set(f"{self._prefix}probe", "1", ex=60)

    async def status(self) -> Status:
        keys = [
            self.jobs.key,
            self._heartbeats.key,
            f"{self._prefix}pace",
            f"{self._prefix}dead",
            f"{self._prefix}skews",
        ]
        waiting, workers, pace, dead, skew = await self._status(keys=keys, args=[])
        seconds = math.ceil((int(waiting) + 1) * max(0.0, _seconds(pace)) / max(1, int(workers)))
        return Status(int(waiting), int(workers), seconds, int(dead), _seconds(skew))

    async def overdue(self, grace: float, count: int = 100) -> list[tuple[str, Job]]:
        """Of the oldest ``count`` jobs, those whose deadline passed ``grace`` seconds ago."""
        found, now = await _jobs(self._redis, self.jobs.key, count), await self.now()
        return [(entry, job) for entry, job, _ in found if job is not None and job.overdue(now, grace)]

    async def line(self, count: int) -> list[Queued]:
        """The oldest ``count`` unfinished jobs, including those being written."""
        delivered = _number(await self.jobs.delivered())
        found: list[Queued] = []
        position = 0
        for entry, job, _ in await _jobs(self._redis, self.jobs.key, count):
            position += _number(entry) > delivered
            if job is not None:
                found.append(Queued(entry, job, position))
        return found

    async def unfinished(self, entry: str) -> bool:
        """Whether a job is waiting or being written."""
        return is_entry(entry) and bool(await self._redis.xrange(self.jobs.key, entry, entry))

    async def answers(self, process: str, block: float) -> list[Reply]:
        """Wait for answers to the HTTP requests of ``process`` and remove them, with their idempotency keys."""
        key = self._prefix + reply_stream(Waiter(process, ""))
        found: Any = await self._redis.xread({key: "0"}, block=max(1, int(block * 1000)))
        entries = [entry for _, entries in found or [] for entry in entries]
        read = [(fields, _readable(fields)) for _, fields in entries]
        replies = [reply for _, reply in read if reply is not None]
        if entries:
            accepted = [
                self._accepted_key(reply.to.idempotency_key) for reply in replies if isinstance(reply.to, Waiter)
            ]
            async with self._redis.pipeline() as pipe:
                pipe.xdel(key, *(entry for entry, _ in entries))
                for fields, reply in read:
                    if reply is None:
                        aside: Any = {**fields, "why": "an unreadable reply"}
                        pipe.xadd(f"{self._prefix}dead", aside, maxlen=MAX_DEAD)
                for accepted_key, field in accepted:
                    pipe.hdel(accepted_key, field)
                await pipe.execute()
        return replies

    async def dead_letters(self) -> list[tuple[str, Job | None, str]]:
        """The dead letters, oldest first: ID, job (None if it is a reply or unreadable), reason."""
        return await _jobs(self._redis, f"{self._prefix}dead", MAX_DEAD)

    async def dead_letter_replies(self) -> dict[str, Reply]:
        """The dead letters that are replies which Telegram did not accept in time, by ID."""
        found: Any = await self._redis.xrange(f"{self._prefix}dead", count=MAX_DEAD)
        replies = {}
        for entry, fields in found:
            with contextlib.suppress(CodecError):
                replies[entry] = Reply.from_fields(fields)
        return replies

    async def dead_letter(self, delivery: Delivery, job: Job | None, why: str) -> bool:
        """Move a job to the dead letters, with an apology to its sender."""
        reply = None if job is None else Reply(job.to, job.language, attempts_failed_error(), job.request, delivery.id)
        return await self.jobs.finish(delivery.id, reply, why)

    async def retry(self, entry: str, mail: Job | Reply, seconds: float = 0.0) -> bool:
        """Put a dead job, with ``seconds`` to its deadline, or a dead reply back into its stream; False if it is
        gone."""
        if isinstance(mail, Job):
            mail = replace(mail, deadline=await self.now() + seconds)
        fields = mail.fields()
        keys = [f"{self._prefix}dead", self.jobs.key if isinstance(mail, Job) else self.replies.key]
        return bool(await self._retry(keys=keys, args=[entry, fields["v"], fields["body"]]))

    async def drop(self, entry: str) -> bool:
        """Delete a dead letter; False if there was none."""
        return bool(await self._redis.xdel(f"{self._prefix}dead", entry))


def _seconds(text: str) -> float:
    """A number reported by a worker; 0 if it is not valid."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _number(entry: str) -> tuple[int, int]:
    """An entry's ID in a form that can be compared."""
    milliseconds, _, serial = entry.partition("-")
    return int(milliseconds), int(serial or 0)


def _remembered(mail: Job | Reply, now: float) -> int:
    """How long an idempotency key is remembered: that of an HTTP request as long as its answer may be awaited."""
    if isinstance(mail, Job) and isinstance(mail.to, Waiter):
        return WAITER_TTL + max(0, math.ceil(mail.deadline - now))
    return SEEN_TTL


async def _jobs(redis: Redis, key: str, count: int) -> list[tuple[str, Job | None, str]]:
    found: Any = await redis.xrange(key, count=count)
    jobs: list[tuple[str, Job | None, str]] = []
    for entry, fields in found:
        try:
            job = Job.from_fields(fields)
        except CodecError as error:
            skip_unreadable("job", error)
            job = None
        jobs.append((entry, job, fields.get("why", "").encode("utf-8", "replace").decode()))
    return jobs


def _readable(fields: Mapping[str, str]) -> Reply | None:
    try:
        return Reply.from_fields(fields)
    except CodecError as error:
        skip_unreadable("reply", error)
        return None
