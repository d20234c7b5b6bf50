"""The administrators' commands ``/retrain``, ``/model`` and ``/stats``. Answers go through the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.daily_stats import stats
from bot.updates.commands import ChatCommand
from bot.updates.message_context import MessageContext
from bot.views import admin_messages as texts
from bot.views.messages import Language, pick
from engine.contract.codec import encode_text
from engine.contract.queue.messages import Chat, Reply
from engine.contract.queue.models import Requester
from engine.contract.queue.store import Queue
from engine.contract.queue.training import FINAL_PHASES, Order

ADMIN_COMMANDS = ("retrain", "model", "stats")
MIN_EPOCHS, MAX_EPOCHS = 0.01, 100.0
"""Epochs."""
_START_WORDS: dict[str, Literal["continue", "scratch"]] = {
    "continue": "continue", "继续": "continue", "繼續": "continue",
    "scratch": "scratch", "从头": "scratch", "從頭": "scratch",
}  # fmt: skip
_STATUS_WORDS, _CANCEL_WORDS = ("status", "状态", "狀態"), ("cancel", "取消")


@dataclass(frozen=True)
class Admin:
    queue: Queue

    async def handle(self, command: ChatCommand, context: MessageContext) -> None:
        """Durable when this returns. Raises RedisError while Redis is unavailable."""
        language = context.language
        if not context.private:
            answer: str | None = pick(texts.PRIVATE, language)
        elif command.name == "stats":
            answer = await stats(self.queue, language)
        elif command.name == "model":
            answer = await self._model(command.rest.split(), context.to, language)
        else:
            answer = await self._retrain(command.rest.lower().split(), context)
        if answer is not None:
            await self.queue.submit(Reply(context.to, language, answer), context.idempotency_key)

    async def _retrain(self, words: list[str], context: MessageContext) -> str | None:
        """The answer; None if the progress message is the answer."""
        language = context.language
        if len(words) == 1 and words[0] in _STATUS_WORDS:
            return await self._status(language)
        if len(words) == 1 and words[0] in _CANCEL_WORDS:
            return await self._cancel(language)
        order = read_order(words, context.to, language)
        if order is None:
            return pick(texts.USAGE, language)
        trainings = self.queue.trainings
        if not await trainings.trainers.alive():
            return pick(texts.NO_TRAINER, language)
        kind, _ = await trainings.order(order, context.idempotency_key)
        return await self._status(language) if kind == "running" else None

    async def _status(self, language: Language) -> str:
        training = await self.queue.trainings.current()
        if training is None:
            return pick(texts.NO_TRAINING, language)
        alive = await self.queue.trainings.trainers.alive() > 0
        return texts.progress(training.order, training.report, alive, language)

    async def _cancel(self, language: Language) -> str:
        training = await self.queue.trainings.current()
        if training is None or training.report.phase in FINAL_PHASES:
            return pick(texts.NO_TRAINING, language)
        await self.queue.trainings.cancel(training)
        return pick(texts.CANCELLING, language)

    async def _model(self, words: list[str], to: Chat, language: Language) -> str:
        models = self.queue.models
        versions = await models.versions()
        if not words:
            return texts.versions(versions, (await models.serving()).values(), await models.desired(), language)
        if len(words) != 2 or words[0].lower() != "use":
            return pick(texts.MODEL_USAGE, language)
        if words[1] not in versions:
            return texts.unknown_version(words[1], language)
        # A repeated update repeats the request, which changes nothing, but not the answer.
        await models.use(words[1], encode_text(Requester(to, language)))
        return texts.version_changing(words[1], language)


def read_order(words: list[str], to: Chat, language: Language) -> Order | None:
    """Parse ``[epochs] [continue|scratch]``; None: it is something else."""
    epochs, start = 1.0, _START_WORDS["continue"]
    rest = list(words)
    if rest and rest[0] not in _START_WORDS:
        try:
            epochs = float(rest.pop(0).removesuffix("轮").removesuffix("輪"))
        except ValueError:
            return None
    if rest and rest[0] in _START_WORDS:
        start = _START_WORDS[rest.pop(0)]
    # This comparison is also False for NaN.
    return Order(epochs, start, to, language) if not rest and MIN_EPOCHS <= epochs <= MAX_EPOCHS else None
