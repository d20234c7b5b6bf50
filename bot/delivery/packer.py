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


@dataclass(frozen=True)
class Packer:
    """``draw`` None: no pictures."""

    queue: Queue
    bot: Bot
    blocklist: Blocklist
    best_effort: BestEffortSender
    draw: Draw | None

    async def pack(self, reply: Reply) -> OutgoingMessage | None:
        """The message for a reply; None: it is no longer needed."""
        if reply.kind == "notice" and not await self.queue.unfinished(reply.job):
            return None
        language = as_language(reply.language)
        content = self.blocklist.screen(reply.content) if isinstance(reply.content, Poem) else reply.content
        request = reply.request if isinstance(reply.request, PoemRequest) else None
        if not isinstance(content, Poem) or request is None:
            text = reply_html(content, reply.request, language)
            return OutgoingMessage(text, _buttons_under_text(reply, request, language), silent=reply.kind == "notice")
        poem = for_reader(content, request, language)
        text = reply_html(poem, request, language)
        if reply.kind == "picture" and self.draw is not None:
            return await _picture_message(self.draw, poem, text, language)
        card = await self.queue.cards.keep(Card(request, poem))
        can_draw = self.draw is not None and isinstance(reply.to, Chat)
        query = buttons.share_query(card) if has_inline_mode(self.bot) else ""
        return OutgoingMessage(text, buttons.under_poem(card, language, can_draw, query))

    async def clean_up(self, reply: Reply, message: int | None) -> None:
        """After delivery: remember a notice; after any other reply, delete the notice and unlock the buttons."""
        chats = self.queue.chats
        if reply.kind == "notice":
            if message is None:
                return
            await chats.save_notice(reply.job, Notice(message, reply.position))
            if await self.queue.unfinished(reply.job):
                return
        if isinstance(reply.to, Chat | Inline):
            notice = await chats.settle(reply.job, buttons.button_lock_key(reply.to))
            if notice is not None and isinstance(reply.to, Chat):
                self.best_effort.start(self.best_effort.bot.delete_message(reply.to.chat, notice.message))


def _buttons_under_text(reply: Reply, request: PoemRequest | None, language: Language) -> InlineKeyboardMarkup | None:
    if reply.kind == "languages":
        return buttons.choose_language()
    if reply.kind == "welcome":
        return buttons.first_poem(language)
    if request is not None and isinstance(reply.to, Inline):
        return buttons.write_button(digest(request), language)
    return None


async def _picture_message(draw: Draw, poem: Poem, text: str, language: Language) -> OutgoingMessage:
    drawn = await asyncio.to_thread(draw, poem, None)
    if isinstance(drawn, str):
        return OutgoingMessage(message_text("no_picture", language, characters=drawn))
    return OutgoingMessage(text, picture=drawn)


def has_inline_mode(bot: Bot) -> bool:
    """Whether the bot has inline mode, which sharing poems requires."""
    return bool(bot.bot.supports_inline_queries)
