"""What people type without knowing any command, and what it means."""

from __future__ import annotations

import pytest

from bot.updates.commands import Command, parse, poem_request, spoken
from engine.contract import PoemRequest, outline


def meant(text: str) -> PoemRequest | str | None:
    """The poem that a message asks for, or the name of the command that it means."""
    found = parse(text, "bot") or spoken(text)
    if not isinstance(found, Command):
        return found
    return poem_request(found) or f"{found.name} {found.rest}".strip()


@pytest.mark.parametrize(
    ("text", "line", "form"),
    [
        ("老夫聊发少年狂，左牵黄，右擎苍", "老夫聊发少年狂，左牵黄，右擎苍", "auto"),
        ("七绝 老夫聊发少年狂", "老夫聊发少年狂", "七绝"),
        ("老夫聊发少年狂 七绝", "老夫聊发少年狂", "七绝"),
        ("五言绝句：床前明月光", "床前明月光", "五绝"),
        ("续写 老夫聊发少年狂", "老夫聊发少年狂", "auto"),
        ("續寫：床前明月光", "床前明月光", "auto"),
        ("写一首七绝：老夫聊发少年狂", "老夫聊发少年狂", "七绝"),
        ("床前明月光的下一句是什么", "床前明月光", "auto"),
        ("床前明月光疑是地上霜", "床前明月光，疑是地上霜", "auto"),
        ("作诗火急追亡逋", "作诗火急追亡逋", "auto"),
        ("continue 春风又绿江南岸", "春风又绿江南岸", "auto"),
        ("/continue 老夫聊发少年狂 七绝", "老夫聊发少年狂", "七绝"),
        ("/continue 七绝，老夫聊发少年狂", "老夫聊发少年狂", "七绝"),
        ("/continue 五绝床前明月光", "床前明月光", "五绝"),
        ("/continue 床前明月光 六绝", "床前明月光", "六绝"),
    ],
)
def test_a_line_is_continued_however_it_is_asked_for(text: str, line: str, form: str) -> None:
    assert meant(text) == PoemRequest("continue", line, form)


@pytest.mark.parametrize(
    ("text", "heads", "form"),
    [
        ("藏头 春风十里", "春风十里", "auto"),
        ("写一首藏头诗：春风十里", "春风十里", "auto"),
        ("寫一首藏頭詩：春風十里", "春風十里", "auto"),
        ("写一首七言藏头诗 春风十里", "春风十里", "七言"),
        ("用春风十里写一首藏头诗", "春风十里", "auto"),
        ("春风十里 藏头", "春风十里", "auto"),
        ("请帮我写一首藏头诗，生日快乐", "生日快乐", "auto"),
        ("write an acrostic of 春风十里", "春风十里", "auto"),
        ("/acrostic 春风十里 七言", "春风十里", "七言"),
        ("/acrostic 七言春风十里", "春风十里", "七言"),
    ],
)
def test_words_are_hidden_however_it_is_asked_for(text: str, heads: str, form: str) -> None:
    assert meant(text) == PoemRequest("acrostic", heads, form)


@pytest.mark.parametrize(
    ("text", "theme", "form"),
    [
        ("/poem 春天", "春天", "auto"),
        ("/poem 七绝 思乡", "思乡", "七绝"),
        ("/poem 思乡 七绝", "思乡", "七绝"),
        ("帮我写一首关于春天的诗", "春天", "auto"),
        ("写一首春天的七绝", "春天", "七绝"),
        ("寫一首關於春天的詩", "春天", "auto"),
        ("写一首七绝，关于春天", "春天", "七绝"),
        ("以思乡为题写一首五律", "思乡", "五律"),
        ("能写一首情诗吗", "情", "auto"),
        ("春天", "春天", "auto"),
        ("七绝 思乡", "思乡", "七绝"),
        ("七绝", "", "七绝"),
        ("写首诗", "", "auto"),
        ("/poem", "", "auto"),
        ("spring", "spring", "auto"),
        ("write a poem about spring", "spring", "auto"),
        ("Write me a poem about the autumn moon!", "the autumn moon", "auto"),
        ("a short poem", "", "auto"),
        ("Can you write something about the sea?", "the sea", "auto"),
    ],
)
def test_a_theme_is_written_on_however_it_is_asked_for(text: str, theme: str, form: str) -> None:
    found = meant(text)
    assert found == PoemRequest("theme", theme, form)
    if theme:
        assert isinstance(found, PoemRequest)
        outline(found)


@pytest.mark.parametrize(
    ("text", "rhyme", "mood"),
    [
        ("/continue 七阳 老夫聊发少年狂", "七阳", None),
        ("/continue 老夫聊发少年狂 押七陽韻", "七阳", None),
        ("老夫聊发少年狂 七阳 | 大漠孤烟直", "七阳", "大漠孤烟直"),
    ],
)
def test_a_rhyme_group_may_stand_anywhere(text: str, rhyme: str, mood: str | None) -> None:
    assert meant(text) == PoemRequest("continue", "老夫聊发少年狂", rhyme=rhyme, mood=mood)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("再来一首", "again"),
        ("another one", "again"),
        ("你好", "start"),
        ("你会写什么诗？", "start"),
        ("你是机器人吗", "start"),
        ("what can you do?", "start"),
        ("怎么用", "help"),
        ("谢谢！", "thanks"),
        ("取消", "cancel"),
        ("English", "language en"),
        ("繁體中文", "language zh-hant"),
        ("查格律：白日依山尽，黄河入海流", "check 白日依山尽，黄河入海流"),
    ],
)
def test_other_commands_have_words_too(text: str, command: str) -> None:
    assert meant(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "今天天气真好",
        "今天天气好，我们出去玩",
        "天气不好，可以不去",
        "真棒",
        "hello world",
        "❤",
        "123",
        "写得家书空满纸吗",
    ],
)
def test_what_is_neither_verse_nor_a_wish_is_nothing(text: str) -> None:
    assert meant(text) is None


@pytest.mark.parametrize(
    "line", ["来是空言去绝踪", "续断桥边草自生", "再到天台访玉真", "请君暂上凌烟阁", "用尽闺中力", "取次花丛懒回顾"]
)
def test_verse_that_begins_like_a_wish_stays_verse(line: str) -> None:
    assert meant(line) == PoemRequest("continue", line)


@pytest.mark.parametrize("lines", ["空山新雨后，天气晚来秋", "春风再见无多日，可以相携上酒楼。"])
def test_a_couplet_stays_verse_even_with_words_of_conversation(lines: str) -> None:
    assert meant(lines) == PoemRequest("continue", lines)
