"""Polling: no update ends the bot or blocks others, and failures are retried with pauses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram import Update

from bot.bot_api import BotApiRequest
from bot.metrics import Metrics
from bot.updates import polling
from bot.updates.polling import UpdatePoller
from bot.updates.reading import UnreadableUpdateError, read_update
from tests.support.fake_bot_api import TOKEN, Fault
from tests.support.fake_telegram import FakeTelegram

UNREADABLE: list[dict[str, Any]] = [
    {"message": 7},
    {"message": []},
    {"message": {}},
    {"message": {"message_id": "one"}},
    {"message": {"message_id": 1, "chat": {"type": "private"}}},
    {"message": {"message_id": 1, "chat": {"id": "seven", "type": "private"}}},
    {"message": {"message_id": 1, "chat": {"id": 7, "type": "private"}, "text": 5}},
    {"message": {"message_id": 1, "date": 10**30, "chat": {"id": 7, "type": "private"}}},
    {"message": {"message_id": 1, "chat": {"id": 7, "type": "private"}, "from": {"id": 10**30}}},
    {"callback_query": {"id": 5, "from": {"id": 7}}},
    {"callback_query": {"id": "5"}},
    {"inline_query": {"id": "5", "from": {"id": 7}, "query": None}},
    {"chosen_inline_result": {"from": {"id": 7}}},
]


class PollingRun:
    """Collects what the poller passes on."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []
        self.metrics = Metrics()

    async def handle(self, update: Update) -> None:
        self.texts.append(update.message.text if update.message else None)


@contextlib.asynccontextmanager
async def reading(telegram: FakeTelegram) -> AsyncIterator[PollingRun]:
    """A running poller, which must not have ended when the test is over."""
    found, stopping = PollingRun(), asyncio.Event()
    request = BotApiRequest(1)
    reader = UpdatePoller(request, telegram.base_url + TOKEN, found.handle, found.metrics)
    task = asyncio.create_task(reader.run(stopping))
    try:
        yield found
        assert not task.done()
    finally:
        stopping.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await request.shutdown()


async def test_updates_that_cannot_be_read_are_passed_over_and_those_behind_are_handled(
    telegram: FakeTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    for bad in UNREADABLE:
        number = telegram.update("")["update_id"]
        await telegram.put({"update_id": number} | bad)
    last = [await telegram.write(str(number)) for number in range(10)][-1]
    async with reading(telegram) as found:
        await telegram.confirmed(last)
    assert found.texts == [str(number) for number in range(10)]
    assert found.metrics.take_counts()["poem_updates_total:unreadable"] == len(UNREADABLE)
    assert "seven" not in caplog.text


async def test_what_the_bot_does_not_read_of_an_update_cannot_break_it(telegram: FakeTelegram) -> None:
    odd = {"entities": 5, "photo": "p", "new_chat_members": [{}], "via_bot": [], "edit_date": "x", "made_up": {}}
    last = await telegram.write("春", extra=odd)
    async with reading(telegram) as found:
        await telegram.confirmed(last)
    assert found.texts == ["春"]


ODD_ANSWERS = [
    '{"message": "ok"}',
    "<html>Please log in</html>",
    "null",
    '{"ok": true}',
    '{"ok": true, "result": {}}',
    '{"ok": true, "result": []}',
    '{"ok": true, "result": [7, null, {"update_id": "x"}, {"update_id": true}, {"update_id": -1}]}',
    '{"ok": true, "result": [{"update_id": 99999999999999999999}]}',
    '{"ok": true, "result": [{"update_id": 5, "message": 7}]}',
    '{"ok": true, "result": [{"update_id": 5}]}',
]


@pytest.mark.parametrize("body", ODD_ANSWERS)
async def test_whatever_getupdates_answers_polling_goes_on_and_pauses(
    telegram: FakeTelegram, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "POLL_BACKOFF_SECONDS", (0.2, 0.2))
    telegram.faults.append(Fault("getUpdates", 200, body=body, times=4))
    last = await telegram.write("春")
    async with reading(telegram) as found:
        await asyncio.sleep(0.1)
        # Without a pause, all four would have been requested by now.
        assert telegram.calls["getUpdates"] <= 2
        await telegram.confirmed(last)
    assert "春" in found.texts


async def test_what_is_asked_for_as_a_pause_is_not_taken_beyond_measure(
    telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "MAX_POLL_PAUSE_SECONDS", 0.1)
    telegram.faults.append(Fault("getUpdates", 429, "Too Many Requests", {"retry_after": 10**9}))
    last = await telegram.write("春")
    async with reading(telegram):
        await telegram.confirmed(last)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "callback_query", "inline_query", "from", "chat", "id", "type", "update_id"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_an_update_or_unreadable_and_nothing_else(raw: object) -> None:
    with contextlib.suppress(UnreadableUpdateError):
        assert isinstance(read_update(raw), Update)
