"""Keys that hold another type than this program keeps there."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from redis.asyncio import Redis

from engine.contract import PoemRequest
from engine.contract.queue.client import WrongTypeError
from engine.contract.queue.messages import Chat, Job
from engine.contract.queue.store import Queue
from engine.serving.worker import Worker
from tests.support.fake_poet import FakePoet
from tests.support.waiting import until


@pytest.mark.parametrize("name", ["jobs:v1", "replies", "workers"])
async def test_a_key_of_another_type_is_named_once_and_when_it_is_gone_all_goes_on(
    queue: Queue, redis: Redis, prefix: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = f"{prefix}{name}"

    async def complained() -> bool:
        return key in caplog.text

    async def written() -> bool:
        return await queue.replies.length() > 0

    await redis.delete(key)
    await redis.set(key, "somebody else's")
    worker = Worker(queue, FakePoet(), 0.3)
    working = asyncio.create_task(worker.run())
    await until(complained)
    await asyncio.sleep(1.0)  # it is tried again meanwhile
    [error] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"the key {key} (string) is of another type" in error
    await redis.delete(key)
    request = PoemRequest(mode="acrostic", text="春")

    async def submitted() -> bool:
        await queue.submit(Job(request, Chat(7), "en", time.time() + 60), "1")
        return True

    await until(submitted)
    await until(written)
    worker.stop()
    await working


async def test_of_the_keys_of_a_script_those_are_named_that_exist(queue: Queue, redis: Redis, prefix: str) -> None:
    await redis.delete(f"{prefix}jobs:v1")
    await redis.set(f"{prefix}jobs:v1", "somebody else's")
    with pytest.raises(WrongTypeError, match=rf"the key {prefix}jobs:v1 \(string\)"):
        await queue.status()
    await redis.delete(f"{prefix}jobs:v1")
    await queue.prepare()
