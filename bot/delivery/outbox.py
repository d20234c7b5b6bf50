"""Poems out: replies are read from their stream, sent, and only then acknowledged.

A crash between sending and acknowledging sends a message twice; none is lost. Every chat has a line of its own,
so that one that must wait holds up nobody else.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import secrets
import time
from collections import deque
from dataclasses import replace
from functools import partial

from redis.exceptions import RedisError
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from bot.delivery.rate_limit import Pace
from bot.delivery.sender import Courier, Parcel
from bot.metrics import Metrics
from engine.contract import CodecError
from engine.contract.queue.messages import Chat, Inline, Reply, Telegram
from engine.contract.queue.retry import patiently, sleep_unless
from engine.contract.queue.store import Queue
from engine.contract.queue.stream import Delivery

log = logging.getLogger("bot.delivery.outbox")

IN_HAND = 5000
"""Replies held at most; the rest wait in Redis."""
READ = 100
IDLE = 0.5
"""Seconds a read waits, and so how long a stop may take to be noticed."""
BACKOFF = (1.0, 30.0)
"""Seconds between attempts while Telegram fails: the first, the longest."""
GIVE_UP = 3600.0
"""Seconds of failing after which one message is given up."""


class Outbox:
    """``lease``: seconds after which another bot may send what this one holds, if it falls silent."""

    def __init__(self, queue: Queue, courier: Courier, pace: Pace, metrics: Metrics, lease: float) -> None:
        self.name = f"bot-{secrets.token_hex(6)}"
        self._stream = queue.replies
        self._courier = courier
        self._pace = pace
        self._metrics = metrics
        self._lease = lease
        self._lines: dict[int | str, deque[tuple[str, Reply]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: set[str] = set()
        self._stopping = asyncio.Event()
        self._gone = asyncio.Event()

    async def run(self) -> None:
        """Send until ``stop``, then finish what is in hand for a few seconds; the rest stays in Redis."""
        renewing = asyncio.create_task(self._renew())
        try:
            while not self._stopping.is_set():
                await patiently(self._step, self._stopping)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=5.0)
        finally:
            # Cancelled for a quick end and not waited for long: a library under a task may swallow that.
            self._gone.set()
            beside = {renewing, *self._tasks}
            for task in beside:
                task.cancel()
            await asyncio.wait(beside, timeout=2.0)
        await self._stream.retire(self.name)

    def stop(self) -> None:
        self._stopping.set()

    async def _step(self) -> None:
        room = min(READ, IN_HAND - len(self._held))
        if room <= 0:
            await asyncio.sleep(0.1)
            return
        found: list[Delivery] = []
        while len(found) < room and (orphan := await self._stream.take_over(self.name, self._lease)) is not None:
            found.append(orphan)
        found += await self._stream.take(self.name, room, 0 if found else IDLE)
        for delivery in found:
            await self._line_up(delivery)

    async def _line_up(self, delivery: Delivery) -> None:
        try:
            reply = Reply.from_fields(delivery.fields)
        except CodecError as error:
            log.error("unreadable reply: %s", error, extra={"job": delivery.id})
            await self._stream.finish(delivery.id)
            return
        if delivery.id in self._held or not isinstance(reply.to, Chat | Inline):
            return
        chat = reply.to.chat if isinstance(reply.to, Chat) else reply.to.message
        self._held.add(delivery.id)
        line = self._lines.get(chat)
        if line is None:
            line = self._lines[chat] = deque()
            task = asyncio.create_task(self._work_off(chat, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        line.append((delivery.id, reply))

    async def _work_off(self, chat: int | str, line: deque[tuple[str, Reply]]) -> None:
        try:
            while line:
                entry, reply = line.popleft()
                outcome = await self._send_safely(reply)
                self._metrics.count("poem_messages_total", outcome=outcome)
                log.info("%s", outcome, extra={"job": reply.job or entry})
                self._metrics.written(reply)
                await patiently(partial(self._stream.finish, entry), self._stopping)
                self._held.discard(entry)
        except RedisError as error:
            log.warning("sent but not acknowledged: %s", error)
        finally:
            del self._lines[chat]

    async def _send_safely(self, reply: Reply) -> str:
        try:
            return await self._send(reply)
        except RedisError:
            raise
        except Exception:
            log.exception("a reply that cannot be sent", extra={"job": reply.job})
            return "failed"

    async def _send(self, reply: Reply) -> str:
        """Deliver one message whatever it takes; says what became of it."""
        parcel = await patiently(partial(self._courier.pack, reply), self._stopping)
        if parcel is None:
            return "superfluous"
        assert isinstance(reply.to, Chat | Inline)
        outcome, message = await self._deliver(reply.to, parcel, reply.job)
        await patiently(partial(self._courier.tidy, reply, message), self._stopping)
        return outcome

    async def _deliver(self, to: Telegram, parcel: Parcel, job: str) -> tuple[str, int | None]:
        """What became of a message, and its number."""
        wait, longest = BACKOFF
        end = time.monotonic() + GIVE_UP
        while time.monotonic() < end:
            await self._pace.turn(to.chat if isinstance(to, Chat) else None)
            try:
                return "sent", await self._attempt(to, parcel)
            except RetryAfter as error:
                delay = error.retry_after
                await asyncio.sleep(delay.total_seconds() if isinstance(delay, datetime.timedelta) else delay)
                continue
            except ChatMigrated as error:
                # The group became a supergroup, where its messages have other numbers.
                to = Chat(error.new_chat_id, None, to.topic if isinstance(to, Chat) else None)
                continue
            except Forbidden:
                return "forbidden", None
            except BadRequest as error:
                reason = str(error).lower()
                if "not modified" in reason:
                    return "sent", None
                if isinstance(to, Chat) and to.message is not None and "repl" in reason:
                    to = replace(to, message=None)
                elif isinstance(to, Chat) and to.topic is not None and ("thread" in reason or "topic" in reason):
                    to = replace(to, topic=None)
                else:
                    log.error("refused by Telegram: %s", error, extra={"job": job})
                    return "bad_request", None
                continue
            except TelegramError as error:
                log.warning("Telegram: %s; next attempt in %.0f s", error, wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, longest)
        return "given_up", None

    async def _attempt(self, to: Telegram, parcel: Parcel) -> int | None:
        """The message's number, where it is a new one."""
        try:
            if isinstance(to, Chat):
                return await self._courier.send(to, parcel)
            await self._courier.edit(to, parcel)
        except TelegramError as error:
            self._metrics.count("poem_telegram_errors_total", kind=type(error).__name__)
            raise
        return None

    async def _renew(self) -> None:
        while not self._gone.is_set():
            await sleep_unless(self._gone, self._lease / 3)
            try:
                await self._stream.renew(self.name, sorted(self._held))
            except RedisError as error:
                log.warning("leases not renewed: %s", error)
