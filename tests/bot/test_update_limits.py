"""The limit on updates: every kind of update counts, and expensive ones are counted before they are handled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bot.standalone.redis_server import RedisServer
from bot.updates.handlers import UPDATES_PER_COMMAND
from engine.contract.queue.store import Queue
from tests.support.fake_telegram import FakeTelegram
from tests.support.running import running_bot

LIMIT = 2
ALLOWED = LIMIT * UPDATES_PER_COMMAND


@pytest.fixture
async def limited_chat(
    server: RedisServer, queue: Queue, prefix: str, telegram: FakeTelegram
) -> AsyncIterator[FakeTelegram]:
    """A bot without a worker, with strict limits."""
    async with running_bot(server.url, prefix, telegram, USER_PER_MINUTE=str(LIMIT), USER_PER_DAY="0"):
        yield telegram


async def test_inline_queries_are_limited_and_so_is_what_they_leave_behind(
    limited_chat: FakeTelegram, redis: Redis, prefix: str
) -> None:
    last = 0
    for number in range(3 * ALLOWED):
        last = limited_chat.update(None)["update_id"]
        person = {"id": 7, "is_bot": False, "first_name": "某"}
        query = {"id": f"q{number}", "from": person, "query": "春" * (1 + number % 8), "offset": ""}
        await limited_chat.put({"update_id": last, "inline_query": query})
    await limited_chat.confirmed(last)
    await limited_chat.type_inline("春", user=8)
    assert len(limited_chat.offers) == ALLOWED + 1


async def test_cancelling_again_and_again_reads_the_queue_no_oftener_than_the_limit(
    limited_chat: FakeTelegram, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    oldest_jobs = Queue.oldest_jobs

    async def counted(self: Queue, count: int) -> object:
        nonlocal looks
        looks += count != 500  # not the reads by the queue notices
        return await oldest_jobs(self, count)

    monkeypatch.setattr(Queue, "oldest_jobs", counted)
    last = 0
    for _ in range(ALLOWED):
        last = await limited_chat.write("/cancel", user=7)
    await limited_chat.confirmed(last)
    assert looks == LIMIT


async def test_presses_and_plain_words_count_as_well_and_others_are_served(limited_chat: FakeTelegram) -> None:
    for _ in range(ALLOWED):
        await limited_chat.write("/nothing", user=7, chat=-5, kind="group")
    await limited_chat.confirmed(await limited_chat.write("/language en", user=7))
    before = len(limited_chat.sent)
    await limited_chat.confirmed(await limited_chat.write("/language en", user=8, chat=8))
    await limited_chat.messages(before + 1)
    assert {sent.chat for sent in limited_chat.sent} == {8}
