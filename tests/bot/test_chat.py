"""The chat: every kind of message through a running bot, a fake Bot API and a stub of the poet."""

from __future__ import annotations

import re
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue
from tests.bot.conftest import ADMIN
from tests.support.fake_bot_api import BOT_NAME
from tests.support.fake_poet import REFUSED, FakePoet
from tests.support.fake_telegram import FakeTelegram
from tests.support.running import running_bot, running_worker


async def answer_to(telegram: FakeTelegram, text: str, **options: Any) -> str:
    """The answer to a message, in a chat of its own so that nothing waits for the rate limit."""
    options = {"chat": len(telegram.handed_out) + 500} | options
    await telegram.write(text, **options)
    [sent] = await telegram.messages(1, options["chat"])
    return sent.plain


async def is_ignored(chat: FakeTelegram, number: int) -> bool:
    """Whether an update was handled without any answer; a later one that is answered proves that the first is not just
    late."""
    await chat.confirmed(number)
    before = len(chat.sent)
    await answer_to(chat, "/help", chat=999_000 + number)
    return len(chat.sent) == before + 1


async def test_a_line_is_continued_and_the_reply_answers_its_message(chat: FakeTelegram) -> None:
    number = await chat.write("/continue 老夫聊发少年狂")
    [sent] = await chat.messages(1)
    assert sent.plain.startswith("老夫聊发少年狂，")
    assert sent.plain.endswith("七律")
    assert (sent.chat, sent.reply_to, sent.topic) == (7, number, None)


