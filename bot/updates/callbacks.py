"""Handles presses of inline buttons. Every press is answered at once, and repeated presses do no harm."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import CallbackQuery, InlineKeyboardMarkup, Message

from bot.best_effort import BestEffortSender
from bot.command_menu import CommandMenu
from bot.metrics import Metrics
from bot.submission import Submitter
from bot.updates.message_context import language_for, topic_of
from bot.views import keyboards as buttons
from bot.views.keyboards import AUTOMATIC_LANGUAGE, ButtonAction, button_lock_key
from bot.views.messages import LANGUAGES, Language, error_text, language_of, message_text
from engine.contract import Poem, PoemError, PoemRequest
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
        press = ButtonAction.read(query.data)
        language = await language_for(query.from_user, self.chats)
        if press is not None and press.action == "language":
            await self._choose_language(query, press)
            return
        to = _message_address(query)
        if press is not None and press.action == "theme" and to is not None:
            await self._first_poem(query, press, to, language, update_id)
            return
        card = None if press is None else await self.cards.find(press.card)
        if press is None or card is None or to is None:
            self._answer(query, message_text("old_button", language), alert=True)
        elif press.action in ("forms", "moods", "back"):
            self._change_buttons(query, self._markup(press, card, to, language))
            self._answer(query)
        elif press.action == "picture":
            await self._picture(query, press, card, to, language)
        else:
            await self._poem(query, press, card, to, language, update_id)

    def _markup(self, press: ButtonAction, card: Card, to: TelegramAddress, language: Language) -> InlineKeyboardMarkup:
        if press.action == "forms":
            return buttons.choose_form(press.card, card.request, language)
        if press.action == "moods":
            return buttons.choose_mood(press.card, card.request, language)
        return self._under_poem(press, card, to, language)

    def _under_poem(
        self, press: ButtonAction, card: Card, to: TelegramAddress, language: Language
    ) -> InlineKeyboardMarkup:
        query = buttons.share_query(press.card) if card.poem and self.can_share else ""
        return buttons.under_poem(press.card, language, self.can_draw and isinstance(to, Chat), query)

    async def _first_poem(
        self, query: CallbackQuery, press: ButtonAction, to: TelegramAddress, language: Language, update_id: int
    ) -> None:
        """Request a poem on the button's theme, or on one of the standard themes."""
        request = PoemRequest("theme", press.choice or THEMES[update_id % len(THEMES)])
        refusal = await self.request_poem(request, to, language, f"u{update_id}", f"tg:{query.from_user.id}")
        self._answer_press(query, refusal, language)

    async def _poem(
        self,
        query: CallbackQuery,
        press: ButtonAction,
        card: Card,
        to: TelegramAddress,
        language: Language,
        update_id: int,
    ) -> None:
        request = buttons.request_after(card.request, press)
        if request is None:
            self._answer(query, message_text("old_button", language), alert=True)
            return
        refusal = await self.request_poem(request, to, language, f"u{update_id}", f"tg:{query.from_user.id}")
        if press.action in ("form", "mood"):
            self._change_buttons(query, self._under_poem(press, card, to, language))
        self._answer_press(query, refusal, language)

    async def request_poem(
        self, request: PoemRequest, to: TelegramAddress, language: Language, idempotency_key: str, sender: str
    ) -> Refusal | None:
        """Request a poem unless one is already being written for the same message."""
        lock = button_lock_key(to)
        if not await self.locks.acquire(lock, idempotency_key, self.submitter.seconds + BUTTON_SPARE_SECONDS):
            return Refusal(message_text("already_writing", language), already_writing=True)
        outcome, refusal = "accepted", None
        try:
            if await self.submitter.submit(request, to, language, idempotency_key, sender) is None:
                outcome, refusal = "silent", Refusal(message_text("slower", language))
        except PoemError as error:
            outcome, refusal = error.code, Refusal(error_text(error, language))
        if refusal is not None:
            await self.locks.release(lock)
        self.metrics.count("poem_requests_total", door="telegram", outcome=outcome)
        return refusal

    async def _picture(
        self, query: CallbackQuery, press: ButtonAction, card: Card, to: TelegramAddress, language: Language
    ) -> None:
        if not self.can_draw or not isinstance(card.poem, Poem) or isinstance(to, Inline):
            self._answer(query, message_text("old_button", language), alert=True)
            return
        reply = Reply(to, language, card.poem, card.request, kind="picture")
        verdict = await self.submitter.submit_reply(
            reply, f"p{press.card}:{button_lock_key(to)}", f"tg:{query.from_user.id}"
        )
        if verdict.kind == "accepted":
            self._answer(query, message_text("picture_coming", language))
        else:
            self._answer(query, message_text("picture_sent" if verdict.kind == "duplicate" else "slower", language))

    async def _choose_language(self, query: CallbackQuery, press: ButtonAction) -> None:
        user, chats = query.from_user, self.chats
        language = next((code for code in LANGUAGES if code == press.choice), None)
        if language is None and press.choice != AUTOMATIC_LANGUAGE:
            self._answer(query, message_text("old_button", language_of(user.language_code)), alert=True)
            return
        await chats.choose_language(user.id, language)
        chosen = language or language_of(user.language_code)
        self.menu.change(user.id, language)
        self._answer(query, message_text("language_set", chosen))
        if query.message is not None and query.message.chat.id == user.id:
            message = query.message
            edit = self.best_effort.bot.edit_message_text(
                message_text("language_set", chosen), message.chat.id, message.message_id
            )
            self.best_effort.start(edit)

    def _answer_press(self, query: CallbackQuery, refusal: Refusal | None, language: Language) -> None:
        if refusal is None:
            self._answer(query, message_text("writing", language))
        else:
            self._answer(query, refusal.text, alert=not refusal.already_writing)

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
