"""A bot and a worker with a stub of the poet inside the test's own process, for tests that kill nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

from redis.asyncio import Redis

from bot.app import App
from bot.settings import BotSettings
from engine.contract.queue.store import Queue
from engine.serving.worker import Worker
from tests.support.fake_bot_api import TOKEN
from tests.support.fake_poet import FakePoet
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import answers, free_port
from tests.support.waiting import until


@contextlib.asynccontextmanager
async def running_bot(url: str, prefix: str, telegram: FakeTelegram | None = None, **more: str) -> AsyncIterator[str]:
    """A ready bot; yields the address of its HTTP server. ``more``: settings by the names of their environment
    variables."""
    environ = {"REDIS_URL": url, "KEY_PREFIX": prefix, "HTTP_PORT": str(free_port()), "USER_PER_MINUTE": "0", **more}
    if telegram is not None:
        environ |= {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_BASE_URL": telegram.base_url}
    settings = BotSettings.read(environ, None)
    app = App(settings)
    running = asyncio.create_task(app.run())
    where = f"http://127.0.0.1:{settings.http_port}"
    try:
        await answers(f"{where}/healthz")
        yield where
    finally:
        app.stop()
        await running


@contextlib.asynccontextmanager
async def running_worker(redis: Redis, prefix: str, poet: FakePoet, lease: float = 0.5) -> AsyncIterator[Worker]:
    """A worker, once it is alive."""
    queue = Queue(redis, prefix)
    before = (await queue.status()).workers
    worker = Worker(queue, poet, lease)
    running = asyncio.create_task(worker.run())
    try:
        await until(partial(_more_than, queue, before))
        yield worker
    finally:
        poet.may_go_on.set()
        worker.stop()
        await running


async def _more_than(queue: Queue, workers: int) -> bool:
    return (await queue.status()).workers > workers