async def test_an_acrostic_has_its_heads_in_bold(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 七言 春风十里 | 大漠孤烟直")
    [sent] = await chat.messages(1)
    assert re.findall("<b>(.)</b>", sent.text) == list("春风十里")
    assert "大漠" not in sent.text


async def test_traditional_heads_come_back_as_they_were_written(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 長安月", language="zh-hant")
    [sent] = await chat.messages(1)
    assert re.findall("<b>(.)</b>", sent.text) == list("長安月")


BAD = [
    ("/continue", "请写上首句"),
    ("/acrostic ", "请写上藏头"),
    ("/continue hello world", "汉字"),
    ("/continue ，。？", "汉字"),
    ("/continue <b>春</b>", "汉字"),
    (f"/continue {'春' * 33}", "最多32字"),
    (f"/acrostic {'春' * 21}", "最多20字"),
    ("/continue 春\x07风", "控制字符"),
    ("/continue 五绝 七个字的句子啊", "五字"),
    ("/continue 六绝 床前明月光", "没有“六绝”"),
    ("/continue 五言 床前明月光", "只用于藏头诗"),
    (f"/continue 床前明月光 | {'春' * 65}", "最多64字"),
    ("/acrostic 支那猪", "不宜使用"),
    (f"/acrostic {REFUSED}", "不写"),
]


async def test_bad_input_is_answered_in_words(chat: FakeTelegram) -> None:
    for number, (text, _) in enumerate(BAD):
        await chat.write(text, chat=100 + number)
    for number, (text, words) in enumerate(BAD):
        [sent] = await chat.messages(1, 100 + number)
        assert words in sent.plain, text


async def test_people_are_answered_in_their_language(chat: FakeTelegram) -> None:
    assert "These two work" in await answer_to(chat, "hi you", language="en")
    assert "體裁" in await answer_to(chat, "/help", language="zh-TW")
    assert "体裁" in await answer_to(chat, "/start", language=None)
    assert "Chinese characters" in await answer_to(chat, "/continue hello", language="fr")


async def test_every_command_of_words_is_answered(chat: FakeTelegram) -> None:
    assert "/continue" in await answer_to(chat, "/start")
    assert "/acrostic" in await answer_to(chat, "/help")
    assert "队列" in await answer_to(chat, "/privacy")
    assert "/help" in await answer_to(chat, "/nonsense")


async def test_retraining_is_refused_to_all_but_admins_who_hear_what_to_install(chat: FakeTelegram) -> None:
    assert "管理员" in await answer_to(chat, "/retrain 1")
    assert "管理员" in await answer_to(chat, "/model")
    assert "没有训练进程" in await answer_to(chat, "/retrain 1", user=ADMIN)
    assert "用法" in await answer_to(chat, "/retrain nan", user=ADMIN)
    assert "没有训练" in await answer_to(chat, "/retrain status", user=ADMIN)
    assert "私聊" in await answer_to(chat, "/retrain 1", user=ADMIN, chat=-7, kind="supergroup")


async def test_a_group_is_answered_only_when_it_asks_this_bot(chat: FakeTelegram) -> None:
    group: dict[str, Any] = {"chat": -100, "kind": "supergroup"}
    for text in ("春风十里", "/nonsense", "/acrostic@other_bot 春", "hello"):
        assert await is_ignored(chat, await chat.write(text, **group))
    assert (await answer_to(chat, f"/acrostic@{BOT_NAME} 春风十里", **group)).startswith("春")


async def test_a_private_message_for_another_bot_is_not_answered(chat: FakeTelegram) -> None:
    assert await is_ignored(chat, await chat.write("/acrostic@other_bot 春"))


async def test_a_topic_is_kept(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 春", chat=-100, kind="supergroup", topic=33)
    [sent] = await chat.messages(1, -100)
    assert sent.topic == 33


async def test_a_thread_that_is_no_topic_is_not_written_to(chat: FakeTelegram) -> None:
    await chat.write("/acrostic 春", chat=-101, kind="supergroup", extra={"message_thread_id": 12})
    [sent] = await chat.messages(1, -101)
    assert sent.topic is None


STICKER = {
    "file_id": "f", "file_unique_id": "u", "type": "regular", "width": 1, "height": 1,
    "is_animated": False, "is_video": False,
}  # fmt: skip
NOT_NEW_TEXT: list[tuple[str | None, dict[str, Any]]] = [
    ("/acrostic 春", {"field": "edited_message"}),
    ("/acrostic 春", {"field": "channel_post", "chat": -300, "kind": "channel"}),
    (None, {"extra": {"sticker": STICKER}, "chat": -6, "kind": "group"}),
    (None, {"extra": {"pinned_message": {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}}}}),
    (None, {"extra": {"migrate_to_chat_id": -1005}, "chat": -5, "kind": "group"}),
]


async def test_what_is_no_new_text_message_is_ignored(chat: FakeTelegram, caplog: pytest.LogCaptureFixture) -> None:
    for text, options in NOT_NEW_TEXT:
        assert await is_ignored(chat, await chat.write(text, **options))
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_command_in_a_caption_is_a_command(chat: FakeTelegram) -> None:
    await chat.write(None, extra={"photo": [], "caption": "/acrostic 春风"})
    [sent] = await chat.messages(1)
    assert sent.plain.startswith("春山")


async def test_a_sticker_in_a_private_chat_gets_one_line_and_an_album_no_more(chat: FakeTelegram) -> None:
    await chat.write(None, extra={"sticker": STICKER}, chat=61)
    [sent] = await chat.messages(1, 61)
    assert "只看得懂文字" in sent.plain
    assert "写一首诗" in sent.buttons
    for _ in range(3):
        last = await chat.write(None, extra={"photo": [], "media_group_id": "g1"}, chat=62)
    await chat.confirmed(last)
    assert await answer_to(chat, "/acrostic 春", chat=63)
    assert len(await chat.messages(1, 62)) == 1


async def test_the_welcome_has_a_button_that_writes_a_poem_at_once(chat: FakeTelegram) -> None:
    await chat.write("/start")
    [welcome] = await chat.messages(1)
    for label in ("写一首诗", "思乡"):
        answer = await chat.answered(await chat.press(welcome, label))
        assert answer["text"] == "正在写……"
        await chat.until(lambda: chat.sent[-1].plain.startswith("山山山山山山山，"))
        await chat.messages(2 if label == "写一首诗" else 3)
    assert chat.sent[-1].plain.endswith("七绝\n题：思乡")


async def test_another_poem_is_what_was_asked_for_last(chat: FakeTelegram) -> None:
    await chat.write("/continue 七绝 老夫聊发少年狂", chat=71)
    await chat.messages(1, 71)
    await chat.write("再来一首", chat=71)
    _, again = await chat.messages(2, 71)
    assert again.plain.startswith("老夫聊发少年狂，")
    assert again.plain.endswith("七绝")
    assert (await answer_to(chat, "再来一首", chat=72)).count("山") == 28


async def test_words_work_in_a_group_after_the_bots_name(chat: FakeTelegram) -> None:
    assert (await answer_to(chat, f"@{BOT_NAME} 藏头 春风", chat=-81, kind="supergroup")).startswith("春山")
    assert await is_ignored(chat, await chat.write("藏头 春风", chat=-82, kind="supergroup"))


async def test_what_is_left_out_is_said_and_english_readers_get_the_form_explained(chat: FakeTelegram) -> None:
    assert (await answer_to(chat, "/continue 春眠不觉晓❤", chat=91)).endswith("五律\n略去：❤")
    assert "Regulated verse: 8 lines of 5 characters" in await answer_to(
        chat, "/continue 春眠不觉晓", chat=92, language="en"
    )


async def test_an_admins_help_names_the_admins_commands(chat: FakeTelegram) -> None:
    text = await answer_to(chat, "/help", user=ADMIN, chat=ADMIN)
    assert all(name in text for name in ("/retrain", "/model", "/stats"))
    assert "/retrain" not in await answer_to(chat, "/help", chat=94)


async def test_telegram_is_told_what_the_bot_is_for(chat: FakeTelegram) -> None:
    await chat.until(lambda: len(chat.descriptions) == 4)
    assert "写古诗" in chat.descriptions["short_description", "zh"]
    assert "spring" in chat.descriptions["description", ""]


async def test_a_poem_is_shared_by_whoever_has_it_and_by_nobody_else(chat: FakeTelegram) -> None:
    await chat.write("/continue 七绝 老夫聊发少年狂")
    [poem] = await chat.messages(1)
    query = poem.buttons["分享"]
    [found] = await chat.type_inline(query)
    assert found["input_message_content"]["message_text"].startswith("老夫聊发少年狂，")
    assert await chat.type_inline(query[:-4] + "0000") == []


async def test_a_repeated_update_is_answered_once(chat: FakeTelegram) -> None:
    again = chat.update("/acrostic 春")
    await chat.put(again)
    await chat.messages(1)
    await chat.confirmed(again["update_id"])
    # As if the bot had died before confirming them.
    await chat.put(again)
    assert await is_ignored(chat, again["update_id"])


async def test_a_flood_is_answered_politely_once_and_others_are_served(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram
) -> None:
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, telegram, USER_PER_MINUTE="2"),
    ):
        flood = [await telegram.write("/acrostic 春", chat=100 + n, user=1) for n in range(20)]
        await telegram.confirmed(flood[-1])
        assert (await answer_to(telegram, "/acrostic 夏", user=2)).startswith("夏")
        of_flood = [sent.plain for sent in telegram.sent if sent.chat < 200]
    assert sum(text.startswith("春") for text in of_flood) == 2
    assert sum("太频繁" in text for text in of_flood) == 1
    assert len(of_flood) == 3


