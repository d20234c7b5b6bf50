"""``/check``, lines without a command, languages and menus."""

from __future__ import annotations

from typing import Any

import pytest

from bot.standalone.redis_server import RedisServer
from bot.updates.commands import ChatCommand, interpret, parse, poem_request, without_mention
from bot.views.check import examination_html
from bot.views.messages import _EXAMPLES, LANGUAGES, in_script
from engine.contract import PoemRequest, outline
from engine.contract.check import CheckRequest, Examination, ProsodyFault
from engine.contract.queue.store import Queue
from engine.contract.script import Script
from engine.generation.poet import RELEASED, read_prosody
from engine.prosody.check import examine_lines
from tests.bot.conftest import ADMIN
from tests.bot.test_chat import answer_to, is_ignored
from tests.support.fake_bot_api import BOT_NAME
from tests.support.fake_telegram import FakeTelegram
from tests.support.running import running_bot

STORK = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
ME = {"id": 123456, "is_bot": True, "first_name": "诗", "username": BOT_NAME}
SOMEBODY = {"id": 5, "is_bot": False, "first_name": "某"}


def reply_to(text: str, author: dict[str, Any], chat: int) -> dict[str, Any]:
    kind = "private" if chat > 0 else "supergroup"
    answered = {"message_id": 1, "date": 1, "chat": {"id": chat, "type": kind}, "from": author, "text": text}
    return {"extra": {"reply_to_message": answered}}


async def test_a_poem_is_examined_typed_or_replied_to(chat: FakeTelegram) -> None:
    for text in (
        await answer_to(chat, f"/check {STORK}"),
        await answer_to(chat, "/check", **reply_to(f"{STORK}\n\n五绝 · 十一尤", ME, 501)),
        await answer_to(chat, "/check", **reply_to(STORK, SOMEBODY, 502)),
    ):
        assert text.startswith("五绝·仄起首句不入韵 · 十一尤\n韵脚：流、楼\n白日依山尽\n仄仄平平仄\n")
        assert text.splitlines()[-1].startswith("无误")


def examine_text(text: str) -> Examination:
    return examine_lines(CheckRequest(text).lines(), read_prosody(RELEASED), Script())


def test_the_tone_that_was_wanted_is_said_place_by_place() -> None:
    found = examine_text("春江潮水连海平，海上明月共潮生。滟滟随波千万里，何处春江无月明。")
    told = examination_html(found, "zh-hans")
    assert "第1句第6字「海」：<b>应仄而平" not in told
    assert "第1句第6字「海」：<b>应平而仄</b>" in told
    assert "春江潮水连海平\n平平平仄平<b>仄</b>平" in told
    assert "character 6 海: <b>平仄</b>, the wrong tone; level 平 is required" in examination_html(found, "en")
    guping = examination_html(examine_text("白日依山尽，月河入海流。欲穷千里目，更上一层楼。"), "zh-hans")
    assert guping.count("孤平") == 1


def test_what_was_pasted_keeps_its_glyphs_whoever_reads() -> None:
    pasted = "《登鸛雀樓》 王之渙\n白日依山盡，黃河入海風。欲窮千里目，更上一層樓。"
    for language in LANGUAGES:
        told = examination_html(examine_text(pasted), language)
        assert all(line in told for line in ("白日依山盡", "黃河入海風", "欲窮千里目", "更上一層樓"))
        assert "王之" not in told
    assert "不合律" in examination_html(examine_text(pasted), "zh-hans")
    simplified = examination_html(examine_text(STORK.replace("流", "风")), "zh-hant")
    assert "黄河入海风" in simplified
    assert "處不合律" in simplified


def test_oblique_rhymes_are_named_with_their_group_and_free_of_tones() -> None:
    told = examination_html(examine_text("独坐幽篁里，弹琴复长啸。深林人不知，明月来相照。"), "zh-hans")
    assert told.startswith("<b>仄韵古绝</b> · 十八啸\n韵脚：啸、照")
    assert "落韵" not in told
    assert "属古体" in told


async def test_faults_are_named_with_their_place_as_they_were_written(chat: FakeTelegram) -> None:
    assert "第2句第5字「风」：落韵" in await answer_to(chat, f"/check {STORK.replace('流', '风')}")
    assert "line 2, character 5 風: 落韵" in await answer_to(chat, f"/check {STORK.replace('流', '風')}", language="en")


async def test_nothing_to_examine_is_said_with_an_example(chat: FakeTelegram) -> None:
    assert "/check 白日" in await answer_to(chat, "/check")
    assert "400" in await answer_to(chat, f"/check {'春' * 401}")


async def test_a_line_alone_is_continued_in_private(chat: FakeTelegram) -> None:
    assert (await answer_to(chat, "老夫聊发少年狂")).startswith("老夫聊发少年狂，山")
    assert "最多32字" in await answer_to(chat, "春" * 33)


async def test_nonsense_gets_two_examples_that_work(chat: FakeTelegram) -> None:
    for text in ("hello world", "唉", "春风 ok", "?"):
        one, two = (await answer_to(chat, text)).splitlines()[1:3]
        assert interpret(one) or parse(one, BOT_NAME)
        assert interpret(two) or parse(two, BOT_NAME)


