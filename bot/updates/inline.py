"""``@bot 春风十里`` in any chat offers an acrostic, a continuation and a theme: finished poems, or written once chosen.

A message sent this way can only be edited. The bot learns which result was chosen if inline feedback is enabled at
BotFather (``/setinlinefeedback``); otherwise a button below the message starts the poem.
"""

from __future__ import annotations

from dataclasses import dataclass

from telegram import (
    ChosenInlineResult,
    InlineQuery,
    InlineQueryResultArticle,
    InlineQueryResultsButton,
    InputTextMessageContent,
)
from telegram.constants import ParseMode

from bot.best_effort import BestEffortSender
from bot.blocklist import Blocklist
from bot.updates.callbacks import Callbacks
from bot.updates.message_context import language_for, sender_key, update_key
from bot.views import keyboards as buttons
from bot.views.messages import Language, MessageName, escape, message_text
from bot.views.poem import poem_html
from engine.contract import PoemError, PoemRequest, outline
from engine.contract.poem import Mode
from engine.contract.queue.cards import Card, digest
from engine.contract.queue.messages import Inline, Reply
from engine.contract.queue.store import Queue

CACHE_SECONDS = 5
"""How long Telegram may repeat an answer to the same user."""
_OFFERED_MODES: tuple[Mode, ...] = ("acrostic", "continue", "theme")
_TITLES: dict[Mode, MessageName] = {
    "acrostic": "inline_acrostic",
    "continue": "inline_continue",
    "theme": "inline_theme",
}
_WRITTEN_PREFIX = "r"
"""Prefix of the ID of a result that is a finished poem."""


@dataclass(frozen=True)
class InlineQueries:
    callbacks: Callbacks
    best_effort: BestEffortSender
    queue: Queue
    blocklist: Blocklist

    async def offer(self, query: InlineQuery) -> None:
        """Answer an inline query. Raises RedisError while Redis is unavailable."""
        queue = self.queue
        language = await language_for(query.from_user, queue.chats)
        if name := buttons.card_of_share_query(query.query):
            card = await queue.cards.find(name)
            if card is not None and card.poem is not None:
                self._answer(query, [_result(card.request, (name, card), language)])
                return
        requests = [
            request for mode in _OFFERED_MODES if self._possible(request := PoemRequest(mode, query.query.strip()))
        ]
        results = []
        for request, ready in zip(requests, await queue.cards.ready(requests) if requests else [], strict=True):
            if ready is None:
                await queue.cards.keep(Card(request))
            results.append(_result(request, ready, language))
        hint = (
            None
            if results
            else InlineQueryResultsButton(message_text("inline_empty", language)[:64], start_parameter="inline")
        )
        self._answer(query, results, hint)

    def _answer(
        self, query: InlineQuery, results: list[InlineQueryResultArticle], hint: InlineQueryResultsButton | None = None
    ) -> None:
        answer = self.best_effort.bot.answer_inline_query
        self.best_effort.start(answer(query.id, results, cache_time=CACHE_SECONDS, is_personal=True, button=hint))

    async def chosen(self, result: ChosenInlineResult, update_id: int) -> None:
        """Request the chosen poem. Raises RedisError while Redis is unavailable."""
        if result.inline_message_id is None or result.result_id.startswith(_WRITTEN_PREFIX):
            return
        card = await self.queue.cards.find(result.result_id)
        if card is None:
            return
        language, to = await language_for(result.from_user, self.queue.chats), Inline(result.inline_message_id)
        key = update_key(update_id)
        refusal = await self.callbacks.request_poem(card.request, to, language, key, sender_key(result.from_user))
        if refusal is not None and not refusal.already_writing:
            # The button below the message retries.
            reply = Reply(to, language, escape(refusal.text), card.request)
            await self.queue.submit(reply, f"{key}!")

    def _possible(self, request: PoemRequest) -> bool:
        try:
            outline(request)
            self.blocklist.check(request)
        except PoemError:
            return False
        return True


def _result(request: PoemRequest, ready: tuple[str, Card] | None, language: Language) -> InlineQueryResultArticle:
    title = message_text(_TITLES[request.mode], language, text=request.text)
    if ready is not None and ready[1].poem is not None:
        name, poem = ready[0], ready[1].poem
        return InlineQueryResultArticle(
            f"{_WRITTEN_PREFIX}{name}",
            title,
            InputTextMessageContent(poem_html(poem, request, language), ParseMode.HTML),
            reply_markup=buttons.under_poem(name, language, picture=False),
            description=message_text("inline_written", language, line="，".join(poem.lines[:2])),
        )
    name = digest(request)
    return InlineQueryResultArticle(
        name,
        title,
        InputTextMessageContent(message_text("inline_writing", language, text=request.text), ParseMode.HTML),
        reply_markup=buttons.write_button(name, language),
        description=message_text("inline_unwritten", language),
    )
