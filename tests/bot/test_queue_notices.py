"""Waiting: "typing", the notice of the queue position, its end, and ``/cancel``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bot.delivery.queue_notices import crosses_milestone, waiting_text
from bot.standalone.redis_server import RedisServer
from engine.contract import PoemRequest
from engine.contract.queue.messages import Chat, Job
from engine.contract.queue.store import Queue
from engine.contract.queue.workers import Status
from tests.support.fake_poet import FakePoet
from tests.support.fake_telegram import FakeTelegram
from tests.support.running import running_bot, running_worker


@pytest.fixture
async def waiting_chat(
    server: RedisServer, queue: Queue, prefix: str, telegram: FakeTelegram
) -> AsyncIterator[FakeTelegram]:
    """A bot without a worker, so that everybody waits."""
    async with running_bot(server.url, prefix, telegram):
        yield telegram


async def test_who_waits_sees_typing_and_then_their_place_and_neither_when_the_poem_is_there(
    waiting_chat: FakeTelegram, redis: Redis, prefix: str
) -> None:
    await waiting_chat.write("/acrostic 春", chat=-7, kind="supergroup", topic=3)
    await waiting_chat.until(lambda: (-7, "typing", 3) in waiting_chat.actions)
    await waiting_chat.until(lambda: len(waiting_chat.hushed) == 1)
    [notice] = waiting_chat.hushed
    assert "排在第1位" in notice.plain
    assert notice.topic == 3
    async with running_worker(redis, prefix, FakePoet()):
        [poem] = await waiting_chat.messages(1)
        await waiting_chat.until(lambda: notice.number in waiting_chat.deleted)
    assert poem.plain.startswith("春")
    assert len(waiting_chat.hushed) == 1


async def test_the_notice_follows_the_way_to_the_front(
    waiting_chat: FakeTelegram, queue: Queue, redis: Redis, prefix: str
) -> None:
    for number in range(3):
        job = Job(PoemRequest("acrostic", "前"), Chat(900 + number), "en", time.time() + 60)
        await queue.submit(job, f"before{number}")
    await waiting_chat.write("/acrostic 春", language="en")
    await waiting_chat.until(lambda: any(sent.chat == 7 for sent in waiting_chat.hushed))
    [notice] = [sent for sent in waiting_chat.hushed if sent.chat == 7]
    assert "Number 4" in notice.plain
    for delivery in await queue.jobs.take("somebody", 2, 0):
        await queue.jobs.finish(delivery.id)
    await waiting_chat.until(lambda: any(edit.number == notice.number for edit in waiting_chat.edits))
    assert "Number 2" in waiting_chat.shown[notice.number][0]


async def test_a_notice_outlives_the_bot_that_sent_it(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram):
        await telegram.write("/acrostic 春")
        await telegram.until(lambda: len(telegram.hushed) == 1)
        await telegram.called("sendMessage")
    async with running_bot(server.url, prefix, telegram), running_worker(redis, prefix, FakePoet()):
        await telegram.messages(1)
        await telegram.until(lambda: telegram.hushed[0].number in telegram.deleted)
    assert len(telegram.hushed) == 1


async def test_a_poem_that_comes_at_once_has_no_notice(waiting_chat: FakeTelegram, redis: Redis, prefix: str) -> None:
    async with running_worker(redis, prefix, FakePoet()):
        await waiting_chat.write("/acrostic 春")
        await waiting_chat.messages(1)
    assert waiting_chat.hushed == []


async def test_cancelling_ends_what_one_waits_for_here_and_nothing_of_others(
    waiting_chat: FakeTelegram, queue: Queue
) -> None:
    group = {"chat": -7, "kind": "supergroup"}
    mine = await waiting_chat.write("/acrostic 春", user=1, **group)
    await waiting_chat.write("/acrostic 夏", user=2, **group)
    await waiting_chat.write("/acrostic 秋", user=1, chat=1)
    await waiting_chat.until(lambda: len(waiting_chat.hushed) == 3)
    await waiting_chat.write("/cancel", user=1, **group)
    [sent] = await waiting_chat.messages(1)
    assert (sent.plain, sent.reply_to) == ("已取消。", mine)
    await waiting_chat.until(lambda: len(waiting_chat.deleted) == 1)
    left = [queued.job.request for queued in await queue.oldest_jobs(10)]
    assert [r.text for r in left if isinstance(r, PoemRequest)] == ["夏", "秋"]


async def test_cancelling_nothing_is_said(waiting_chat: FakeTelegram) -> None:
    await waiting_chat.write("/cancel")
    [sent] = await waiting_chat.messages(1)
    assert "没有正在等待的诗" in sent.plain


async def test_a_cancelled_poem_does_not_come_all_the_same(
    waiting_chat: FakeTelegram, queue: Queue, redis: Redis, prefix: str
) -> None:
    poet = FakePoet()
    poet.may_go_on.clear()
    async with running_worker(redis, prefix, poet):
        await waiting_chat.write("/acrostic 春")
        while not poet.batches:
            await waiting_chat.called("getUpdates")
            await queue.status()
        await waiting_chat.write("/cancel")
        await waiting_chat.messages(1)
        poet.may_go_on.set()
        await waiting_chat.write("/acrostic 夏")
        found = await waiting_chat.messages(2)
    assert found[1].plain.startswith("夏")


@pytest.mark.parametrize(
    ("told", "place", "worth"),
    [(4, 4, False), (4, 3, True), (13, 9, False), (13, 8, True), (88, 56, False), (88, 55, True), (1, 0, True)],
)
def test_a_notice_is_edited_at_sparse_places(told: int, place: int, worth: bool) -> None:
    assert crosses_milestone(told, place) is worth


def test_a_place_has_its_share_of_the_whole_wait() -> None:
    status = Status(waiting=9, workers=1, wait_seconds=20)
    assert "4 s" in waiting_text(2, status, "en")
    assert "no worker" in waiting_text(2, Status(9, 0, 20), "en")
