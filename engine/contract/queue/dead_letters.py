"""Dead letters: jobs and replies that were given up, kept in the stream ``dead`` for an operator."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from engine.contract.codec import CodecError
from engine.contract.queue.clock import StoreClock
from engine.contract.queue.messages import Job, Reply, attempts_failed_error
from engine.contract.queue.stream import MAX_DEAD, Delivery, Stream, read_jobs

MAX_REDELIVERIES = 3
"""Redeliveries of a job before it becomes a dead letter."""

_RETRY = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'v', ARGV[2], 'body', ARGV[3])
return 1
"""


class DeadLetters:
    """Raises redis.exceptions.RedisError while Redis is unavailable."""

    def __init__(self, redis: Redis, prefix: str, jobs: Stream, replies: Stream, clock: StoreClock) -> None:
        self._redis = redis
        self._jobs = jobs
        self._replies = replies
        self._clock = clock
        self.key = f"{prefix}dead"
        self._retry = redis.register_script(_RETRY)

    async def jobs(self) -> list[tuple[str, Job | None, str]]:
        """The dead letters, oldest first: ID, job (None if it is a reply or unreadable), reason."""
        return await read_jobs(self._redis, self.key, MAX_DEAD)

    async def replies(self) -> dict[str, Reply]:
        """The dead letters that are replies which Telegram did not accept in time, by ID."""
        entries: Any = await self._redis.xrange(self.key, count=MAX_DEAD)
        replies = {}
        for entry, fields in entries:
            with contextlib.suppress(CodecError):
                replies[entry] = Reply.from_fields(fields)
        return replies

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
