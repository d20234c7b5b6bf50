"""The queue between bot and workers: every stream, key, script and command that Redis sees.

Keys, all under one prefix; those in the second group carry a time to live:

    jobs:v1        stream   jobs; one stream per request version, so that no worker meets what it cannot read
    replies        stream   replies for Telegram
    dead           stream   dead letters: see ``dead_letters.py``
    trainings, training…    retraining: see ``training.py``
    model, versions, …      which model serves: see ``models.py``
    cards, card:… …         poems behind buttons and links: see ``cards.py``
    languages, notice:… …   state of chats: see ``chats.py``

    http:PROCESS   stream   answers for the HTTP requests waiting in one bot process
    guards:… minute: …      idempotency keys and counters of senders: see ``acceptance.py``
    busy:…         string   locks of the buttons of a message, and of the worker that becomes free to reclaim a job
    tries:…        string   redeliveries of one entry
    workers, pace, skews    the workers alive: see ``workers.py``
    probe          string   written to learn whether the server accepts writes
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from engine.contract.codec import or_none
from engine.contract.poem import VERSION
from engine.contract.queue.acceptance import Acceptance, Limits, Verdict
from engine.contract.queue.cards import Cards
from engine.contract.queue.chats import Chats
from engine.contract.queue.client import Client
from engine.contract.queue.clock import StoreClock
from engine.contract.queue.daily_counts import DailyCounts
from engine.contract.queue.dead_letters import DeadLetters
from engine.contract.queue.locks import Locks
from engine.contract.queue.messages import Job, PendingRequest, Reply
from engine.contract.queue.models import Models
from engine.contract.queue.stream import MAX_DEAD, Stream, is_entry, read_jobs, reply_stream
from engine.contract.queue.training import Trainings
from engine.contract.queue.workers import Status, Workers


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
    return Client.from_pool(pool)


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
        self.dead_letters = DeadLetters(redis, prefix, self.jobs, self.replies, self.clock)
        self.workers = Workers(redis, prefix, self.jobs, self.clock)
        self.models = Models(redis, prefix, self.workers.heartbeats)
        self.trainings = Trainings(redis, prefix)
        self.daily_counts = DailyCounts(redis, prefix)
        self.cards = Cards(redis, prefix)
        self.chats = Chats(redis, prefix)
        self.locks = Locks(redis, f"{prefix}busy:")
        self._acceptance = Acceptance(redis, prefix, self.clock)

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
        return await self._acceptance.accept(stream, mail, idempotency_key, sender, limits or Limits(), capacity, cost)

    async def abandon(self, idempotency_key: str) -> None:
        """End the job accepted under ``idempotency_key`` without an answer; harmless if there is none."""
        if entry := await self._acceptance.entry(idempotency_key):
            await self.jobs.finish(entry)
            await self._acceptance.forget(idempotency_key)

    async def status(self) -> Status:
        return await self.workers.status()

    async def probe(self) -> None:
        """Write a test value. RedisError: the server accepts no writes (memory or disk full, a replica), or is
        unavailable."""
        await self._redis.set(f"{self._prefix}probe", "1", ex=60)

    async def overdue(self, grace: float, count: int = 100) -> list[tuple[str, Job]]:
        """Of the oldest ``count`` jobs, those whose deadline passed ``grace`` seconds ago."""
        oldest, now = await read_jobs(self._redis, self.jobs.key, count), await self.now()
        return [(entry, job) for entry, job in oldest if job is not None and job.overdue(now, grace)]

    async def oldest_jobs(self, count: int) -> list[Queued]:
        """The oldest ``count`` unfinished jobs, including those being written."""
        delivered = _comparable(await self.jobs.delivered())
        queued: list[Queued] = []
        position = 0
        for entry, job in await read_jobs(self._redis, self.jobs.key, count):
            position += _comparable(entry) > delivered
            if job is not None:
                queued.append(Queued(entry, job, position))
        return queued

    async def unfinished(self, entry: str) -> bool:
        """Whether a job is waiting or being written."""
        return is_entry(entry) and bool(await self._redis.xrange(self.jobs.key, entry, entry))

    async def answers(self, process: str, block: float) -> list[Reply]:
        """Wait for answers to the HTTP requests of ``process`` and remove them, with their idempotency keys."""
        key = self._prefix + reply_stream(PendingRequest(process, ""))
        response: Any = await self._redis.xread({key: "0"}, block=max(1, int(block * 1000)))
        entries = [entry for _, entries in response or [] for entry in entries]
        read = [(fields, or_none("reply", partial(Reply.from_fields, fields))) for _, fields in entries]
        replies = [reply for _, reply in read if reply is not None]
        if entries:
            accepted = [
                self._acceptance.hash_and_field(reply.to.idempotency_key)
                for reply in replies
                if isinstance(reply.to, PendingRequest)
            ]
            async with self._redis.pipeline() as pipe:
                pipe.xdel(key, *(entry for entry, _ in entries))
                for fields, reply in read:
                    if reply is None:
                        dead: Any = {**fields, "why": "an unreadable reply"}
                        pipe.xadd(self.dead_letters.key, dead, maxlen=MAX_DEAD)
                for accepted_key, field in accepted:
                    pipe.hdel(accepted_key, field)
                await pipe.execute()
        return replies


def _comparable(entry: str) -> tuple[int, int]:
    """An entry's ID in a form that can be compared."""
    milliseconds, _, serial = entry.partition("-")
    return int(milliseconds), int(serial or 0)
