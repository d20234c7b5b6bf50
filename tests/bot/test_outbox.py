"""The outbox: no message is lost, and none is sent by two bots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from telegram import Bot

from bot.best_effort import BestEffortSender
from bot.blocklist import Blocklist
from bot.bot_api import BotApiRequest
from bot.delivery.outbox import Outbox
from bot.delivery.packer import Packer
from bot.delivery.rate_limit import RateLimiter
from bot.delivery.sender import Sender
from bot.metrics import Metrics
from engine.contract import Poem, PoemRequest
from engine.contract.queue.chats import Notice
from engine.contract.queue.messages import Chat, Reply
from engine.contract.queue.store import Queue
from tests.support.fake_bot_api import TOKEN, Fault
from tests.support.fake_telegram import FakeTelegram
from tests.support.sending import LEASE, all_done, queue_text, sending

POEM = Poem("continue", "恶龙山山山。", ("恶龙山山山",), "古风", 1, 1, "m")


async def test_what_is_sent_is_acknowledged(queue: Queue, telegram: FakeTelegram) -> None:
    async with sending(queue, telegram):
        await queue_text(queue, 1, "<b>好</b>", topic=9)
        [sent] = await telegram.messages(1)
        await all_done(queue)
    assert (sent.text, sent.reply_to, sent.topic) == ("<b>好</b>", 5, 9)


async def test_a_chat_that_must_wait_holds_up_no_other(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.faults.append(Fault("sendMessage", 429, "Too Many Requests", {"retry_after": 1}, chat=1))
    async with sending(queue, telegram):
        await queue_text(queue, 1)
        await queue_text(queue, 2)
        found = await telegram.messages(2)
    assert [sent.chat for sent in found] == [2, 1]


async def test_a_bot_that_dies_between_sending_and_acknowledging_loses_nothing(
    queue: Queue, telegram: FakeTelegram
) -> None:
    # The answer to the first message is slow, and its bot has ended before it arrives.
    telegram.faults.append(Fault("sendMessage", 500, after=True, seconds=0.4))
    request = BotApiRequest(seconds=5.0)
    async with Bot(TOKEN, base_url=telegram.base_url, request=request) as bot:
        outbox = Outbox(
            queue,
            Packer(queue, bot, Blocklist([]), BestEffortSender(bot), None),
            Sender(bot, RateLimiter(1000, 0, 0), Metrics(), 3600.0),
            Metrics(),
            LEASE,
        )
        running = asyncio.create_task(outbox.run())
        await queue_text(queue, 1)
        await telegram.messages(1)
        while not running.done():  # a single cancellation may be swallowed by a read that ends at the same moment
            running.cancel()
            await asyncio.wait({running}, timeout=0.2)
    async with sending(queue, telegram):
        found = await telegram.messages(2)
        await all_done(queue)
    assert [sent.chat for sent in found] == [1, 1]


async def test_notices_are_deleted_through_other_connections_than_poems_are_sent_by(
    queue: Queue, telegram: FakeTelegram
) -> None:
    poems, rest = (Bot(TOKEN, base_url=telegram.base_url, request=BotApiRequest(1, seconds=5.0)) for _ in range(2))
    async with poems, rest:
        best_effort = BestEffortSender(rest)
        packer = Packer(queue, poems, Blocklist([]), best_effort, None)
        await queue.chats.save_notice("1-0", Notice(77, 3))
        await poems.shutdown()
        await packer.clean_up(Reply(Chat(1, None, None), "zh-hans", "好", None, "1-0"), 78)
        await telegram.called("deleteMessage")
        await best_effort.stop()


async def test_a_message_that_waits_long_is_not_sent_by_another_bot_as_well(
    queue: Queue, telegram: FakeTelegram
) -> None:
    telegram.faults.append(Fault("sendMessage", 429, "Too Many Requests", {"retry_after": 2}))
    async with sending(queue, telegram), sending(queue, telegram):
        await queue_text(queue, 1)
        await all_done(queue)
    assert len(telegram.sent) == 1


async def test_messages_of_a_chat_keep_their_order(queue: Queue, telegram: FakeTelegram) -> None:
    for number in range(5):
        await queue_text(queue, 1, str(number))
    telegram.faults.append(Fault("sendMessage", 500))
    async with sending(queue, telegram):
        found = await telegram.messages(5)
    assert [sent.text for sent in found] == list("01234")


async def test_a_finished_poem_with_a_blocked_word_is_refused_instead(queue: Queue, telegram: FakeTelegram) -> None:
    async with sending(queue, telegram):
        request = PoemRequest("continue", "山")
        await queue.submit(Reply(Chat(1), "zh-hans", POEM, request), "1")
        [sent] = await telegram.messages(1)
    assert "龙" not in sent.text
    assert "不宜使用" in sent.text


async def test_a_reply_that_telegram_cannot_take_is_put_away(queue: Queue, telegram: FakeTelegram) -> None:
    await queue.submit(Reply(Chat(1), "zh-hans", ""), "empty")
    await queue_text(queue, 2)
    async with sending(queue, telegram):
        await all_done(queue)
    assert [sent.chat for sent in telegram.sent] == [2]


async def test_a_reply_that_is_not_taken_before_its_deadline_waits_among_the_dead(
    queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram
) -> None:
    telegram.faults.append(Fault("sendMessage", 200, body="{}", times=99))
    metrics = Metrics()
    async with sending(queue, telegram, metrics, deadline=0.3):
        await queue_text(queue, 1)
        await redis.xadd(f"{prefix}replies", {"v": "1", "body": "no reply"})
        await all_done(queue)
    dead: Any = await redis.xrange(f"{prefix}dead")
    assert sorted(fields["why"] for _, fields in dead) == ["a reply that Telegram did not take", "an unreadable reply"]
    counted = metrics.take_counts()
    assert counted["poem_messages_total:given_up"] == 1
    assert counted["poem_messages_total:unreadable"] == 1
    telegram.faults.clear()
    [(entry, reply)] = [(dead.id, dead.mail) for dead in await queue.dead_letters.letters() if dead.mail is not None]
    assert isinstance(reply, Reply)
    assert await queue.dead_letters.retry(entry, reply)
    async with sending(queue, telegram):
        [sent] = await telegram.messages(1)
        await all_done(queue)
    assert (sent.chat, sent.text) == (1, "好")


async def test_a_bot_that_was_stalled_sends_nothing_that_another_has_taken_over(
    queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, goes_on = Queue(redis, prefix), asyncio.Event()
    renew = stalled.replies.renew

    async def renew_late(consumer: str, ids: Sequence[str]) -> int:
        await goes_on.wait()
        return await renew(consumer, ids)

    monkeypatch.setattr(stalled.replies, "renew", renew_late)
    monkeypatch.setattr("bot.delivery.sender.SEND_BACKOFF_SECONDS", (0.1, 0.1))
    telegram.faults.append(Fault("sendMessage", 500, after=True, seconds=0.4))
    for number in range(5):
        await queue_text(queue, 1, str(number))
    async with sending(stalled, telegram):
        await telegram.messages(1)
        async with sending(queue, telegram):
            await all_done(queue)
            await asyncio.sleep(0.5)
            goes_on.set()
            await asyncio.sleep(0.5)
    # The message that was being sent is sent twice, all others once.
    assert sorted(sent.text for sent in telegram.sent) == ["0", "0", "1", "2", "3", "4"]
