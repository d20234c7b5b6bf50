"""Dead letters: jobs and replies that were given up, kept in the stream ``dead`` for an operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from redis.asyncio import Redis

from engine.contract.codec import CodecError, or_none
from engine.contract.queue.clock import StoreClock
from engine.contract.queue.messages import Job, Reply, attempts_failed_error
from engine.contract.queue.stream import MAX_DEAD, Delivery, Stream

MAX_REDELIVERIES = 3
"""Redeliveries of a job before it becomes a dead letter."""

_RETRY = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'v', ARGV[2], 'body', ARGV[3])
return 1
"""


class DeadLetter(NamedTuple):
    """``mail``: the job, or the reply that Telegram did not accept in time; None if it cannot be read. ``why``: the
    reason."""

    id: str
    mail: Job | Reply | None
    why: str


class DeadLetters:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str, jobs: Stream, replies: Stream, clock: StoreClock) -> None:
        self._redis = redis
        self._jobs = jobs
        self._replies = replies
        self._clock = clock
        self.key = f"{prefix}dead"
        self._retry = redis.register_script(_RETRY)

    async def letters(self) -> list[DeadLetter]:
        """The dead letters, oldest first."""
        entries: Any = await self._redis.xrange(self.key, count=MAX_DEAD)
        return [
            DeadLetter(entry, _mail(fields), fields.get("why", "").encode("utf-8", "replace").decode())
            for entry, fields in entries
        ]

    async def add(self, delivery: Delivery, job: Job | None, why: str) -> bool:
        """Move a job to the dead letters, with an apology to its sender."""
        reply = None if job is None else Reply(job.to, job.language, attempts_failed_error(), job.request, delivery.id)
        return await self._jobs.finish(delivery.id, reply, why)

    async def retry(self, entry: str, mail: Job | Reply, seconds: float = 0.0) -> bool:
        """Put a dead job, with ``seconds`` to its deadline, or a dead reply back into its stream; False if it is
        gone."""
        if isinstance(mail, Job):
            mail = replace(mail, deadline=await self._clock.now() + seconds)
        fields = mail.fields()
        keys = [self.key, self._jobs.key if isinstance(mail, Job) else self._replies.key]
        return bool(await self._retry(keys=keys, args=[entry, fields["v"], fields["body"]]))

    async def drop(self, entry: str) -> bool:
        """Delete a dead letter; False if there was none."""
        return bool(await self._redis.xdel(self.key, entry))


def _mail(fields: Mapping[str, str]) -> Job | Reply | None:
    try:
        return Job.from_fields(fields)
    except CodecError:
        return or_none("dead letter", lambda: Reply.from_fields(fields))
