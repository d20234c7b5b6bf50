"""Calls to the Bot API: only well-formed answers count, and none can delay the others."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from bot.bot_api import BotApiRequest
from engine.contract.queue.store import Queue
from tests.support.fake_bot_api import Fault
from tests.support.fake_telegram import FakeTelegram
from tests.support.sending import all_done, queue_text, sending

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
        await queue_text(queue, 1)
        [sent] = await telegram.messages(1)
        await all_done(queue)
    assert sent.text == "好"
    assert "html" not in caplog.text
    assert "mess" not in caplog.text.replace("Message", "").replace("messages", "")


async def test_an_answer_that_drips_for_ever_is_cut_off_and_the_reply_comes(
    queue: Queue, telegram: FakeTelegram
) -> None:
    telegram.faults.append(Fault("sendMessage", 200, body="{" + " " * 10_000, drips=True))
    async with sending(queue, telegram):
        await queue_text(queue, 1)
        [sent] = await telegram.messages(1)
    assert sent.text == "好"


async def test_an_answer_too_large_for_its_method_is_not_read_to_its_end_and_tried_again(
    queue: Queue, telegram: FakeTelegram
) -> None:
    whole = '{"ok": true, "result": {"message_id": 5}, "more": "' + "x" * (1 << 21) + '"}'
    telegram.faults.append(Fault("sendMessage", 200, body=whole))
    async with sending(queue, telegram):
        await queue_text(queue, 1)
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
            await queue_text(queue, chat)
        await telegram.called("sendMessage", 64)
        await queue_text(queue, 65)
        await telegram.messages(1, chat=65)
        await telegram.messages(65)
