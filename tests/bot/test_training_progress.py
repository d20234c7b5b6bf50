"""Laws of telling the administrator: what Telegram refuses for good is not asked for again."""

from __future__ import annotations

import asyncio

import pytest
from telegram import Bot

from bot.bot_api import BotApiRequest
from bot.delivery.training_progress import TrainingProgress
from engine.contract.queue.messages import Chat
from engine.contract.queue.store import Queue
from engine.contract.queue.training import Order
from tests.support.fake_bot_api import TOKEN, Fault
from tests.support.fake_telegram import FakeTelegram
from tests.support.waiting import until


async def test_a_chat_that_does_not_exist_is_written_to_once(
    queue: Queue, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.delivery.training_progress.TRAINING_POLL_SECONDS", 0.05)
    telegram.faults.append(Fault("sendMessage", 400, "Bad Request: chat not found", times=99))
    await queue.trainings.order(Order(1.0, "continue", Chat(7), "zh-hans"), "u1")

    async def closed() -> bool:
        training = await queue.trainings.current()
        return training is not None and training.closed

    request = BotApiRequest()
    bot = Bot(TOKEN, telegram.base_url, request=request, get_updates_request=request)
    training_progress = TrainingProgress(queue, bot)
    running = asyncio.create_task(training_progress.run())
    try:
        await until(closed)
        await asyncio.sleep(0.5)
    finally:
        training_progress.stop()
        await running
        await request.shutdown()
    assert telegram.calls["sendMessage"] == 1
