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
from bot.views.messages import Language, as_language, say
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
"""Maximum per poll, so that poems get most of what Telegram's limits allow."""


class QueueNotices:
    """Runs beside the outbox."""

    def __init__(self, queue: Queue, best_effort: BestEffortSender) -> None:
        self._queue = queue
        self._best_effort = best_effort
        self._typed: dict[str, float] = {}
        self._told: dict[str, int] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until ``stopping`` is set; what fails is tried again at the next poll."""
        while not stopping.is_set():
            try:
                await self._look(await self._queue.now())
            except RedisError as error:
                log.debug("Redis: %s", error)
            except Exception as error:
                log.error("queue notices failed: %s", origin(error))
            await sleep_unless(stopping, QUEUE_POLL_SECONDS)

    async def _look(self, now: float) -> None:
        line = await self._queue.line(MAX_JOBS_SCANNED)
        waiting = [queued for queued in line if isinstance(queued.job.to, Chat)]
        ids = {queued.id for queued in waiting}
        self._typed = {job: at for job, at in self._typed.items() if job in ids}
        self._told = {job: position for job, position in self._told.items() if job in ids}
        self._type([queued for queued in waiting if now - queued.since >= TYPING_AFTER_SECONDS], now)
        # A poem that is already being written needs no notice unless there is one to update.
        long = [q for q in waiting if now - q.since >= NOTICE_AFTER_SECONDS and (q.position or q.id in self._told)]
        if long:
            await self._tell(long, await self._queue.status())

    def _type(self, waiting: list[Queued], now: float) -> None:
        due = [queued for queued in waiting if now - self._typed.get(queued.id, 0.0) >= TYPING_SECONDS]
        for queued in due[:MAX_TYPINGS]:
            to = queued.job.to
            assert isinstance(to, Chat)
            self._typed[queued.id] = now
            action = self._best_effort.bot.send_chat_action
            self._best_effort.start(action(to.chat, ChatAction.TYPING, message_thread_id=to.topic))

    async def _tell(self, waiting: list[Queued], status: Status) -> None:
        begun, edited = 0, 0
        for queued in waiting:
            position, told = queued.position, self._told.get(queued.id)
            if told is None:
                notice = await self._queue.chats.notice(queued.id)
                if notice is not None:
                    self._told[queued.id] = notice.position
                elif begun < MAX_NOTICES:
                    begun += 1
                    await self._begin(queued, status)
            elif crossed(told, position) and edited < MAX_EDITS:
                edited += 1
                await self._edit(queued, status)

    async def _begin(self, queued: Queued, status: Status) -> None:
        language = as_language(queued.job.language)
        words = waiting_words(queued.position, status, language)
        reply = Reply(queued.job.to, language, words, None, queued.id, kind="notice", position=queued.position)
        await self._queue.submit(reply, f"n{queued.id}")
        self._told[queued.id] = queued.position

    async def _edit(self, queued: Queued, status: Status) -> None:
        notice = await self._queue.chats.notice(queued.id)
        if notice is None:  # not sent yet
            return
        self._told[queued.id] = queued.position
        to = queued.job.to
        if crossed(notice.position, queued.position) and await self._queue.chats.reached(queued.id, queued.position):
            assert isinstance(to, Chat)
            words = waiting_words(queued.position, status, as_language(queued.job.language))
            self._best_effort.start(self._best_effort.bot.edit_message_text(words, to.chat, notice.message))


def crossed(told: int, position: int) -> bool:
    """Whether moving from ``told`` up to ``position`` reaches one of 0, 1, 2, 3, 5, 8, 13 …"""
    one, two = 0, 1
    while one < told:
        if position <= one:
            return True
        one, two = two, max(two + 1, one + two)
    return False


def waiting_words(position: int, status: Status, language: Language) -> str:
    """``position`` 0: it is being written."""
    if position == 0:
        return say("your_turn", language)
    if not status.workers:
        return say("waiting_long", language, position=position)
    seconds = max(1, math.ceil(status.wait_seconds * position / (status.waiting + 1)))
    return say("waiting", language, position=position, seconds=seconds)
