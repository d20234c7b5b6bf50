"""Handles Telegram updates. Whatever must not be lost goes through Redis; nothing is sent from here."""

from __future__ import annotations

import logging
from dataclasses import replace

from telegram import Message, Update

from bot.best_effort import BestEffortSender
from bot.command_menu import CommandMenu
from bot.metrics import Metrics
from bot.submission import Submitter
from bot.updates.admin import ADMIN_COMMANDS, Admin
from bot.updates.callbacks import Callbacks
from bot.updates.commands import (
    ChatCommand,
    closest_command,
    interpret,
    is_for_another_bot,
    parse,
    poem_request,
    possible_heads,
    vary_request,
    without_mention,
)
from bot.updates.inline import InlineQueries
from bot.updates.message_context import MessageContext, sender_of
from bot.views.admin_messages import HELP
from bot.views.messages import LANGUAGES, MessageName, as_language, error_html, examples, message_text, pick
from bot.views.refusals import rate_limited
from engine.contract import PoemError, PoemRequest
from engine.contract.check import CheckRequest
from engine.contract.queue.messages import Kind, Request
from engine.contract.text import symbols
from engine.contract.themes import THEMES

log = logging.getLogger("bot.updates.handlers")

UPDATES_PER_COMMAND = 10
"""How many updates of any kind a sender may cause per command that the limits allow: typing an inline query causes one
per character."""
CANCEL_PAUSE_SECONDS = 60
"""Pause for users who cancelled too often."""
_TEXTS_WITH_BUTTONS: tuple[MessageName, ...] = ("start", "thanks", "praise", "nod", "bye", "complaint")
"""Commands answered with a text and buttons for a poem."""
_TEXTS_ALONE: tuple[MessageName, ...] = ("help", "privacy", "terms", "tail", "by_heart")
"""Commands answered with a text alone."""


