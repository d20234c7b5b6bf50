"""A worker with a stub of the poet, and a bot that polls a fake Bot API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from redis.asyncio import Redis

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue
from tests.support.fake_poet import FakePoet
from tests.support.fake_telegram import FakeTelegram
from tests.support.running import running_bot, running_worker

ADMIN = 42


@pytest.fixture
async def poet(redis: Redis, prefix: str, queue: Queue) -> AsyncIterator[FakePoet]:
    """The poet of a running worker."""
    poet = FakePoet()
    async with running_worker(redis, prefix, poet):
        yield poet


@pytest.fixture
async def chat(server: RedisServer, poet: FakePoet, prefix: str, telegram: FakeTelegram) -> AsyncIterator[FakeTelegram]:
    """Telegram with a bot that polls and has a worker."""
    async with running_bot(server.url, prefix, telegram, ADMIN_IDS=str(ADMIN)):
        yield telegram


@pytest.fixture
async def where(server: RedisServer, queue: Queue, redis: Redis, prefix: str) -> AsyncIterator[str]:
    """The address of a bot without Telegram, which has a worker."""
    async with running_worker(redis, prefix, FakePoet()), running_bot(server.url, prefix) as where:
        yield where


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
