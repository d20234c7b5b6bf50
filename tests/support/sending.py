"""An outbox that sends to the fake Telegram, without pauses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from telegram import Bot

from bot.best_effort import BestEffortSender
from bot.blocklist import Blocklist
from bot.bot_api import BotApiRequest
from bot.delivery.outbox import Outbox
from bot.delivery.packer import Packer
from bot.delivery.rate_limit import RateLimiter
from bot.delivery.sender import Sender
from bot.metrics import Metrics
from engine.contract.queue.messages import Chat, Reply
from engine.contract.queue.store import Queue
from tests.support.fake_bot_api import TOKEN
from tests.support.fake_telegram import FakeTelegram
from tests.support.waiting import until

LEASE = 0.3


@contextlib.asynccontextmanager
async def sending(
    queue: Queue, telegram: FakeTelegram, metrics: Metrics | None = None, deadline: float = 3600.0
) -> AsyncIterator[Outbox]:
    """An outbox without rate limits and with a short timeout for answers."""
    request = BotApiRequest(64, seconds=0.5)
    async with Bot(TOKEN, base_url=telegram.base_url, request=request) as bot:
        metrics = metrics or Metrics()
        packer = Packer(queue, bot, Blocklist(["恶龙"]), BestEffortSender(bot), None)
        outbox = Outbox(queue, packer, Sender(bot, RateLimiter(1000, 0, 0), metrics, deadline), metrics, LEASE)
        running = asyncio.create_task(outbox.run())
        try:
            yield outbox
        finally:
            outbox.stop()
            await running


async def queue_text(
    queue: Queue, chat: int, text: str = "好", message: int | None = 5, topic: int | None = None
) -> None:
    await queue.submit(Reply(Chat(chat, message, topic), "zh-hans", text), f"{chat} {text}")


async def all_done(queue: Queue) -> None:
    """Wait until every reply is acknowledged."""

    async def empty() -> bool:
        return await queue.replies.length() == 0

    await until(empty)
