"""Reports of a training: what Telegram refuses permanently is not retried."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from telegram import Bot

from bot.bot_api import BotApiRequest
from bot.delivery import training_progress
from bot.delivery.training_progress import TrainingProgress
from engine.contract.queue.messages import Chat
from engine.contract.queue.store import Queue
from engine.contract.queue.training import Order
from tests.support.fake_bot_api import TOKEN, Fault
from tests.support.fake_telegram import FakeTelegram
from tests.support.waiting import until


@contextlib.asynccontextmanager
async def telling(queue: Queue, telegram: FakeTelegram) -> AsyncIterator[None]:
    """An order, and a bot that reports on it."""
    await queue.trainings.order(Order(1.0, "continue", Chat(7), "zh-hans"), "u1")
    request = BotApiRequest()
    bot = Bot(TOKEN, telegram.base_url, request=request, get_updates_request=request)
    stopping = asyncio.Event()
    running = asyncio.create_task(TrainingProgress(queue, bot).run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await running
        await request.shutdown()


async def test_a_chat_that_does_not_exist_is_written_to_once(
    queue: Queue, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_progress, "TRAINING_POLL_SECONDS", 0.05)
    telegram.faults.append(Fault("sendMessage", 400, "Bad Request: chat not found", times=99))

    async def closed() -> bool:
        training = await queue.trainings.current()
        return training is not None and training.closed

    async with telling(queue, telegram):
        await until(closed)
        await asyncio.sleep(0.5)
    assert telegram.calls["sendMessage"] == 1


async def test_a_pause_beyond_measure_does_not_silence_a_training(
    queue: Queue, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_progress, "REPORT_BACKOFF_SECONDS", (0.1, 0.1))
    telegram.faults.append(Fault("sendMessage", 429, "Too Many Requests", {"retry_after": 10**9}))
    async with telling(queue, telegram):
        await telegram.messages(1, 7)
