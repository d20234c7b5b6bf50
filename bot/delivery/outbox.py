"""Sends replies: reads them from their stream, sends them, and only then acknowledges them.

A crash between sending and acknowledging sends a message twice, but none is lost: replies that Telegram does not accept
before their deadline, and unreadable ones, become dead letters. Each chat has its own queue, so that one that must wait
does not delay the others. A reply whose lease this bot lost, because it was stalled, is not sent.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from dataclasses import replace
from functools import partial

from redis.exceptions import RedisError
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from bot.bot_api import retry_after_seconds
from bot.delivery.rate_limit import RateLimiter
from bot.delivery.sender import OutgoingMessage, Sender
from bot.metrics import Metrics
from engine.contract import CodecError
from engine.contract.logs import origin
from engine.contract.queue.clock import elapsed
from engine.contract.queue.messages import Chat, Inline, Reply, Telegram
from engine.contract.queue.retry import retry_until_available, sleep_unless
from engine.contract.queue.store import Queue
from engine.contract.queue.stream import Delivery

log = logging.getLogger("bot.delivery.outbox")

MAX_IN_FLIGHT = 5000
"""Maximum number of replies in flight; the rest waits in Redis."""
READ_ENTRIES = 100
READ_SECONDS = 0.5
"""How long a read waits, and so how long a stop may go unnoticed."""
BACKOFF_SECONDS = (1.0, 30.0)
"""First and longest pause between attempts while Telegram fails."""
REPLY_DEADLINE = 3600.0
"""Time after which a reply that keeps failing becomes a dead letter."""
_DEAD = ("given_up", "failed")
"""Outcomes that make a reply a dead letter; all others follow from an answer of Telegram's."""


class Outbox:
    """``lease``: seconds without renewal after which another bot may send this one's replies. ``deadline``: seconds
    after which a reply that Telegram does not accept becomes a dead letter."""

    def __init__(
        self,
        queue: Queue,
        sender: Sender,
        rate_limiter: RateLimiter,
        metrics: Metrics,
        lease: float,
        deadline: float = REPLY_DEADLINE,
    ) -> None:
        self.name = f"bot-{secrets.token_hex(6)}"
        self._stream = queue.replies
        self._sender = sender
        self._rate_limiter = rate_limiter
        self._metrics = metrics
        self._lease = lease
        self._deadline = deadline
        self._queues: dict[int | str, deque[tuple[str, Reply]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[str, float] = {}
        """Replies in flight, and when their leases were last known to be this bot's, by ``elapsed``."""
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Send until ``stop``, then finish what is in flight for a few seconds; the rest stays in Redis."""
        renewing = asyncio.create_task(self._renew_until_ended())
        try:
            while not self._stopping.is_set():
                await retry_until_available(self._step, self._stopping)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=5.0)
        finally:
            # Cancel for a quick end, and do not wait long: redis-py may swallow CancelledError.
            self._ended.set()
            background = {renewing, *self._tasks}
            for task in background:
                task.cancel()
            await asyncio.wait(background, timeout=2.0)
        await self._stream.retire(self.name)

    def stop(self) -> None:
        self._stopping.set()

    async def _step(self) -> None:
        free = min(READ_ENTRIES, MAX_IN_FLIGHT - len(self._held))
        if free <= 0:
            await asyncio.sleep(0.1)
            return
        found: list[Delivery] = []
        began = elapsed()
        while len(found) < free and (orphan := await self._stream.reclaim(self.name, self._lease)) is not None:
            found.append(orphan)
        found += await self._stream.take(self.name, free, 0 if found else READ_SECONDS)
        for delivery in found:
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
            task = asyncio.create_task(self._work_off(chat, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append((delivery.id, reply))

    async def _work_off(self, chat: int | str, waiting: deque[tuple[str, Reply]]) -> None:
        try:
            while waiting:
                entry, reply = waiting.popleft()
                outcome = await self._send_safely(entry, reply)
                self._metrics.count("poem_messages_total", outcome=outcome)
                log.info("%s", outcome, extra={"job": reply.job or entry})
                if outcome == "lease_lost":
                    continue
                self._metrics.written(reply)
                why = "a reply that Telegram did not take" if outcome in _DEAD else ""
                await retry_until_available(partial(self._stream.finish, entry, why=why), self._stopping)
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
        outgoing = await retry_until_available(partial(self._sender.pack, reply), self._stopping)
        if outgoing is None:
            return "superfluous"
        assert isinstance(reply.to, Chat | Inline)
        outcome, message = await self._deliver(entry, reply.to, outgoing, reply.job)
        if outcome != "lease_lost":
            await retry_until_available(partial(self._sender.tidy, reply, message), self._stopping)
        return outcome

    async def _deliver(self, entry: str, to: Telegram, outgoing: OutgoingMessage, job: str) -> tuple[str, int | None]:
        """Retry until Telegram itself decides or the deadline passes. Returns the outcome and the message's number."""
        wait, longest = BACKOFF_SECONDS
        end = time.monotonic() + self._deadline
        migrated = False
        while (left := end - time.monotonic()) > 0:
            await self._rate_limiter.turn(to.chat if isinstance(to, Chat) else None)
            if not await retry_until_available(partial(self._still_holds, entry), self._stopping):
                return "lease_lost", None
            try:
                return "sent", await self._attempt(to, outgoing)
            except RetryAfter as error:
                await asyncio.sleep(min(retry_after_seconds(error), left))
                continue
            except ChatMigrated as error:
                # The group became a supergroup, where messages have other numbers.
                to = Chat(error.new_chat_id, None, to.topic if isinstance(to, Chat) else None)
                if not migrated:
                    migrated = True
                    continue
                log.warning("a chat migrates repeatedly; next attempt in %.0f s", wait)
            except Forbidden:
                return "forbidden", None
            except BadRequest as error:
                reason = str(error).lower()
                if "not modified" in reason:
                    return "sent", None
                if not (isinstance(to, Chat) and to.topic is not None and ("thread" in reason or "topic" in reason)):
                    log.error("refused by Telegram: %s", error, extra={"job": job})
                    return "bad_request", None
                to = replace(to, topic=None)
                continue
            except TelegramError as error:
                log.warning("Telegram: %s; next attempt in %.0f s", error, wait, extra={"job": job})
            await asyncio.sleep(min(wait, max(0.0, end - time.monotonic())))
            wait = min(2 * wait, longest)
        log.error("dead letter: Telegram did not accept it in %.0f s", self._deadline, extra={"job": job})
        return "given_up", None

    async def _attempt(self, to: Telegram, outgoing: OutgoingMessage) -> int | None:
        """The number of the message, if it is a new one."""
        try:
            if isinstance(to, Chat):
                return await self._sender.send(to, outgoing)
            await self._sender.edit(to, outgoing)
        except TelegramError as error:
            self._metrics.count("poem_telegram_errors_total", kind=type(error).__name__)
            raise
        return None

    async def _still_holds(self, entry: str) -> bool:
        """Whether ``entry`` is still this bot's; another may have reclaimed it if this one was stalled."""
        since = self._held.get(entry)
        if since is not None and elapsed() - since >= self._lease / 2:
            await self._renew([entry])
        return entry in self._held

    async def _renew_until_ended(self) -> None:
        while not self._ended.is_set():
            await sleep_unless(self._ended, self._lease / 3)
            try:
                await self._renew(sorted(self._held))
            except RedisError as error:
                log.warning("leases not renewed: %s", error)

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
