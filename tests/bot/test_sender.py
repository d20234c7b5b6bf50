"""How each kind of error from Telegram is handled."""

from __future__ import annotations

import pytest

from bot.metrics import Metrics
from engine.contract.queue.store import Queue
from tests.support.fake_bot_api import Fault
from tests.support.fake_telegram import FakeTelegram
from tests.support.sending import all_done, queue_text, sending


async def test_who_blocked_the_bot_is_given_up_and_nobody_else(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.faults.append(Fault("sendMessage", 403, "Forbidden: bot was blocked by the user", chat=1, times=9))
    metrics = Metrics()
    async with sending(queue, telegram, metrics):
        await queue_text(queue, 1)
        await queue_text(queue, 2)
        await all_done(queue)
    assert [sent.chat for sent in telegram.sent] == [2]
    assert telegram.calls["sendMessage"] == 2
    counted = metrics.take_counts()
    assert counted["poem_telegram_errors_total:Forbidden"] == 1
    assert counted["poem_messages_total:forbidden"] == 1


async def test_a_reply_to_a_deleted_message_comes_without_it(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.lost_messages.add(5)
    async with sending(queue, telegram):
        await queue_text(queue, 1)
        [sent] = await telegram.messages(1)
    assert sent.reply_to is None


@pytest.mark.parametrize("description", ["Bad Request: message thread not found", "Bad Request: TOPIC_CLOSED"])
async def test_a_lost_topic_is_left_for_the_group(queue: Queue, telegram: FakeTelegram, description: str) -> None:
    telegram.faults.append(Fault("sendMessage", 400, description))
    async with sending(queue, telegram):
        await queue_text(queue, -1, topic=9)
        [sent] = await telegram.messages(1)
    assert sent.topic is None


@pytest.mark.parametrize("description", ["Bad Request: chat not found", "Bad Request: message is not modified"])
async def test_a_message_that_can_never_be_sent_is_not_tried_again(
    queue: Queue, telegram: FakeTelegram, description: str
) -> None:
    telegram.faults.append(Fault("sendMessage", 400, description, times=9))
    async with sending(queue, telegram):
        await queue_text(queue, 1)
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
        await queue_text(queue, 1)
        await telegram.messages(1)
        await all_done(queue)
    assert fault.times == 0


async def test_a_group_that_became_a_supergroup_is_followed(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.migrated[-5] = -1005
    async with sending(queue, telegram):
        await queue_text(queue, -5)
        [sent] = await telegram.messages(1)
    assert (sent.chat, sent.reply_to) == (-1005, None)


async def test_a_wait_longer_than_the_deadline_is_not_waited(queue: Queue, telegram: FakeTelegram) -> None:
    telegram.faults.append(Fault("sendMessage", 429, "Too Many Requests", {"retry_after": 10**9}, times=99))
    async with sending(queue, telegram, deadline=0.3):
        await queue_text(queue, 1)
        await all_done(queue)
    assert telegram.sent == []


async def test_a_group_that_moves_in_a_circle_is_not_chased_without_a_pause(
    queue: Queue, telegram: FakeTelegram
) -> None:
    telegram.migrated |= {-5: -1005, -1005: -5}
    async with sending(queue, telegram, deadline=0.5):
        await queue_text(queue, -5)
        await all_done(queue)
    assert telegram.calls["sendMessage"] <= 3
