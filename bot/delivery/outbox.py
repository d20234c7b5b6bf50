"""Sends replies: reads them from their stream, sends them, and only then acknowledges them.

A crash between sending and acknowledging sends a message twice, but none is lost: replies that Telegram does not accept
before their deadline, and unreadable ones, become dead letters. Each chat has its own queue, so that one that must wait
does not delay the others. A reply whose lease this bot lost, because it was stalled, is not sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial

from redis.exceptions import RedisError

from bot.delivery.packer import Packer
from bot.delivery.sender import Sender
from bot.metrics import Metrics
from engine.contract import CodecError
from engine.contract.logs import origin
from engine.contract.queue.clock import elapsed
from engine.contract.queue.consumer import StreamConsumer
from engine.contract.queue.messages import Chat, Inline, Reply
from engine.contract.queue.store import Queue
from engine.contract.queue.stream import Delivery

log = logging.getLogger("bot.delivery.outbox")

MAX_REPLIES_IN_FLIGHT = 5000
"""Maximum number of replies in flight; the rest waits in Redis."""
READ_ENTRIES = 100
READ_SECONDS = 0.5
"""How long a read waits, and so how long a stop may go unnoticed."""
OUTBOX_DRAIN_SECONDS = 5.0
"""Time that replies in flight are given when the bot stops; the rest stays in Redis."""
_DEAD_LETTER_OUTCOMES = ("given_up", "failed")
"""Outcomes that make a reply a dead letter."""


class Outbox(StreamConsumer):
    """``lease``: seconds without renewal after which another bot may send this one's replies."""

    def __init__(self, queue: Queue, packer: Packer, sender: Sender, metrics: Metrics, lease: float) -> None:
        super().__init__(queue.replies)
        self._packer = packer
        self._sender = sender
        self._metrics = metrics
        self._lease = lease
        self._queues: dict[int | str, deque[tuple[str, Reply]]] = {}
        self._held: dict[str, float] = {}
        """Replies in flight, and when their leases were last known to be this bot's, by ``elapsed``."""

    async def run(self) -> None:
        """Send until ``stop``, then finish what is in flight for a few seconds; the rest stays in Redis."""
        async with self._consuming((self._lease / 3, self._renew_leases)):
            while not self._stopping.is_set():
                await self._persist(self._step)
            await self._finish_in_flight(OUTBOX_DRAIN_SECONDS)

    async def _step(self) -> None:
        free = min(READ_ENTRIES, MAX_REPLIES_IN_FLIGHT - len(self._held))
        if free <= 0:
            await asyncio.sleep(0.1)
            return
        deliveries: list[Delivery] = []
        began = elapsed()
        while len(deliveries) < free and (orphan := await self._stream.reclaim(self.name, self._lease)) is not None:
            deliveries.append(orphan)
        deliveries += await self._stream.take(self.name, free, 0 if deliveries else READ_SECONDS)
        for delivery in deliveries:
            await self._enqueue(delivery, began)

    async def _enqueue(self, delivery: Delivery, began: float) -> None:
        try:
            reply = Reply.from_fields(delivery.fields)
            if not isinstance(reply.to, Chat | Inline):
                raise CodecError("a reply that is not for Telegram")
        except CodecError as error:
            log.error("unreadable reply moved to the dead letters: %s", origin(error), extra={"job": delivery.id})
            self._metrics.count("poem_messages_total", outcome="unreadable")
            await self._stream.finish(delivery.id, why="an unreadable reply")
            return
        if delivery.id in self._held:
            return
        chat = reply.to.chat if isinstance(reply.to, Chat) else reply.to.message
        self._held[delivery.id] = began
        waiting = self._queues.get(chat)
        if waiting is None:
            waiting = self._queues[chat] = deque()
            self._start(self._send_queue(chat, waiting), str(chat))
        waiting.append((delivery.id, reply))

    async def _send_queue(self, chat: int | str, waiting: deque[tuple[str, Reply]]) -> None:
        try:
            while waiting:
                entry, reply = waiting.popleft()
                outcome = await self._send_safely(entry, reply)
                self._metrics.count("poem_messages_total", outcome=outcome)
                log.info("%s", outcome, extra={"job": reply.job or entry})
                if outcome == "lease_lost":
                    continue
                self._metrics.observe_work(reply)
                why = "a reply that Telegram did not take" if outcome in _DEAD_LETTER_OUTCOMES else ""
                await self._persist(partial(self._stream.finish, entry, why=why))
                self._held.pop(entry, None)
        except RedisError as error:
            log.warning("sent but not acknowledged: %s", error)
        finally:
            del self._queues[chat]

    async def _send_safely(self, entry: str, reply: Reply) -> str:
        try:
            return await self._send(entry, reply)
        except RedisError:
            raise
        except Exception as error:
            log.error("a reply cannot be sent: %s", origin(error), extra={"job": reply.job})
            return "failed"

    async def _send(self, entry: str, reply: Reply) -> str:
        """Deliver one message; returns the outcome."""
        outgoing = await self._persist(partial(self._packer.pack, reply))
        if outgoing is None:
            return "superfluous"
        assert isinstance(reply.to, Chat | Inline)
        holds = partial(self._persist, partial(self._still_holds, entry))
        outcome, message = await self._sender.send(reply.to, outgoing, holds, reply.job)
        if outcome != "lease_lost":
            await self._persist(partial(self._packer.clean_up, reply, message))
        return outcome

    async def _still_holds(self, entry: str) -> bool:
        """Whether ``entry`` is still this bot's; another may have reclaimed it if this one was stalled."""
        since = self._held.get(entry)
        if since is not None and elapsed() - since >= self._lease / 2:
            await self._renew([entry])
        return entry in self._held

    async def _renew_leases(self) -> None:
        await self._renew(sorted(self._held))

    async def _renew(self, entries: list[str]) -> None:
        """Renew the leases of ``entries`` and drop those that are no longer this bot's, found by bisection."""
        now = elapsed()
        if await self._stream.renew(self.name, entries) == len(entries):
            self._held.update((entry, now) for entry in entries if entry in self._held)
        elif len(entries) == 1:
            self._held.pop(entries[0], None)
        else:
            middle = len(entries) // 2
            await self._renew(entries[:middle])
            await self._renew(entries[middle:])
