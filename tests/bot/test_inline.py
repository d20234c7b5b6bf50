"""Inline mode: results are offered at once, and a chosen one is written exactly once, with or without Telegram's
feedback."""

from __future__ import annotations

from bot.standalone.redis_server import RedisServer
from tests.support.fake_poet import FakePoet
from tests.support.fake_telegram import FakeTelegram
from tests.support.running import running_bot


async def test_words_are_offered_as_acrostic_and_continuation_without_writing(
    chat: FakeTelegram, poet: FakePoet
) -> None:
    results = await chat.type_inline("春风十里")
    assert [result["title"] for result in results] == ["藏头：春风十里", "续写：春风十里", "题：春风十里"]
    assert poet.batches == []


async def test_the_chosen_one_is_edited_when_its_poem_comes_and_nothing_else_is_sent(
    chat: FakeTelegram, poet: FakePoet
) -> None:
    results = await chat.type_inline("春风十里")
    sent = await chat.choose(results[0], "春风十里")
    await chat.until(lambda: len(chat.edits) == 1)
    [edit] = chat.edits
    assert edit.inline == sent.inline
    assert edit.plain.startswith("春山")
    assert list(edit.buttons) == ["再来一首", "换体裁", "换意境", "分享"]
    assert (chat.sent, poet.batches) == ([], [["春风十里"]])


async def test_without_feedback_the_button_writes_it_and_pressing_on_adds_nothing(
    chat: FakeTelegram, poet: FakePoet
) -> None:
    poet.may_go_on.clear()
    results = await chat.type_inline("春风十里")
    sent = await chat.choose(results[0], "春风十里", feedback=False)
    words = [(await chat.answered(await chat.press(sent, "写出来", user=user)))["text"] for user in (7, 8)]
    assert words == ["正在写……", "正在写，请稍候。"]
    poet.may_go_on.set()
    await chat.until(lambda: len(chat.edits) == 1)
    assert poet.batches == [["春风十里"]]


async def test_feedback_and_button_together_write_one_poem(chat: FakeTelegram, poet: FakePoet) -> None:
    poet.may_go_on.clear()
    results = await chat.type_inline("春风十里")
    sent = await chat.choose(results[0], "春风十里")
    answer = await chat.answered(await chat.press(sent, "写出来"))
    assert answer["text"] == "正在写，请稍候。"
    poet.may_go_on.set()
    await chat.until(lambda: len(chat.edits) == 1)
    assert poet.batches == [["春风十里"]]


async def test_what_was_written_lately_is_offered_ready(chat: FakeTelegram, poet: FakePoet) -> None:
    await chat.write("/acrostic 春风十里")
    [poem] = await chat.messages(1)
    results = await chat.type_inline("春风十里", user=8)
    assert results[0]["input_message_content"]["message_text"] == poem.text
    await chat.choose(results[0], "春风十里", user=8)
    await chat.write("/acrostic 夏")
    await chat.messages(2)
    assert chat.edits == []
    assert poet.batches == [["春风十里"], ["夏"]]


async def test_another_poem_takes_the_place_of_an_inline_one(chat: FakeTelegram) -> None:
    sent = await chat.choose((await chat.type_inline("春风十里"))[0], "春风十里")
    await chat.until(lambda: len(chat.edits) == 1)
    await chat.answered(await chat.press(sent, "再来一首"))
    await chat.until(lambda: chat.calls["editMessageText"] == 2)
    assert chat.sent == []


async def test_nonsense_is_met_with_a_hint(chat: FakeTelegram) -> None:
    for text in ("", "hello", "春" * 33):
        assert await chat.type_inline(text, language="en") == []
    assert all("Chinese characters" in offer["button"]["text"] for offer in chat.offers.values())


async def test_who_is_too_fast_reads_it_where_the_poem_would_stand_and_may_try_again(
    server: RedisServer, poet: FakePoet, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram, USER_PER_MINUTE="1"):
        await telegram.write("/acrostic 春")
        await telegram.messages(1)
        sent = await telegram.choose((await telegram.type_inline("春风十里"))[0], "春风十里")
        await telegram.until(lambda: len(telegram.edits) == 1)
        assert "太频繁" in telegram.edits[0].plain
        await telegram.answered(await telegram.press(sent, "写出来", user=9))
        await telegram.until(lambda: len(telegram.edits) == 2)
    assert telegram.edits[1].plain.startswith("春山")