class Handlers:
    """``bot_name``: without the @; ``can_draw``: whether pictures are available; ``can_share``: whether the bot has
    inline mode."""

    def __init__(
        self,
        submitter: Submitter,
        best_effort: BestEffortSender,
        bot_name: str,
        bot_id: int,
        menu: CommandMenu,
        metrics: Metrics,
        can_draw: bool,
        can_share: bool,
    ) -> None:
        self._submitter = submitter
        self._chats = submitter.queue.chats
        self._bot_name = bot_name
        self._bot_id = bot_id
        self._menu = menu
        self._metrics = metrics
        self._admin = Admin(submitter.queue)
        queue = submitter.queue
        self._callbacks = Callbacks(
            submitter, queue.chats, queue.cards, queue.locks, best_effort, menu, metrics, can_draw, can_share
        )
        self._inline = InlineQueries(self._callbacks, best_effort, queue, submitter.blocklist)

    async def handle(self, update: Update) -> None:
        """Durable when this returns, so the update may be confirmed. Raises RedisError while Redis is unavailable."""
        sender, limits = sender_of(update), self._submitter.limits
        minute, day = UPDATES_PER_COMMAND * limits.per_minute, UPDATES_PER_COMMAND * limits.per_day
        if sender is not None and not await self._chats.allow(sender, minute, day):
            kind = "over_limit"
        elif update.callback_query is not None:
            kind = "button"
            await self._callbacks.handle(update.callback_query, update.update_id)
        elif update.inline_query is not None:
            kind = "inline"
            await self._inline.offer(update.inline_query)
        elif update.chosen_inline_result is not None:
            kind = "inline_chosen"
            await self._inline.chosen(update.chosen_inline_result, update.update_id)
        elif update.message is not None and (update.message.text or update.message.caption):
            kind = await self._message(update.message, update.update_id)
        elif update.message is not None and "attachment" in update.message.api_kwargs:
            kind = await self._message_without_text(update.message, update.update_id)
        else:
            # For example edited messages, channel posts, members joining and leaving.
            kind = "ignored"
        self._metrics.count("poem_updates_total", kind=kind)

    async def _message(self, message: Message, update_id: int) -> str:
        """Handle a message; returns its kind for the metrics."""
        context = await MessageContext.of(message, update_id, self._chats)
        command = parse(context.text, self._bot_name)
        if command is None:
            return await self._message_without_command(message, context)
        if (context.private or command.named) and (corrected := closest_command(command.name, ADMIN_COMMANDS)):
            command = replace(command, name=corrected)
        return await self._command(message, context, command)

    async def _command(self, message: Message, context: MessageContext, command: ChatCommand) -> str:
        if command.name in ADMIN_COMMANDS and context.user in self._menu.admins:
            await self._admin.handle(command, context)
            return command.name
        request: Request | None = poem_request(command)
        if command.name == "again":
            last = await self._chats.last(_last_request_key(context)) or PoemRequest("theme", "")
            request = vary_request(last, command)
        if isinstance(request, PoemRequest) and request.mode == "theme" and not request.text.strip():
            request = replace(request, text=THEMES[message.message_id % len(THEMES)])
        if command.name == "check":
            request = CheckRequest(command.rest or self._text_replied_to(message))
        if request is not None:
            accepted = await self._submit(context, request)
            if accepted and command.unused_name:
                html = message_text("name_left_out", context.language, unused_name=command.unused_name)
                await self._submitter.reply_unlimited(
                    html, context.to, context.language, f"{context.idempotency_key}:whom"
                )
            return "check" if isinstance(request, CheckRequest) else request.mode
        return await self._answer_command(context, command)

    async def _message_without_command(self, message: Message, context: MessageContext) -> str:
        """A text without a command: in groups only handled if it names the bot or replies to it."""
        text, named = without_mention(context.text, self._bot_name)
        replies_to_bot = self._is_from_bot(message.reply_to_message)
        if is_for_another_bot(context.text, self._bot_name) or not (context.private or named or replies_to_bot):
            return "ignored"
        meaning = interpret(text)
        if isinstance(meaning, ChatCommand):
            return await self._command(message, context, meaning)
        if meaning is not None:
            await self._submit(context, meaning)
            return meaning.mode
        if symbols(text) and not any(character.isalnum() for character in text):
            answer = message_text("wordless", context.language)
        else:
            answer = examples(context.language, message.message_id, possible_heads(text))
        await self._reply_text(context, answer, "welcome")
        return "examples"

    async def _message_without_text(self, message: Message, update_id: int) -> str:
        """A sticker, photo or voice message: one answer in a private chat, and only one per album."""
        context = await MessageContext.of(message, update_id, self._chats)
        if not context.private:
            return "ignored"
        idempotency_key = f"album:{message.media_group_id}" if message.media_group_id else context.idempotency_key
        context = replace(context, idempotency_key=idempotency_key)
        await self._reply_text(context, message_text("wordless", context.language), "welcome")
        return "examples"

    def _text_replied_to(self, message: Message) -> str:
        """The poem in the message replied to; in the bot's own messages a line about it follows."""
        replied_to = message.reply_to_message
        if replied_to is None:
            return ""
        text = replied_to.text or replied_to.caption or ""
        return text.partition("\n\n")[0] if self._is_from_bot(replied_to) else text

    def _is_from_bot(self, message: Message | None) -> bool:
        return message is not None and message.from_user is not None and message.from_user.id == self._bot_id

    async def _submit(self, context: MessageContext, request: Request) -> bool:
        """Queue a request, or answer why not; whether it is queued."""
        to, language, idempotency_key, sender = context.to, context.language, context.idempotency_key, context.sender
        outcome = "accepted"
        try:
            if not await self._submitter.submit(request, to, language, idempotency_key, sender):
                outcome = "silent"
            elif isinstance(request, PoemRequest):
                await self._chats.remember(_last_request_key(context), replace(request, seed=None))
        except PoemError as error:
            outcome = error.code
            if error.code in ("rate_limited", "busy"):
                await self._submitter.reply_unlimited(error_html(error, language), to, language, idempotency_key)
            else:
                await self._reply_text(context, error_html(error, language))
        self._metrics.count("poem_requests_total", door="telegram", outcome=outcome)
        return outcome == "accepted"

    async def _answer_command(self, context: MessageContext, command: ChatCommand) -> str:
        """Answer a command with a text."""
        language = context.language
        answer = next((name for name in (*_TEXTS_WITH_BUTTONS, *_TEXTS_ALONE) if name == command.name), None)
        if answer is not None:
            text = message_text(answer, language)
            if answer == "help" and context.private and context.user in self._menu.admins:
                text = f"{text}\n\n{pick(HELP, language)}"
            await self._reply_text(context, text, "welcome" if answer in _TEXTS_WITH_BUTTONS else "message")
        elif command.name == "cancel":
            # Limited before the queue is read, which is the most expensive command. Each cancelled poem is answered.
            limits, counted = self._submitter.limits, f"cancel:{context.sender}"
            if not await self._chats.allow(counted, limits.per_minute, limits.per_day):
                await self._reply_text(context, error_html(rate_limited(CANCEL_PAUSE_SECONDS), language))
            elif not await self._submitter.cancel(context.to.chat, context.sender, language):
                await self._reply_text(context, message_text("nothing_to_cancel", language))
        elif command.name == "language":
            await self._choose_language(context, command.rest.strip().lower())
        elif command.name in ADMIN_COMMANDS:
            log.warning("/%s refused to user %s", command.name, context.user)
            await self._reply_text(context, message_text("retrain_refused", language))
        elif context.private or command.named:
            await self._reply_text(context, examples(language, context.to.message or 0), "welcome")
            return "examples"
        else:
            return "ignored"
        return command.name

    async def _choose_language(self, context: MessageContext, code: str) -> None:
        if context.user is not None and code in LANGUAGES:
            chosen = as_language(code)
            await self._chats.choose_language(context.user, chosen)
            self._menu.change(context.user, chosen)
            await self._reply_text(context, message_text("language_set", chosen))
            return
        await self._reply_text(context, message_text("language", context.language), "languages")

    async def _reply_text(self, context: MessageContext, html: str, kind: Kind = "message") -> None:
        await self._submitter.reply_text(
            html, context.to, context.language, context.idempotency_key, context.sender, kind
        )


def _last_request_key(context: MessageContext) -> str:
    """The key of a person's last request."""
    return f"{context.to.chat}:{context.sender}"
