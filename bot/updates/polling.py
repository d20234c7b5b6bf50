"""Updates in, by polling: an update is confirmed to Telegram only once Redis has what it leads to."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError
from telegram import Bot, Update
from telegram.error import Conflict, RetryAfter, TelegramError

from engine.contract.queue.retry import patiently

log = logging.getLogger("bot.updates.polling")

LONG_POLL = 25
"""Seconds Telegram keeps an empty answer back."""
BACKOFF = (0.5, 30.0)
"""Seconds between attempts while Telegram fails: the first, the longest."""
ALLOWED = ["message", "callback_query", "inline_query", "chosen_inline_result"]

Handle = Callable[[Update], Awaitable[None]]


async def poll(bot: Bot, handle: Handle, stopping: asyncio.Event) -> None:
    """Read updates for ever. Asking for the next offset is what confirms those before it."""
    offset: int | None = None
    wait, longest = BACKOFF
    while not stopping.is_set():
        try:
            updates = await bot.get_updates(offset=offset, timeout=LONG_POLL, allowed_updates=ALLOWED)
        except TelegramError as error:
            delay = _complain(error, wait)
            await asyncio.sleep(delay)
            wait = min(2 * wait, longest)
            continue
        wait = BACKOFF[0]
        for update in updates:
            await patiently(lambda update=update: safely(handle, update), stopping)  # type: ignore[misc]
            offset = update.update_id + 1


async def safely(handle: Handle, update: Update) -> None:
    """Handle an update; a bug is logged and passed over, or it would come back for ever. RedisError passes."""
    try:
        await handle(update)
    except RedisError:
        raise
    except Exception:
        log.exception("update %d could not be handled", update.update_id)


def _complain(error: TelegramError, wait: float) -> float:
    if isinstance(error, RetryAfter):
        delay = error.retry_after
        wait = delay.total_seconds() if isinstance(delay, datetime.timedelta) else float(delay)
    if isinstance(error, Conflict):
        log.error("another program reads the updates of this token; only one may: %s", error)
        wait = max(wait, 5.0)
    else:
        log.warning("Telegram: %s; next attempt in %.1f s", error, wait)
    return wait
