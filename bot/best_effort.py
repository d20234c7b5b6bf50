"""What is said to Telegram at once and may be lost: answers to callbacks and inline queries, typing, menus.

Nobody waits for it, and nothing durable is said here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from telegram import Bot
from telegram.error import TelegramError

from engine.contract.logs import origin

log = logging.getLogger("bot.best_effort")

MAX_CALLS = 200
"""Calls under way at most; more are dropped, for they would come too late to be of use."""


class BestEffortSender:
    """``bot`` is for making the calls that ``say`` takes."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Coroutine[Any, Any, object]) -> None:
        if len(self._tasks) >= MAX_CALLS:
            call.close()
            return
        task = asyncio.create_task(_quietly(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give what is under way a moment."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=1.0)
            for task in late:
                task.cancel()


async def _quietly(call: Coroutine[Any, Any, object]) -> None:
    try:
        await call
    except TelegramError as error:
        # A press that is too old to be answered, a message that is gone, a chat that is closed.
        log.debug("Telegram: %s", error)
    except Exception as error:
        log.error("something beside the poems could not be said: %s", origin(error))
