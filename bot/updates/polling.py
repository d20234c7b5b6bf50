"""Polls for updates. An update is confirmed to Telegram only after its result is in Redis."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from redis.exceptions import RedisError
from telegram import Update
from telegram.error import Conflict, RetryAfter, TelegramError

from bot.bot_api import BotApiRequest, retry_after_seconds
from bot.metrics import Metrics
from bot.updates.reading import UPDATE_KINDS, UnreadableUpdateError, read_update
from engine.contract.logs import origin
from engine.contract.queue.retry import retry_until_available, sleep_unless

log = logging.getLogger("bot.updates.polling")

LONG_POLL_SECONDS = 25
"""How long Telegram holds back an empty answer."""
ANSWER_SECONDS = LONG_POLL_SECONDS + 15
POLL_BACKOFF_SECONDS = (0.5, 30.0)
"""First and longest pause between attempts while Telegram fails."""
CONFLICT_SECONDS = 5.0
MAX_POLL_PAUSE_SECONDS = 300.0
"""Longest pause in polling, whatever Telegram asks for."""
QUICK_SECONDS = 1.0
"""An empty answer that arrives sooner counts as a failure, since Telegram holds back empty answers."""

UpdateHandler = Callable[[Update], Awaitable[None]]


class UpdatePoller:
    """``url``: of the Bot API, with the token but without a method."""

    def __init__(self, request: BotApiRequest, url: str, handle: UpdateHandler, metrics: Metrics) -> None:
        self._request = request
        self._url = url
        self._handle = handle
        self._metrics = metrics
        self._offset: int | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until ``stopping`` is set. Requesting the next offset confirms the updates before it."""
        wait, longest = POLL_BACKOFF_SECONDS
        while not stopping.is_set():
            began, before = time.monotonic(), self._offset or 0
            try:
                raw_updates = await self._fetch()
            except TelegramError as error:
                await sleep_unless(stopping, self._pause_after(error, wait))
                wait = min(2 * wait, longest)
                continue
            read = [await self._handle_raw(raw, stopping) for raw in raw_updates]
            new = any(read) and (self._offset or 0) > before
            if not new and time.monotonic() - began < QUICK_SECONDS:
                log.warning("Telegram: an immediate answer without updates; next attempt in %.1f s", wait)
                await sleep_unless(stopping, wait)
                wait = min(2 * wait, longest)
            else:
                wait = POLL_BACKOFF_SECONDS[0]

    async def _fetch(self) -> list[Any]:
        query: dict[str, object] = {"timeout": LONG_POLL_SECONDS, "allowed_updates": json.dumps(UPDATE_KINDS)}
        if self._offset is not None:
            query["offset"] = self._offset
        # Not `Bot.get_updates`, which parses all updates of an answer or none.
        url = f"{self._url}/getUpdates?{urlencode(query)}"
        raw_updates = await self._request.post(url, read_timeout=ANSWER_SECONDS)
        assert isinstance(raw_updates, list)
        return raw_updates

    async def _handle_raw(self, raw: object, stopping: asyncio.Event) -> bool:
        """Handle one update; returns whether it could be read."""
        update = parse_update(raw, self._metrics)
        number = update.update_id if isinstance(update, Update) else update
        if isinstance(update, Update):
            await retry_until_available(lambda: handle_safely(self._handle, update), stopping)
        if number is not None:
            self._offset = number + 1
        return isinstance(update, Update)

    def _pause_after(self, error: TelegramError, wait: float) -> float:
        self._metrics.count("poem_telegram_errors_total", kind=type(error).__name__)
        if isinstance(error, RetryAfter):
            wait = min(retry_after_seconds(error), MAX_POLL_PAUSE_SECONDS)
        if isinstance(error, Conflict):
            what = "a webhook was set for" if "webhook" in str(error) else "another program reads the updates of"
            log.error("%s this token; only one may: %s", what, error)
            return max(wait, CONFLICT_SECONDS)
        log.warning("Telegram: %s; next attempt in %.1f s", error, wait)
        return wait


def parse_update(raw: object, metrics: Metrics) -> Update | int | None:
    """Parse an update. An unreadable one is counted and skipped; returns its number, if it has one."""
    try:
        return read_update(raw)
    except UnreadableUpdateError as error:
        metrics.count("poem_updates_total", kind="unreadable")
        log.warning("update %s cannot be read and is skipped: %s", error.number, error)
        return error.number


async def handle_safely(handle: UpdateHandler, update: Update) -> None:
    """Handle an update; bugs are logged and ignored, or Telegram would resend it for ever. RedisError propagates."""
    try:
        await handle(update)
    except RedisError:
        raise
    except Exception as error:
        log.error("update %d could not be handled: %s", update.update_id, origin(error))
