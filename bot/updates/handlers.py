"""Handles Telegram updates. Whatever must not be lost goes through Redis; nothing is sent from here."""

from __future__ import annotations

import logging
from dataclasses import replace

from telegram import Message, Update

from bot.best_effort import BestEffortSender
from bot.command_menu import Menu
from bot.metrics import Metrics
from bot.submission import Submitter
from bot.updates.admin import COMMANDS, Admin
from bot.updates.callbacks import Callbacks
from bot.updates.commands import (
    Command,
    addressed_elsewhere,
    hidable,
    nearest,
    parse,
    poem_request,
    spoken,
    varied,
    without_mention,
)
from bot.updates.inline import Inlines
from bot.updates.message_context import MessageContext, sender_of
from bot.views.admin_messages import HELP
from bot.views.messages import LANGUAGES, Name, as_language, error_html, examples, pick, say
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
_INVITATIONS: tuple[Name, ...] = ("start", "thanks", "praise", "nod", "bye", "complaint")
"""Commands answered with a text and buttons for a poem."""
_EXPLANATIONS: tuple[Name, ...] = ("help", "privacy", "terms", "tail", "by_heart")
"""Commands answered with a text alone."""


class Handlers:
    """``name``: of the bot, without the @; ``number``: the bot's own user ID."""

    def __init__(
        self,
        submitter: Submitter,
        best_effort: BestEffortSender,
        name: str,
        number: int,
        menu: Menu,
        metrics: Metrics,
        picture: bool,
        inline: bool,
    ) -> None:
        self._submitter = submitter
        self._chats = submitter.queue.chats
        self._name = name
        self._number = number
        self._menu = menu
        self._metrics = metrics
        self._admin = Admin(submitter.queue)
        queue = submitter.queue
        self._callbacks = Callbacks(
            submitter, queue.chats, queue.cards, queue.locks, best_effort, menu, metrics, picture, inline
        )
        self._inline = Inlines(self._callbacks, best_effort, queue, submitter.blocklist)

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
            kind = await self._wordless(update.message, update.update_id)
        else:
            # For example edited messages, channel posts, members joining and leaving.
            kind = "ignored"
        self._metrics.count("poem_updates_total", kind=kind)

    async def _message(self, message: Message, update_id: int) -> str:
        """Handle a message; returns its kind for the metrics."""
        context = await MessageContext.of(message, update_id, self._chats)
        command = parse(context.text, self._name)
        if command is None:
            return await self._uncommanded(message, context)
        if (context.private or command.named) and (meant := nearest(command.name, COMMANDS)):
            command = replace(command, name=meant)
        return await self._command(message, context, command)

    async def _command(self, message: Message, context: MessageContext, command: Command) -> str:
        if command.name in COMMANDS and context.user in self._menu.admins:
            await self._admin.handle(command, context.private, context.to, context.language, context.idempotency_key)
            return command.name
        request: Request | None = poem_request(command)
        if command.name == "again":
            last = await self._chats.last(_last_request_key(context)) or PoemRequest("theme", "")
            request = varied(last, command)
        if isinstance(request, PoemRequest) and request.mode == "theme" and not request.text.strip():
            request = replace(request, text=THEMES[message.message_id % len(THEMES)])
        if command.name == "check":
            request = CheckRequest(command.rest or self._replied(message))
        if request is not None:
            accepted = await self._ask(context, request)
            if accepted and command.whom:
                html = say("name_left_out", context.language, whom=command.whom)
                await self._submitter.remark(html, context.to, context.language, f"{context.idempotency_key}:whom")
            return "check" if isinstance(request, CheckRequest) else request.mode
        return await self._say(context, command)

    async def _uncommanded(self, message: Message, context: MessageContext) -> str:
        """A text without a command: in groups only handled if it names the bot or replies to it."""
        text, named = without_mention(context.text, self._name)
        answered = message.reply_to_message
        replies = answered is not None and answered.from_user is not None and answered.from_user.id == self._number
        if addressed_elsewhere(context.text, self._name) or not (context.private or named or replies):
            return "ignored"
        wanted = spoken(text)
        if isinstance(wanted, Command):
            return await self._command(message, context, wanted)
        if wanted is not None:
            await self._ask(context, wanted)
            return wanted.mode
        if symbols(text) and not any(character.isalnum() for character in text):
            answer = say("wordless", context.language)
        else:
            answer = examples(context.language, message.message_id, hidable(text))
        await self._words(context, answer, "welcome")
        return "examples"

    async def _wordless(self, message: Message, update_id: int) -> str:
        """A sticker, photo or voice message: one answer in a private chat, and only one per album."""
        context = await MessageContext.of(message, update_id, self._chats)
        if not context.private:
            return "ignored"
        idempotency_key = f"album:{message.media_group_id}" if message.media_group_id else context.idempotency_key
        context = replace(context, idempotency_key=idempotency_key)
        await self._words(context, say("wordless", context.language), "welcome")
        return "examples"

    def _replied(self, message: Message) -> str:
        """The poem in the message replied to; in the bot's own messages a line about it follows."""
        answered = message.reply_to_message
        if answered is None:
            return ""
        text = answered.text or answered.caption or ""
        mine = answered.from_user is not None and answered.from_user.id == self._number
        return text.partition("\n\n")[0] if mine else text

    async def _ask(self, context: MessageContext, request: Request) -> bool:
        """Queue a request, or answer why not; whether it is queued."""
        to, language, idempotency_key, sender = context.to, context.language, context.idempotency_key, context.sender
        outcome = "accepted"
        try:
            if await self._submitter.submit(request, to, language, idempotency_key, sender) is None:
                outcome = "silent"
            elif isinstance(request, PoemRequest):
                await self._chats.remember(_last_request_key(context), replace(request, seed=None))
        except PoemError as error:
            outcome = error.code
            if error.code in ("rate_limited", "busy"):
                await self._submitter.reply_error(error, to, language, idempotency_key)
            else:
                await self._words(context, error_html(error, language))
        self._metrics.count("poem_requests_total", door="telegram", outcome=outcome)
        return outcome == "accepted"

    async def _say(self, context: MessageContext, command: Command) -> str:
        """Answer a command with a text."""
        language = context.language
        answer = next((name for name in (*_INVITATIONS, *_EXPLANATIONS) if name == command.name), None)
        if answer is not None:
            text = say(answer, language)
            if answer == "help" and context.private and context.user in self._menu.admins:
                text = f"{text}\n\n{pick(HELP, language)}"
            await self._words(context, text, "welcome" if answer in _INVITATIONS else "message")
        elif command.name == "cancel":
            # Limited before the queue is read, which is the most expensive command. Each cancelled poem is answered.
            limits, counted = self._submitter.limits, f"cancel:{context.sender}"
            if not await self._chats.allow(counted, limits.per_minute, limits.per_day):
                await self._words(context, error_html(rate_limited(CANCEL_PAUSE_SECONDS), language))
            elif not await self._submitter.cancel(context.to.chat, context.sender, language):
                await self._words(context, say("nothing_to_cancel", language))
        elif command.name == "language":
            await self._language(context, command.rest.strip().lower())
        elif command.name in COMMANDS:
            log.warning("/%s refused to user %s", command.name, context.user)
            await self._words(context, say("retrain_refused", language))
        elif context.private or command.named:
            await self._words(context, examples(language, context.to.message or 0), "welcome")
            return "examples"
        else:
            return "ignored"
        return command.name

    async def _language(self, context: MessageContext, wanted: str) -> None:
        if context.user is not None and wanted in LANGUAGES:
            chosen = as_language(wanted)
            await self._chats.choose_language(context.user, chosen)
            self._menu.change(context.user, chosen)
            await self._words(context, say("language_set", chosen))
            return
        await self._words(context, say("language", context.language), "languages")

    async def _words(self, context: MessageContext, html: str, kind: Kind = "message") -> None:
        await self._submitter.reply_text(
            html, context.to, context.language, context.idempotency_key, context.sender, kind
        )


def _last_request_key(context: MessageContext) -> str:
    """The key of a person's last request."""
    return f"{context.to.chat}:{context.sender}"
