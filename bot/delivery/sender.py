"""Sends one message to Telegram, and retries where that helps."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from telegram import Bot, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from bot.bot_api import retry_after_seconds
from bot.delivery.packer import OutgoingMessage
from bot.delivery.rate_limit import RateLimiter
from bot.metrics import Metrics
from engine.contract.queue.messages import Chat, Inline, TelegramAddress

log = logging.getLogger("bot.delivery.sender")

SEND_BACKOFF_SECONDS = (1.0, 30.0)
"""First and longest pause between attempts while Telegram fails."""


@dataclass(frozen=True)
class Sender:
    """``deadline``: seconds after which a message that Telegram does not accept is given up."""

    bot: Bot
    rate_limiter: RateLimiter
    metrics: Metrics
    deadline: float

    async def send(
        self, to: TelegramAddress, outgoing: OutgoingMessage, holds: Callable[[], Awaitable[bool]], job: str
    ) -> tuple[str, int | None]:
        """Retry until Telegram itself decides or the deadline passes. Returns the outcome and the message's number.

        ``holds``: whether the message is still this bot's to send, asked before each attempt; ``job``: for the log.
        """
        wait, longest = SEND_BACKOFF_SECONDS
        end = time.monotonic() + self.deadline
        migrated = False
        while (left := end - time.monotonic()) > 0:
            await self.rate_limiter.turn(to.chat if isinstance(to, Chat) else None)
            if not await holds():
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
        log.error("dead letter: Telegram did not accept it in %.0f s", self.deadline, extra={"job": job})
        return "given_up", None

    async def _attempt(self, to: TelegramAddress, outgoing: OutgoingMessage) -> int | None:
        """The number of the message, if it is a new one."""
        try:
            if isinstance(to, Chat):
                return await self._send(to, outgoing)
            await self._edit(to, outgoing)
        except TelegramError as error:
            self.metrics.count("poem_telegram_errors_total", kind=type(error).__name__)
            raise
        return None

    async def _edit(self, to: Inline, outgoing: OutgoingMessage) -> None:
        """Edit an inline message."""
        await self.bot.edit_message_text(
            outgoing.text,
            inline_message_id=to.message,
            parse_mode=ParseMode.HTML,
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_markup=outgoing.markup,
        )

    async def _send(self, to: Chat, outgoing: OutgoingMessage) -> int:
        """Send a message; returns its number."""
        replying_to = None if to.message is None else ReplyParameters(to.message, allow_sending_without_reply=True)
        sent: Message
        if outgoing.picture is not None:
            sent = await self.bot.send_photo(
                to.chat,
                outgoing.picture,
                caption=outgoing.text,
                parse_mode=ParseMode.HTML,
                message_thread_id=to.topic,
                reply_parameters=replying_to,
                filename="poem.png",
            )
        else:
            sent = await self.bot.send_message(
                to.chat,
                outgoing.text,
                parse_mode=ParseMode.HTML,
                message_thread_id=to.topic,
                reply_parameters=replying_to,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=outgoing.markup,
                disable_notification=outgoing.silent,
            )
        return sent.message_id
