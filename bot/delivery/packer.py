"""Turns a reply into a message, and cleans up after it was delivered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from telegram import Bot, InlineKeyboardMarkup

from bot.best_effort import BestEffortSender
from bot.blocklist import Blocklist
from bot.views import keyboards as buttons
from bot.views.drawing import Draw
from bot.views.messages import Language, as_language, message_text
from bot.views.poem import for_reader, reply_html
from engine.contract import Poem, PoemRequest
from engine.contract.queue.cards import Card, digest
from engine.contract.queue.chats import Notice
from engine.contract.queue.messages import Chat, Inline, Reply
from engine.contract.queue.store import Queue


@dataclass(frozen=True)
class OutgoingMessage:
    """Telegram HTML with buttons below and a picture above it. ``silent``: without a notification sound."""

    text: str
    markup: InlineKeyboardMarkup | None = None
    picture: bytes | None = None
    silent: bool = False


class Packer:
    """``draw`` None: no pictures."""

    def __init__(
        self, queue: Queue, bot: Bot, blocklist: Blocklist, best_effort: BestEffortSender, draw: Draw | None
    ) -> None:
        self._queue = queue
        self._bot = bot
        self._blocklist = blocklist
        self._best_effort = best_effort
        self._draw = draw

    async def pack(self, reply: Reply) -> OutgoingMessage | None:
        """The message for a reply; None: it is no longer needed."""
        if reply.kind == "notice" and not await self._queue.unfinished(reply.job):
            return None
        language = as_language(reply.language)
        content = self._blocklist.screen(reply.content) if isinstance(reply.content, Poem) else reply.content
        request = reply.request if isinstance(reply.request, PoemRequest) else None
        if isinstance(content, Poem) and request is not None:
            content = for_reader(content, request, language)
        text = reply_html(content, reply.request, language)
        if not isinstance(content, Poem) or request is None:
            failed = request is not None and isinstance(reply.to, Inline)
            markup = buttons.write_button(digest(request), language) if failed and request is not None else None
            if reply.kind == "languages":
                markup = buttons.choose_language()
            elif reply.kind == "welcome":
                markup = buttons.first_poem(language)
            return OutgoingMessage(text, markup, silent=reply.kind == "notice")
        if reply.kind == "picture" and self._draw is not None:
            return await self._picture_message(content, text, language)
        card = await self._queue.cards.keep(Card(request, content))
        can_be_drawn = self._draw is not None and isinstance(reply.to, Chat)
        query = buttons.share_query(card) if has_inline_mode(self._bot) else ""
        return OutgoingMessage(text, buttons.under_poem(card, language, can_be_drawn, query))

    async def _picture_message(self, poem: Poem, text: str, language: Language) -> OutgoingMessage:
        assert self._draw is not None
        drawn = await asyncio.to_thread(self._draw, poem, None)
        if isinstance(drawn, str):
            return OutgoingMessage(message_text("no_picture", language, characters=drawn))
        return OutgoingMessage(text, picture=drawn)

    async def clean_up(self, reply: Reply, message: int | None) -> None:
        """After delivery: remember a notice; after any other reply, delete the notice and unlock the buttons."""
        chats = self._queue.chats
        if reply.kind == "notice":
            if message is None:
                return
            await chats.noticed(reply.job, Notice(message, reply.position))
            if await self._queue.unfinished(reply.job):
                return
        if isinstance(reply.to, Chat | Inline):
            notice = await chats.settle(reply.job, buttons.button_lock_key(reply.to))
            if notice is not None and isinstance(reply.to, Chat):
                self._best_effort.start(self._best_effort.bot.delete_message(reply.to.chat, notice.message))


def has_inline_mode(bot: Bot) -> bool:
    """Whether the bot has inline mode, which sharing poems requires."""
    return bool(bot.bot.supports_inline_queries)
