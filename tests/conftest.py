"""The servers that tests need, started for them and on data of their own."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.delivery import outbox
from bot.standalone.redis_server import RedisServer
from engine.contract.queue import retry
from engine.contract.queue.store import Queue, connect
from engine.serving import worker
from tests.support.fake_telegram import FakeTelegram
from tests.support.tiny_model import write_model

# As bot/__main__.py does before it imports the library.
os.environ.setdefault("PTB_TIMEDELTA", "true")

# A shell ignores SIGINT for what it starts in the background, and the programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_prefixes = itertools.count()
READ_SECONDS, STOP_RETRY_SECONDS = 0.02, 0.2


@pytest.fixture(autouse=True, scope="session")
def quick_stops() -> Iterator[None]:
    """Bots and workers inside the test's own process end at once when they are stopped, as most tests do twice."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((outbox, "READ_SECONDS"), (worker, "JOB_READ_SECONDS")):
            patch.setattr(module, name, READ_SECONDS)
        patch.setattr(retry, "STOP_RETRY_SECONDS", STOP_RETRY_SECONDS)
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    """A real Redis-protocol server for the whole run; a test keeps to the ``prefix`` it is given."""
    with tempfile.TemporaryDirectory(prefix="poem-tests-") as folder:
        embedded = RedisServer(Path(folder))
        embedded.start()
        yield embedded
        embedded.stop()


@pytest.fixture(scope="session")
def own_server() -> Iterator[RedisServer]:
    """Another one, for a test that empties it again and again."""
    with tempfile.TemporaryDirectory(prefix="poem-tests-") as folder:
        embedded = RedisServer(Path(folder))
        embedded.start()
        yield embedded
        embedded.stop()


@pytest.fixture
def prefix() -> str:
    return f"test{next(_prefixes)}:"


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(server.url)
    yield client
    await client.aclose()


@pytest.fixture
async def queue(redis: Redis, prefix: str) -> AsyncIterator[Queue]:
    """A fresh queue. Afterwards: no key without a time to live but streams, models and languages."""
    queue = Queue(redis, prefix)
    await queue.prepare()
    yield queue
    left = {key.removeprefix(prefix) for key in await immortal(redis, prefix)}
    assert left >= {"jobs:v1", "replies"}
    assert left <= {"jobs:v1", "replies", "dead", "trainings", "model", "versions", "languages"}


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    fake = FakeTelegram()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of toy size, for programs that want a real one."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


async def immortal(redis: Redis, prefix: str) -> set[str]:
    """The keys under ``prefix`` that never expire."""
    return {key async for key in redis.scan_iter(f"{prefix}*") if await redis.ttl(key) < 0}
