"""What a Telegram update leads to. Everything said goes through Redis; nothing is sent from here."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from telegram import Message, Update
from telegram.constants import ChatType

from bot.admin import COMMANDS, Admin
from bot.commands import Command, addressed_elsewhere, parse, poem_request
from bot.desk import Desk
from bot.metrics import Metrics
from bot.texts import Language, Name, error_html, language_of, say
from engine.contract import PoemError, PoemRequest
from engine.contract.queue_mail import Chat

log = logging.getLogger("bot.handlers")

_WORDS: dict[str, Name] = {"start": "start", "help": "help", "privacy": "privacy"}


@dataclass(frozen=True)
class Handlers:
    """``bot_name``: without the @."""

    desk: Desk
    bot_name: str
    admins: frozenset[int]
    admin: Admin
    metrics: Metrics

    async def handle(self, update: Update) -> None:
        """Durable when it returns: the update may then be confirmed. Raises RedisError while Redis is gone."""
        message = update.message
        if message is None or message.text is None:
            # Edited messages, channel posts, pictures, members that come and go.
            self.metrics.count("poem_updates_total", kind="ignored")
            return
        visit = _Visit(message, update.update_id)
        command = parse(message.text, self.bot_name)
        if command is not None and command.name in COMMANDS and visit.user in self.admins:
            self.metrics.count("poem_updates_total", kind=command.name)
            await self.admin.handle(command, visit.private, visit.to, visit.language, visit.guard)
            return
        if command is None or (request := poem_request(command)) is None:
            name = self._words(visit, command)
            self.metrics.count("poem_updates_total", kind=name or "ignored")
            if name is not None:
                await self.desk.say(say(name, visit.language), visit.to, visit.language, visit.guard, visit.sender)
            return
        self.metrics.count("poem_updates_total", kind=request.mode)
        await self._poem(visit, request)

    async def _poem(self, visit: _Visit, request: PoemRequest) -> None:
        to, language, guard, sender = visit.to, visit.language, visit.guard, visit.sender
        outcome = "accepted"
        try:
            if await self.desk.ask(request, to, language, guard, sender) is None:
                outcome = "silent"
        except PoemError as error:
            outcome = error.code
            if error.code in ("rate_limited", "busy"):
                await self.desk.refuse(error, to, language, guard)
            else:
                await self.desk.say(error_html(error, language), to, language, guard, sender)
        self.metrics.count("poem_requests_total", door="telegram", outcome=outcome)

    def _words(self, visit: _Visit, command: Command | None) -> Name | None:
        """Which text answers a message that asks for no poem; None: silence."""
        if command is not None and command.name in _WORDS:
            return _WORDS[command.name]
        if command is not None and command.name in COMMANDS:
            log.warning("/%s refused to user %s", command.name, visit.user)
            return "retrain_refused"
        return "hint" if visit.private and not addressed_elsewhere(visit.text, self.bot_name) else None


class _Visit:
    """Who wrote, from where, in which language."""

    def __init__(self, message: Message, update_id: int) -> None:
        self.text = message.text or ""
        self.private = message.chat.type == ChatType.PRIVATE
        # Only a forum's topics can be written to by their number; other threads have one too.
        topic = message.message_thread_id if message.is_topic_message else None
        self.to = Chat(message.chat.id, message.message_id, topic)
        self.user = None if message.from_user is None else message.from_user.id
        # Anonymous administrators and channels share one user; the chat they speak as tells them apart.
        self.sender = f"tg:{message.sender_chat.id if message.sender_chat else self.user}"
        self.language: Language = language_of(message.from_user.language_code if message.from_user else None)
        self.guard = f"u{update_id}"
