"""Handles presses of inline buttons. Every press is answered at once, and repeated presses do no harm."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import CallbackQuery, InlineKeyboardMarkup, Message

from bot.best_effort import BestEffortSender
from bot.command_menu import CommandMenu
from bot.metrics import Metrics
from bot.submission import Submitter
from bot.updates.message_context import language_for, sender_key, topic_of, update_key
from bot.views import keyboards as buttons
from bot.views.keyboards import AUTOMATIC_LANGUAGE, ButtonAction, button_lock_key
from bot.views.messages import LANGUAGES, Language, MessageName, error_text, language_of, message_text
from engine.contract import PoemError, PoemRequest
from engine.contract.queue.cards import Card, Cards
from engine.contract.queue.chats import Chats
from engine.contract.queue.locks import Locks
from engine.contract.queue.messages import Chat, Inline, Reply, TelegramAddress
from engine.contract.themes import THEMES

MAX_ALERT_CHARACTERS = 200
"""Maximum length of an answer to a press."""
BUTTON_SPARE_SECONDS = 60.0
"""Time beyond the job's deadline after which buttons are unlocked whatever happened to the poem."""


@dataclass(frozen=True)
class Refusal:
    """Why no poem was requested; ``already_writing``: because one is already being written for this message."""

    text: str
    already_writing: bool = False


@dataclass(frozen=True)
class _Press:
    """A press of a button under the message ``to``."""

    query: CallbackQuery
    button: ButtonAction
    to: TelegramAddress
    language: Language
    update_id: int


@dataclass(frozen=True)
class Callbacks:
    """``can_draw``, ``can_share``: whether poems can be drawn, and shared."""

    submitter: Submitter
    chats: Chats
    cards: Cards
    locks: Locks
    best_effort: BestEffortSender
    menu: CommandMenu
    metrics: Metrics
    can_draw: bool
    can_share: bool

    async def handle(self, query: CallbackQuery, update_id: int) -> None:
        """Durable when this returns. Raises RedisError while Redis is unavailable."""
        button, to = ButtonAction.read(query.data), _message_address(query)
        language = await language_for(query.from_user, self.chats)
        if button is not None and button.action == "language":
            await self._choose_language(query, button.choice)
            return
        if button is None or to is None:
            self._refuse_old_button(query, language)
            return
        press = _Press(query, button, to, language, update_id)
        if button.action == "theme":
            await self._poem(press, PoemRequest("theme", button.choice or THEMES[update_id % len(THEMES)]))
            return
        card = await self.cards.find(button.card)
        if card is None:
            self._refuse_old_button(query, language)
        elif button.action in ("forms", "moods", "back"):
            self._change_buttons(query, self._buttons(press, card))
            self._answer(query)
        elif button.action == "picture":
            await self._picture(press, card)
        elif (request := buttons.request_after(card.request, button)) is None:
            self._refuse_old_button(query, language)
        else:
            await self._poem(press, request)
            if button.action in ("form", "mood"):
                self._change_buttons(query, self._buttons(press, card))

    def _buttons(self, press: _Press, card: Card) -> InlineKeyboardMarkup:
        """The buttons that a message has after a press."""
        button, language = press.button, press.language
        if button.action == "forms":
            return buttons.choose_form(button.card, card.request, language)
        if button.action == "moods":
            return buttons.choose_mood(button.card, card.request, language)
        query = buttons.share_query(button.card) if card.poem and self.can_share else ""
        return buttons.under_poem(button.card, language, self.can_draw and isinstance(press.to, Chat), query)

    async def _poem(self, press: _Press, request: PoemRequest) -> None:
        key, sender = update_key(press.update_id), sender_key(press.query.from_user)
        refusal = await self.request_poem(request, press.to, press.language, key, sender)
        if refusal is None:
            self._answer(press.query, message_text("writing", press.language))
        else:
            self._answer(press.query, refusal.text, alert=not refusal.already_writing)

    async def request_poem(
        self, request: PoemRequest, to: TelegramAddress, language: Language, idempotency_key: str, sender: str
    ) -> Refusal | None:
        """Request a poem unless one is already being written for the same message."""
        lock = button_lock_key(to)
        if not await self.locks.acquire(lock, idempotency_key, self.submitter.seconds + BUTTON_SPARE_SECONDS):
            return Refusal(message_text("already_writing", language), already_writing=True)
        outcome, refusal = "accepted", None
        try:
            if not await self.submitter.submit(request, to, language, idempotency_key, sender):
                outcome, refusal = "silent", Refusal(message_text("slower", language))
        except PoemError as error:
            outcome, refusal = error.code, Refusal(error_text(error, language))
        if refusal is not None:
            await self.locks.release(lock)
        self.metrics.count("poem_requests_total", door="telegram", outcome=outcome)
        return refusal

    async def _picture(self, press: _Press, card: Card) -> None:
        to, language = press.to, press.language
        if not self.can_draw or card.poem is None or isinstance(to, Inline):
            self._refuse_old_button(press.query, language)
            return
        reply = Reply(to, language, card.poem, card.request, kind="picture")
        key = f"p{press.button.card}:{button_lock_key(to)}"
        verdict = (await self.submitter.submit_reply(reply, key, sender_key(press.query.from_user))).kind
        name: MessageName = "slower"
        if verdict == "accepted":
            name = "picture_coming"
        elif verdict == "duplicate":
            name = "picture_sent"
        self._answer(press.query, message_text(name, language))

    async def _choose_language(self, query: CallbackQuery, choice: str) -> None:
        user, message = query.from_user, query.message
        language = next((code for code in LANGUAGES if code == choice), None)
        if language is None and choice != AUTOMATIC_LANGUAGE:
            self._refuse_old_button(query, language_of(user.language_code))
            return
        await self.chats.choose_language(user.id, language)
        self.menu.change(user.id, language)
        confirmation = message_text("language_set", language or language_of(user.language_code))
        self._answer(query, confirmation)
        if message is not None and message.chat.id == user.id:
            edit = self.best_effort.bot.edit_message_text
            self.best_effort.start(edit(confirmation, message.chat.id, message.message_id))

    def _refuse_old_button(self, query: CallbackQuery, language: Language) -> None:
        self._answer(query, message_text("old_button", language), alert=True)

    def _answer(self, query: CallbackQuery, text: str | None = None, *, alert: bool = False) -> None:
        text = None if text is None else text[:MAX_ALERT_CHARACTERS]
        self.best_effort.start(self.best_effort.bot.answer_callback_query(query.id, text, show_alert=alert))

    def _change_buttons(self, query: CallbackQuery, markup: InlineKeyboardMarkup) -> None:
        edit = self.best_effort.bot.edit_message_reply_markup
        if query.inline_message_id is not None:
            self.best_effort.start(edit(inline_message_id=query.inline_message_id, reply_markup=markup))
        elif query.message is not None:
            self.best_effort.start(edit(query.message.chat.id, query.message.message_id, reply_markup=markup))


def _message_address(query: CallbackQuery) -> TelegramAddress | None:
    """The message with the pressed button."""
    if query.inline_message_id is not None:
        return Inline(query.inline_message_id)
    message = query.message
    if message is None:
        return None
    return Chat(message.chat.id, message.message_id, topic_of(message) if isinstance(message, Message) else None)
