"""Accepts requests from Telegram and HTTP: validates, applies limits, queues."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from bot.blocklist import Blocklist
from bot.views.messages import Language, error_html, message_text
from bot.views.refusals import busy, rate_limited
from engine.contract import PoemRequest, outline
from engine.contract.poem import MAX_CANDIDATES
from engine.contract.queue.acceptance import Limits, Verdict
from engine.contract.queue.messages import (
    Address,
    Chat,
    Job,
    Kind,
    PendingRequest,
    Reply,
    Request,
    no_worker_error,
)
from engine.contract.queue.store import Queue

log = logging.getLogger("bot.submission")

USUAL_LENGTH, USUAL_LINES, USUAL_CANDIDATES = 7, 8, 8
"""A 七律 with this many candidates costs 1, and so does one whose number of candidates the worker chooses."""
LOCAL_SENDER = "local"
"""A user of this machine itself, to whom limits do not apply."""


@dataclass(frozen=True)
class Submitter:
    """``seconds``: how long to wait for a poem; ``capacity``: how many jobs may wait."""

    queue: Queue
    blocklist: Blocklist
    limits: Limits
    seconds: float
    capacity: int

    async def submit(
        self,
        request: Request,
        to: Address,
        language: Language,
        idempotency_key: str,
        sender: str,
        cost: int | None = None,
    ) -> bool:
        """Queue a request; durable when this returns. False: limited, and the sender was already told to slow down.

        ``idempotency_key`` identifies the update or HTTP request, so that a repetition adds nothing. ``cost``: if
        already computed. An HTTP request always gets an answer: it is refused if no worker is alive, or if limited.
        Raises PoemError, and RedisError while Redis is unavailable.
        """
        over_http = isinstance(to, PendingRequest)
        if isinstance(request, PoemRequest):
            cost = cost_of(request) if cost is None else cost
            self.blocklist.check(request)
        else:
            request.lines()
        if over_http and (await self.queue.status()).workers == 0:
            raise no_worker_error()
        job = Job(request, to, language, await self.queue.now() + self.seconds, "" if over_http else sender)
        limits = self.limits_of(sender)
        verdict = await self.queue.submit(job, idempotency_key, sender, limits, self.capacity, cost or 1)
        if verdict.kind == "limited" or (verdict.kind == "silent" and over_http):
            raise rate_limited(verdict.wait)
        if verdict.kind == "busy":
            raise busy((await self.queue.status()).wait_seconds)
        if verdict.kind == "silent":
            return False
        log.info("%s", verdict.kind, extra={"job": verdict.id})
        return True

    def limits_of(self, sender: str) -> Limits:
        return Limits() if sender == LOCAL_SENDER else self.limits

    async def reply_text(
        self, html: str, to: Chat, language: Language, idempotency_key: str, sender: str, kind: Kind = "message"
    ) -> None:
        """Answer with a text, through the same durable stream and under the same limits as poems."""
        verdict = await self.submit_reply(Reply(to, language, html, kind=kind), idempotency_key, sender)
        if verdict.kind == "limited":
            html = error_html(rate_limited(verdict.wait), language)
            await self.reply_unlimited(html, to, language, idempotency_key)

    async def reply_unlimited(self, html: str, to: Chat, language: Language, idempotency_key: str) -> None:
        """Answer with a text that does not count against the sender's limits."""
        await self.queue.submit(Reply(to, language, html), idempotency_key)

    async def submit_reply(self, reply: Reply, idempotency_key: str, sender: str) -> Verdict:
        """Queue a reply that needs no worker, under the same limits as poems. The caller must tell the sender if it was
        refused."""
        return await self.queue.submit(reply, idempotency_key, sender, self.limits)

    async def cancel(self, chat: int, sender: str, language: Language) -> int:
        """End the jobs of ``sender`` in ``chat``, answering each; returns how many there were."""
        ended = 0
        for queued in await self.queue.oldest_jobs(self.capacity):
            to = queued.job.to
            if queued.job.sender == sender and isinstance(to, Chat) and to.chat == chat:
                reply = Reply(to, language, message_text("cancelled", language), queued.job.request, queued.id)
                ended += await self.queue.jobs.finish(queued.id, reply)
        return ended


def cost_of(request: PoemRequest) -> int:
    """What a poem counts against the limits: characters to write for all candidates, in units of a usual poem.
    PoemError: the request is invalid."""
    shape = outline(request)
    characters = (shape.line_length or USUAL_LENGTH) * (shape.lines or USUAL_LINES)
    # With a seed a worker writes the full number however busy it is; otherwise as many as it has time for.
    candidates = request.candidates or (USUAL_CANDIDATES if request.seed is None else MAX_CANDIDATES)
    return max(1, math.ceil(characters * candidates / (USUAL_LENGTH * USUAL_LINES * USUAL_CANDIDATES)))
