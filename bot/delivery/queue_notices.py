"""Tells people who wait: "typing" after a second, and after two a notice of queue position and expected wait.

A notice is sent through the outbox like a poem, edited only at a few positions, and deleted once the poem is sent.
"""

from __future__ import annotations

import asyncio
import logging
import math

from redis.exceptions import RedisError
from telegram.constants import ChatAction

from bot.best_effort import BestEffortSender
from bot.views.messages import Language, as_language, message_text
from engine.contract.logs import origin
from engine.contract.queue.messages import Chat, Reply
from engine.contract.queue.retry import sleep_unless
from engine.contract.queue.store import Queue, Queued
from engine.contract.queue.workers import Status

log = logging.getLogger("bot.delivery.queue_notices")

QUEUE_POLL_SECONDS = 0.5
"""Interval between reads of the queue."""
MAX_JOBS_SCANNED = 500
"""How many of the oldest jobs are read."""
TYPING_AFTER_SECONDS, NOTICE_AFTER_SECONDS = 1.0, 2.0
"""Seconds after which "typing" is shown, and after which those still queued get a notice."""
TYPING_SECONDS = 4.5
"""How often to repeat "typing", which Telegram shows for five seconds."""
MAX_TYPINGS, MAX_NOTICES, MAX_EDITS = 8, 4, 4
"""Maximum calls of each kind per poll, so that most of what Telegram's limits allow is left for poems."""


class QueueNotices:
    """Runs beside the outbox."""

    def __init__(self, queue: Queue, best_effort: BestEffortSender) -> None:
        self._queue = queue
        self._best_effort = best_effort
        self._typed_at: dict[str, float] = {}
        self._shown: dict[str, int] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until ``stopping`` is set; a failure is logged, and the next poll tries again."""
        while not stopping.is_set():
            try:
                await self._poll(await self._queue.now())
            except RedisError as error:
                log.debug("Redis: %s", error)
            except Exception as error:
                log.error("queue notices failed: %s", origin(error))
            await sleep_unless(stopping, QUEUE_POLL_SECONDS)

    async def _poll(self, now: float) -> None:
        line = await self._queue.oldest_jobs(MAX_JOBS_SCANNED)
        waiting = [queued for queued in line if isinstance(queued.job.to, Chat)]
        ids = {queued.id for queued in waiting}
        self._typed_at = {job: at for job, at in self._typed_at.items() if job in ids}
        self._shown = {job: position for job, position in self._shown.items() if job in ids}
        self._show_typing([queued for queued in waiting if now - queued.since >= TYPING_AFTER_SECONDS], now)
        # A poem that is already being written needs no notice unless there is one to update.
        long = [q for q in waiting if now - q.since >= NOTICE_AFTER_SECONDS and (q.position or q.id in self._shown)]
        if long:
            await self._notify(long, await self._queue.status())

    def _show_typing(self, waiting: list[Queued], now: float) -> None:
        due = [queued for queued in waiting if now - self._typed_at.get(queued.id, 0.0) >= TYPING_SECONDS]
        for queued in due[:MAX_TYPINGS]:
            to = queued.job.to
            assert isinstance(to, Chat)
            self._typed_at[queued.id] = now
            action = self._best_effort.bot.send_chat_action
            self._best_effort.start(action(to.chat, ChatAction.TYPING, message_thread_id=to.topic))

    async def _notify(self, waiting: list[Queued], status: Status) -> None:
        begun, edited = 0, 0
        for queued in waiting:
            position, shown = queued.position, self._shown.get(queued.id)
            if shown is None:
                notice = await self._queue.chats.notice(queued.id)
                if notice is not None:
                    self._shown[queued.id] = notice.position
                elif begun < MAX_NOTICES:
                    begun += 1
                    await self._send_notice(queued, status)
            elif crosses_milestone(shown, position) and edited < MAX_EDITS:
                edited += 1
                await self._edit_notice(queued, status)

    async def _send_notice(self, queued: Queued, status: Status) -> None:
        language = as_language(queued.job.language)
        text = waiting_text(queued.position, status, language)
        reply = Reply(queued.job.to, language, text, None, queued.id, kind="notice", position=queued.position)
        await self._queue.submit(reply, f"n{queued.id}")
        self._shown[queued.id] = queued.position

    async def _edit_notice(self, queued: Queued, status: Status) -> None:
        notice = await self._queue.chats.notice(queued.id)
        if notice is None:  # not sent yet
            return
        self._shown[queued.id] = queued.position
        to, position = queued.job.to, queued.position
        if crosses_milestone(notice.position, position) and await self._queue.chats.update_notice(queued.id, position):
            assert isinstance(to, Chat)
            text = waiting_text(queued.position, status, as_language(queued.job.language))
            self._best_effort.start(self._best_effort.bot.edit_message_text(text, to.chat, notice.message))


def crosses_milestone(shown: int, position: int) -> bool:
    """Whether moving from ``shown`` up to ``position`` reaches one of 0, 1, 2, 3, 5, 8, 13 …"""
    one, two = 0, 1
    while one < shown:
        if position <= one:
            return True
        one, two = two, max(two + 1, one + two)
    return False


def waiting_text(position: int, status: Status, language: Language) -> str:
    """``position`` 0: it is being written."""
    if position == 0:
        return message_text("your_turn", language)
    if not status.workers:
        return message_text("waiting_long", language, position=position)
    seconds = max(1, math.ceil(status.wait_seconds * position / (status.waiting + 1)))
    return message_text("waiting", language, position=position, seconds=seconds)