async def test_what_is_no_wish_is_answered_by_what_it_is(chat: FakeTelegram) -> None:
    assert (await answer_to(chat, "我爱你")).splitlines()[1] == "/acrostic 我爱你"
    assert "只看得懂文字" in await answer_to(chat, "😂")
    assert "再来一首" in await answer_to(chat, "好的")
    assert "夸奖" in await answer_to(chat, "写得真好！")
    assert "两条" in await answer_to(chat, "今天天气怎么样")
    assert "声调" in await answer_to(chat, "什么是平仄？")
    assert "随时" in await answer_to(chat, "晚安")
    assert "抱歉" in await answer_to(chat, "写得不好")
    assert "句首" in await answer_to(chat, "写一首藏尾诗：春风十里")


async def test_a_misspelled_command_is_followed_in_private_and_in_a_group_only_if_it_names_the_bot(
    chat: FakeTelegram,
) -> None:
    assert "题：春" in await answer_to(chat, "/peom 春")
    assert "题：春" in await answer_to(chat, f"/peom@{BOT_NAME} 春", chat=-100, kind="supergroup")
    await chat.write("/peom 春", chat=-200, kind="supergroup")
    assert "题：秋" in await answer_to(chat, "/poem 秋", chat=-200, kind="supergroup")


def test_every_example_can_be_written() -> None:
    for pair in _EXAMPLES:
        for language in LANGUAGES:
            for text in pair:
                written = in_script(text, language)
                meant = parse(written, BOT_NAME) or interpret(written)
                request = poem_request(meant) if isinstance(meant, ChatCommand) else meant
                assert request is not None
                outline(request)


async def test_a_group_is_answered_where_the_bot_is_named_or_replied_to(chat: FakeTelegram) -> None:
    group: dict[str, Any] = {"kind": "supergroup"}
    assert (await answer_to(chat, f"@{BOT_NAME} 老夫聊发少年狂", chat=-1, **group)).startswith("老夫聊发少年狂")
    assert (await answer_to(chat, "老夫聊发少年狂", chat=-2, **group, **reply_to("春", ME, -2))).startswith(
        "老夫聊发少年狂"
    )
    assert "/help" in await answer_to(chat, f"/nonsense@{BOT_NAME}", chat=-5, **group)
    for more in (reply_to("春", SOMEBODY, -3), {}):
        assert await is_ignored(chat, await chat.write("老夫聊发少年狂", chat=-3, **group, **more))
    assert await is_ignored(chat, await chat.write("@other_bot 老夫聊发少年狂", chat=-4, **group))


async def test_a_language_is_chosen_kept_and_forgotten(
    server: RedisServer, queue: Queue, prefix: str, telegram: FakeTelegram
) -> None:
    async with running_bot(server.url, prefix, telegram):
        await telegram.write("/language", user=9, chat=9)
        [asked] = await telegram.messages(1)
        assert list(asked.buttons)[:3] == ["简体中文", "繁體中文", "English"]
        await telegram.answered(await telegram.press(asked, "繁體中文", user=9))
        await telegram.until(lambda: any("續寫" in c for c in telegram.menus.get(("chat", 9, ""), [])))
    async with running_bot(server.url, prefix, telegram):
        assert "體裁" in await answer_to(telegram, "/help", user=9, language="en")
        assert "English" in await answer_to(telegram, "/language en", user=9)
        assert "Forms" in await answer_to(telegram, "/help", user=9)
        await telegram.answered(await telegram.press_data(asked, "language::auto", user=9))
        assert "体裁" in await answer_to(telegram, "/help", user=9)


async def test_lists_of_commands_are_told_by_language_for_groups_and_for_admins(chat: FakeTelegram) -> None:
    await chat.until(lambda: len(chat.menus) == 6)
    english, chinese = chat.menus["default", None, ""], chat.menus["default", None, "zh"]
    assert len(english) == len(chinese)
    assert "/continue a poem from your first line" in english
    assert "/continue 续写：一句成诗" in chinese
    assert len(chat.menus["all_group_chats", None, "zh"]) < len(chinese)
    assert any(command.startswith("/retrain") for command in chat.menus["chat", ADMIN, ""])
    assert not any(command.startswith("/retrain") for command in english)


@pytest.mark.parametrize(
    ("text", "left", "named"),
    [
        (f"@{BOT_NAME} 春风", "春风", True),
        (f"春风@{BOT_NAME.upper()}", "春风@" + BOT_NAME.upper(), False),
        (f"春 @{BOT_NAME}x", f"春 @{BOT_NAME}x", False),
        ("春风", "春风", False),
    ],
)
def test_a_mention_is_the_whole_name(text: str, left: str, named: bool) -> None:
    assert without_mention(text, BOT_NAME) == (left, named)


def test_small_talk_is_not_verse() -> None:
    texts = ("你好", "hi 春风十里", "好，春风十里", "123", "")
    assert [text for text in texts if isinstance(interpret(text), PoemRequest)] == []


def test_an_examination_with_many_faults_still_fits_a_message() -> None:
    faults = tuple(ProsodyFault("三仄尾", line, 5, "<&>") for line in range(1, 80))
    for language in LANGUAGES:
        assert len(examination_html(Examination("排律", "排律·x", "七阳", ("光",) * 40, faults), language)) < 4096