async def test_a_full_queue_is_said_at_once_and_what_was_accepted_is_written(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram, QUEUE_MAX="2"):
        for number in range(3):
            await telegram.write("/acrostic 春", chat=100 + number)
        [refusal] = await telegram.messages(1)
        assert refusal.chat == 102
        assert "秒" in refusal.plain
        async with running_worker(redis, prefix, FakePoet()):
            await telegram.messages(1, 100)
            await telegram.messages(1, 101)


async def test_without_any_worker_the_user_hears_of_it_after_the_deadline(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram, JOB_DEADLINE="0.2", LEASE="0.2"):
        assert "暂时没有运行" in await answer_to(telegram, "/acrostic 春")
    assert (await queue.status()).waiting == 0


async def test_a_name_that_is_left_out_of_a_poem_is_told_in_one_line_with_the_way_to_send_it(
    chat: FakeTelegram,
) -> None:
    await chat.write("a birthday poem for Li Ming", language="en")
    told = await chat.messages(2)
    [line] = [sent.plain for sent in told if "Li Ming" in sent.plain]
    assert line.count("\n") == 0
    assert "leaves out" in line
    assert "/acrostic 李明" in line


async def test_a_name_left_out_is_told_of_accepted_poems_alone_and_costs_nothing(
    server: RedisServer, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram, USER_PER_MINUTE="2"):
        for chat, answers in ((7, 1), (8, 1), (9, 0)):
            await telegram.write("a birthday poem for Li Ming", language="en", chat=chat)
            told = [sent.plain for sent in await telegram.messages(1, chat)]
            assert sum("leaves out" in text for text in told) == answers
