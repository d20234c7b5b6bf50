"""Calls to Telegram that may fail: answers to callbacks and inline queries, "typing", menus.

They run in the background and are not retried; whatever must arrive goes through ``bot.delivery.outbox``.
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
"""Maximum number of calls in progress; further ones are dropped, since they would be too late to be useful."""


class BestEffortSender:
    """``bot``: for creating the calls that ``start`` runs."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Coroutine[Any, Any, object]) -> None:
        """Run a call in the background; its failure is only logged."""
        if len(self._tasks) >= MAX_CALLS:
            call.close()
            return
        task = asyncio.create_task(_run_logging_failure(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give calls in progress a moment, then cancel them."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=1.0)
            for task in late:
                task.cancel()


async def _run_logging_failure(call: Coroutine[Any, Any, object]) -> None:
    try:
        await call
    except TelegramError as error:
        # For example a callback too old to be answered, a deleted message, a closed chat.
        log.debug("Telegram: %s", error)
    except Exception as error:
        log.error("a best-effort call failed: %s", origin(error))
