"""Laws of sending: what each of Telegram's faults means, and that no message is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
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
from tests.support.waiting import until

LEASE = 0.3
POEM = Poem("continue", "恶龙山山山。", ("恶龙山山山",), "古风", 1, 1, "m")


@contextlib.asynccontextmanager
async def sending(
    queue: Queue, telegram: FakeTelegram, metrics: Metrics | None = None, deadline: float = 3600.0
) -> AsyncIterator[Outbox]:
    """An outbox without gaps and with little patience for an answer."""
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


async def say(queue: Queue, chat: int, text: str = "好", message: int | None = 5, topic: int | None = None) -> None:
    await queue.submit(Reply(Chat(chat, message, topic), "zh-hans", text), f"{chat} {text}")


async def all_done(queue: Queue) -> None:
    """Wait until every reply is acknowledged."""

    async def empty() -> bool:
        return await queue.replies.length() == 0

    await until(empty)


async def test_what_is_sent_is_acknowledged(queue: Queue, telegram: FakeTelegram) -> None:
    async with sending(queue, telegram):
        await say(queue, 1, "<b>好</b>", topic=9)
        [sent] = await telegram.messages(1)
        await all_done(queue)
    assert (sent.text, sent.reply_to, sent.topic) == ("<b>好</b>", 5, 9)


async def test_a_chat_that_must_wait_holds_up_no_other(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.faults.append(Fault("sendMessage", 429, "Too Many Requests", {"retry_after": 1}, chat=1))
    async with sending(queue, telegram):
        await say(queue, 1)
        await say(queue, 2)
        found = await telegram.messages(2)
    assert [sent.chat for sent in found] == [2, 1]


async def test_who_blocked_the_bot_is_given_up_and_nobody_else(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.faults.append(Fault("sendMessage", 403, "Forbidden: bot was blocked by the user", chat=1, times=9))
    metrics = Metrics()
    async with sending(queue, telegram, metrics):
        await say(queue, 1)
        await say(queue, 2)
        await all_done(queue)
    assert [sent.chat for sent in telegram.sent] == [2]
    assert telegram.calls["sendMessage"] == 2
    counted = metrics.take_counts()
    assert counted["poem_telegram_errors_total:Forbidden"] == 1
    assert counted["poem_messages_total:forbidden"] == 1


async def test_a_reply_to_a_deleted_message_comes_without_it(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.lost_messages.add(5)
    async with sending(queue, telegram):
        await say(queue, 1)
        [sent] = await telegram.messages(1)
    assert sent.reply_to is None


@pytest.mark.parametrize("description", ["Bad Request: message thread not found", "Bad Request: TOPIC_CLOSED"])
async def test_a_lost_topic_is_left_for_the_group(queue: Queue, telegram: FakeTelegram, description: str) -> None:
    telegram.faults.append(Fault("sendMessage", 400, description))
    async with sending(queue, telegram):
        await say(queue, -1, topic=9)
        [sent] = await telegram.messages(1)
    assert sent.topic is None


@pytest.mark.parametrize("description", ["Bad Request: chat not found", "Bad Request: message is not modified"])
async def test_a_message_that_can_never_be_sent_is_not_tried_again(
    queue: Queue, telegram: FakeTelegram, description: str
) -> None:
    telegram.faults.append(Fault("sendMessage", 400, description, times=9))
    async with sending(queue, telegram):
        await say(queue, 1)
        await all_done(queue)
    assert telegram.calls["sendMessage"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("sendMessage", 500),
        Fault("sendMessage", 502, "Bad Gateway"),
        Fault("sendMessage", 0),
        Fault("sendMessage", 500, seconds=1.0),
        Fault("sendMessage", 401, "Unauthorized"),
    ],
    ids=["500", "502", "broken", "timeout", "401"],
)
async def test_a_passing_fault_is_waited_out(queue: Queue, telegram: FakeTelegram, fault: Fault) -> None:
    async with sending(queue, telegram):
        telegram.faults.append(fault)
        await say(queue, 1)
        await telegram.messages(1)
        await all_done(queue)
    assert fault.times == 0


async def test_a_group_that_became_a_supergroup_is_followed(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.migrated[-5] = -1005
    async with sending(queue, telegram):
        await say(queue, -5)
        [sent] = await telegram.messages(1)
    assert (sent.chat, sent.reply_to) == (-1005, None)


async def test_a_bot_that_dies_between_sending_and_acknowledging_loses_nothing(
    queue: Queue, telegram: FakeTelegram
) -> None:
    # The answer to the first message is slow; the program that waits for it is gone before it comes.
    telegram.faults.append(Fault("sendMessage", 500, after=True, seconds=0.4))
    request = BotApiRequest(seconds=5.0)
    async with Bot(TOKEN, base_url=telegram.base_url, request=request) as bot:
        outbox = Outbox(
            queue,
            Packer(queue, bot, Blocklist([]), BestEffortSender(bot), None),
            Sender(bot, RateLimiter(1000, 0, 0), Metrics()),
            Metrics(),
            LEASE,
        )
        running = asyncio.create_task(outbox.run())
        await say(queue, 1)
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
        await queue.chats.noticed("1-0", Notice(77, 3))
        await poems.shutdown()
        await packer.tidy(Reply(Chat(1, None, None), "zh-hans", "好", None, "1-0"), 78)
        await telegram.called("deleteMessage")
        await best_effort.stop()


async def test_a_message_that_waits_long_is_not_sent_by_another_bot_as_well(
    queue: Queue, telegram: FakeTelegram
) -> None:
    telegram.faults.append(Fault("sendMessage", 429, "Too Many Requests", {"retry_after": 2}))
    async with sending(queue, telegram), sending(queue, telegram):
        await say(queue, 1)
        await all_done(queue)
    assert len(telegram.sent) == 1


async def test_messages_of_a_chat_keep_their_order(queue: Queue, telegram: FakeTelegram) -> None:
    for number in range(5):
        await say(queue, 1, str(number))
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
    await say(queue, 2)
    async with sending(queue, telegram):
        await all_done(queue)
    assert [sent.chat for sent in telegram.sent] == [2]


NOT_TELEGRAM = [
    Fault("sendMessage", status, body=body)
    for status, body in [
        (400, "<html>Bad Request</html>"),
        (403, "<html>Forbidden by the proxy</html>"),
        (400, '{"message": "chat not found"}'),
        (403, '{"ok": false, "error_code": 400, "description": "Forbidden"}'),
        (200, '{"message": "ok"}'),
        (200, '{"ok": true}'),
        (200, '{"ok": true, "result": true}'),
        (200, '{"ok": true, "result": {"message_id": "5"}}'),
        (200, "[]"),
        (200, '{"ok": true, "result": {"mess'),
        (200, "[" * 100_000),
        (302, ""),
        (400, '{"ok": false, "error_code": 400, "description": ["chat not found"]}'),
        (429, '{"ok": false, "error_code": 429, "description": "slow", "parameters": {"retry_after": -1}}'),
    ]
]


@pytest.mark.parametrize("fault", NOT_TELEGRAM, ids=lambda fault: f"{fault.status} {fault.body[:40]}")
async def test_no_answer_but_telegrams_own_ends_a_reply(
    queue: Queue, telegram: FakeTelegram, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.faults.append(replace(fault))
    async with sending(queue, telegram):
        await say(queue, 1)
        [sent] = await telegram.messages(1)
        await all_done(queue)
    assert sent.text == "好"
    assert "html" not in caplog.text
    assert "mess" not in caplog.text.replace("Message", "").replace("messages", "")


async def test_a_reply_that_is_not_taken_before_its_deadline_waits_among_the_dead(
    queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram
) -> None:
    telegram.faults.append(Fault("sendMessage", 200, body="{}", times=99))
    metrics = Metrics()
    async with sending(queue, telegram, metrics, deadline=0.3):
        await say(queue, 1)
        await redis.xadd(f"{prefix}replies", {"v": "1", "body": "no reply"})
        await all_done(queue)
    dead: Any = await redis.xrange(f"{prefix}dead")
    assert sorted(fields["why"] for _, fields in dead) == ["a reply that Telegram did not take", "an unreadable reply"]
    counted = metrics.take_counts()
    assert counted["poem_messages_total:given_up"] == 1
    assert counted["poem_messages_total:unreadable"] == 1
    telegram.faults.clear()
    [(entry, reply)] = (await queue.dead_letters.replies()).items()
    assert await queue.dead_letters.retry(entry, reply)
    async with sending(queue, telegram):
        [sent] = await telegram.messages(1)
        await all_done(queue)
    assert (sent.chat, sent.text) == (1, "好")


async def test_a_wait_longer_than_the_deadline_is_not_waited(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.faults.append(Fault("sendMessage", 429, "Too Many Requests", {"retry_after": 10**9}, times=99))
    async with sending(queue, telegram, deadline=0.3):
        await say(queue, 1)
        await all_done(queue)
    assert telegram.sent == []


async def test_an_answer_that_drips_for_ever_is_cut_off_and_the_reply_comes(
    queue: Queue, telegram: FakeTelegram
) -> None:
    telegram.faults.append(Fault("sendMessage", 200, body="{" + " " * 10_000, drips=True))
    async with sending(queue, telegram):
        await say(queue, 1)
        [sent] = await telegram.messages(1)
    assert sent.text == "好"


async def test_an_answer_too_large_for_its_method_is_not_read_to_its_end_and_tried_again(
    queue: Queue, telegram: FakeTelegram
) -> None:
    whole = '{"ok": true, "result": {"message_id": 5}, "more": "' + "x" * (1 << 21) + '"}'
    telegram.faults.append(Fault("sendMessage", 200, body=whole))
    async with sending(queue, telegram):
        await say(queue, 1)
        await telegram.messages(1)
        await all_done(queue)


async def test_a_gateways_cookies_are_not_sent_back(telegram: FakeTelegram) -> None:
    request = BotApiRequest(1)
    client = request._new_client()
    answer = httpx.Response(200, headers={"Set-Cookie": "a=1; Path=/"}, request=httpx.Request("GET", "http://a.b/"))
    client.cookies.extract_cookies(answer)
    assert not list(client.cookies.jar)
    await client.aclose()
    await request.shutdown()


async def test_as_many_dripping_answers_as_there_are_connections_block_no_other_chat_for_long(
    queue: Queue, telegram: FakeTelegram
) -> None:
    telegram.faults.append(Fault("sendMessage", 200, body=" " * 10_000, drips=True, times=64))
    async with sending(queue, telegram):
        for chat in range(1, 65):
            await say(queue, chat)
        await telegram.called("sendMessage", 64)
        await say(queue, 65)
        await telegram.messages(1, chat=65)
        await telegram.messages(65)


async def test_a_group_that_moves_in_a_circle_is_not_chased_without_a_pause(
    queue: Queue, telegram: FakeTelegram
) -> None:
    telegram.migrated |= {-5: -1005, -1005: -5}
    async with sending(queue, telegram, deadline=0.5):
        await say(queue, -5)
        await all_done(queue)
    assert telegram.calls["sendMessage"] <= 3


async def test_a_bot_that_was_stalled_sends_nothing_that_another_has_taken_over(
    queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, goes_on = Queue(redis, prefix), asyncio.Event()
    renew = stalled.replies.renew

    async def renew_late(consumer: str, ids: Sequence[str]) -> int:
        await goes_on.wait()
        return await renew(consumer, ids)

    monkeypatch.setattr(stalled.replies, "renew", renew_late)
    monkeypatch.setattr("bot.delivery.sender.BACKOFF_SECONDS", (0.1, 0.1))
    telegram.faults.append(Fault("sendMessage", 500, after=True, seconds=0.4))
    for number in range(5):
        await say(queue, 1, str(number))
    async with sending(stalled, telegram):
        await telegram.messages(1)
        async with sending(queue, telegram):
            await all_done(queue)
            await asyncio.sleep(0.5)
            goes_on.set()
            await asyncio.sleep(0.5)
    # The one that was on its way, again, and the others once.
    assert sorted(sent.text for sent in telegram.sent) == ["0", "0", "1", "2", "3", "4"]


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_messages_keep_telegrams_gaps() -> None:
    clock = Clock()
    pace = RateLimiter(overall=2, private=1.5, group=3.0, clock=clock, sleep=clock.sleep)
    moments = []
    for chat in (1, 2, 3, 1, 4, -1, -1):
        await pace.turn(chat)
        moments.append(clock.now - 100)
    assert moments == [0.0, 0.0, 1.0, 1.5, 2.0, 2.5, 5.5]


async def test_a_message_that_comes_late_delays_none_after_it_while_the_second_has_room() -> None:
    clock = Clock()
    pace = RateLimiter(overall=4, clock=clock, sleep=clock.sleep)
    for chat, arrives in enumerate((0.0, 0.75, 0.75, 0.75, 1.0, 1.25)):
        clock.now = max(clock.now, 100 + arrives)
        await pace.turn(chat)
        assert clock.now == 100 + max(arrives, 1.75 if chat == 5 else 0.0)
