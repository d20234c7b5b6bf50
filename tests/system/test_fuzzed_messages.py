"""Fuzzed messages: no exception; an answer, or a rule for silence; and nothing that Telegram would refuse."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue, connect
from tests.soak import queries
from tests.soak.messages import MENTIONS, NAMES, PLACES, SPACES, Fuzzing, Message, fuzzed_message, valid
from tests.support.fake_bot_api import BOT_NAME
from tests.support.fake_telegram import FakeTelegram

EVERYTHING = st.characters(exclude_categories=())
"""Every plane, control characters and lone surrogates."""
TEXTS = st.one_of(
    st.text(EVERYTHING, min_size=1, max_size=60),
    st.builds(
        "/{}{}{}{}".format,
        st.sampled_from(NAMES),
        st.sampled_from(MENTIONS),
        st.sampled_from(SPACES),
        st.one_of(st.text(EVERYTHING, max_size=40), st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF))),
    ),
    st.builds(lambda text: (text * 4096)[:4096], st.text(EVERYTHING, min_size=1, max_size=4)),
)
MESSAGES = st.builds(
    Message, TEXTS, st.sampled_from(PLACES), st.sampled_from(("zh-hans", "zh-hant", "en", None, "\u202e"))
)


async def fuzz(url: str, messages: list[Message]) -> Fuzzing:
    redis = connect(url)
    try:
        queue = Queue(redis, "fuzz:")
        await queue.prepare()
        fuzzing = Fuzzing(queue)
        await fuzzing.run(messages)
    finally:
        await redis.flushdb()
        await redis.aclose()
    return fuzzing


async def test_invented_messages_are_answered_or_passed_over_by_rule(queue: Queue) -> None:
    fuzzing = Fuzzing(queue)
    await fuzzing.run(fuzzed_message(2000, seed=1))
    assert fuzzing.answered > 500
    assert fuzzing.ignored > 500


async def test_odd_presses_and_inline_queries_are_each_answered_once(queue: Queue, telegram: FakeTelegram) -> None:
    assert await queries.run(queue, telegram, 600, seed=1) > 300


@settings(max_examples=60, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=30))
def test_any_messages_are_answered_or_passed_over_by_rule(own_server: RedisServer, messages: list[Message]) -> None:
    fuzzing = asyncio.run(fuzz(own_server.url, messages))
    assert fuzzing.answered + fuzzing.ignored == len(messages)


@pytest.mark.parametrize(
    "html", ["", " ", "<u>春</u>", "<b>春", "春</b>", "<b><i>春</b></i>", "<b x='1'>春</b>", "<!-- -->春", "\ud800"]
)
def test_what_telegram_would_refuse_is_told_from_what_it_takes(html: str) -> None:
    assert not valid(html)
    assert not valid("春" * 4097)
    assert valid("<b>春</b> &lt; <i>𠮷</i>")


def test_the_fuzzer_speaks_to_this_bot_too() -> None:
    assert any(f"@{BOT_NAME}" in message.text for message in fuzzed_message(100, seed=1))
