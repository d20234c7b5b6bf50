"""The meaning of messages and the form of answers; no server is needed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.blocklist import Blocklist
from bot.updates.commands import is_for_another_bot, parse, poem_request
from bot.views.messages import MessageName, accepted_language, in_script, language_of, message_text
from bot.views.poem import poem_html, reply_html
from engine.contract import LEVEL_RHYMES, Poem, PoemError, PoemRequest, outline
from engine.contract.settings import SettingError

NAME = "tang_poem_bot"


def request(text: str) -> PoemRequest:
    command = parse(text, NAME)
    assert command is not None
    found = poem_request(command)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/continue 老夫聊发少年狂", PoemRequest("continue", "老夫聊发少年狂")),
        ("/continue 五绝 床前明月光", PoemRequest("continue", "床前明月光", "五绝")),
        ("/continue 五絕 牀前明月光", PoemRequest("continue", "牀前明月光", "五绝")),
        ("/continue 古風 明月几时有，把酒问青天", PoemRequest("continue", "明月几时有，把酒问青天", "古风")),
        ("/continue 老夫聊发少年狂 | 欲穷千里目", PoemRequest("continue", "老夫聊发少年狂", mood="欲穷千里目")),
        ("/continue 老夫聊发少年狂｜欲穷千里目", PoemRequest("continue", "老夫聊发少年狂", mood="欲穷千里目")),
        ("/continue\n床前明月光，\n疑是地上霜", PoemRequest("continue", "床前明月光，\n疑是地上霜")),
        ("/acrostic 春风十里", PoemRequest("acrostic", "春风十里")),
        ("/acrostic 七言 春风十里 | 大漠孤烟直", PoemRequest("acrostic", "春风十里", "七言", mood="大漠孤烟直")),
        ("/Acrostic@Tang_Poem_Bot 春风十里", PoemRequest("acrostic", "春风十里")),
        ("/acrostic 春风？十里", PoemRequest("acrostic", "春风？十里")),
        ("/acrostic", PoemRequest("acrostic", "")),
        ("/continue 五绝", PoemRequest("continue", "", "五绝")),
        ("/continue 老夫聊发少年狂 | ", PoemRequest("continue", "老夫聊发少年狂")),
    ],
)
def test_a_command_is_taken_apart_as_people_type_it(text: str, wanted: PoemRequest) -> None:
    assert request(text) == wanted


def test_a_form_that_does_not_exist_is_named_as_such_and_not_continued() -> None:
    with pytest.raises(PoemError) as error:
        outline(request("/continue 六绝 床前明月光"))
    assert error.value.code == "unknown_form"


def test_a_command_for_another_bot_is_not_for_this_one() -> None:
    assert parse("/acrostic@other_bot 春风十里", NAME) is None
    assert is_for_another_bot("/acrostic@other_bot 春风十里", NAME)
    assert not is_for_another_bot(f"/acrostic@{NAME} 春风十里", NAME)


@pytest.mark.parametrize("text", ["春风十里", "", "/", "// 春", "a /continue 春", "/continue@ 春"])
def test_what_is_no_command_is_none(text: str) -> None:
    assert parse(text, NAME) is None


@given(st.text(max_size=200))
def test_no_message_at_all_breaks_the_reading(text: str) -> None:
    for message in (text, f"/continue {text}", f"/acrostic {text}"):
        command = parse(message, NAME)
        found = None if command is None else poem_request(command)
        if found is not None:
            with contextlib.suppress(PoemError):
                outline(found)


@pytest.mark.parametrize("line", [line for line in message_text("help", "zh-hans").splitlines() if "<code>/" in line])
def test_the_examples_of_the_help_can_be_written(line: str) -> None:
    outline(request(line.strip("　 ").removeprefix("<code>").removesuffix("</code>")))


def test_every_text_differs_by_language() -> None:
    names: tuple[MessageName, ...] = ("start", "help", "examples", "privacy", "forms", "waiting", "old_button")
    for name in names:
        assert len({message_text(name, "zh-hans"), message_text(name, "zh-hant"), message_text(name, "en")}) == 3
    assert "體裁" in message_text("help", "zh-hant")


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("zh-hans", "zh-hans"),
        ("zh-Hant", "zh-hant"),
        ("zh-TW", "zh-hant"),
        ("zh-hant-HK", "zh-hant"),
        ("zh", "zh-hans"),
        (None, "zh-hans"),
        ("en", "en"),
        ("de-AT", "en"),
    ],
)
def test_a_language_is_known_by_its_tag(code: str | None, wanted: str) -> None:
    assert language_of(code) == wanted


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("en;q=0.3, zh-TW;q=0.9", "zh-hant"),
        ("de, zh;q=0.5", "en"),
        (None, "en"),
        (",;q=,*", "en"),
    ],
)
def test_a_browser_says_its_language(header: str | None, wanted: str) -> None:
    assert accepted_language(header) == wanted


ACROSTIC = Poem(
    "acrostic",
    "春山山山山，风山山山山。\n十山山山山，里山山山山。",
    ("春山山山山", "风山山山山", "十山山山山", "里山山山山"),
    "五绝",
    1,
    1,
    "m",
    "十五删",
)


def test_the_heads_of_an_acrostic_are_bold_and_nothing_else() -> None:
    html = poem_html(ACROSTIC, PoemRequest("acrostic", "春风十里"), "zh-hans")
    assert [html[i + 3] for i in range(len(html)) if html.startswith("<b>", i)] == list("春风十里")
    assert html.endswith("<i>五绝 · 十五删</i>")


def test_only_the_given_heads_are_bold() -> None:
    assert poem_html(ACROSTIC, PoemRequest("acrostic", "春风", lines=4), "zh-hans").count("<b>") == 2


def test_the_line_below_is_in_the_readers_script() -> None:
    assert "十五刪" in poem_html(ACROSTIC, None, "zh-hant")


def test_rhyme_groups_have_their_own_names_in_traditional_script() -> None:
    shown = in_script(" ".join(LEVEL_RHYMES), "zh-hant")
    for name in ("三肴", "四豪", "十四鹽", "十五咸"):
        assert name in shown.split()


def test_what_comes_from_outside_is_escaped() -> None:
    evil = Poem("continue", "<b>&", (), "<i>", 1, 1, "m")
    assert poem_html(evil, None, "zh-hans").startswith("&lt;b&gt;&amp;\n\n<i>&lt;i&gt;")
    error = PoemError("empty", "<script>", "<script>")
    assert reply_html(error, None, "en") == "&lt;script&gt;"


def test_a_blocked_word_is_found_through_marks_and_scripts_and_not_repeated() -> None:
    blocklist = Blocklist(["恶龙"])
    for text in ("恶龙", "惡龍", "恶 龙", "大恶，龙王"):
        with pytest.raises(PoemError) as error:
            blocklist.check(PoemRequest("continue", text))
        assert error.value.code == "refused"
        assert "恶" not in error.value.zh
    with pytest.raises(PoemError):
        blocklist.check(PoemRequest("continue", "好", mood="恶龙"))
    blocklist.check(PoemRequest("continue", "恶人龙"))


def test_a_finished_poem_with_a_blocked_word_is_not_shown() -> None:
    assert isinstance(Blocklist(["山山"]).screen(ACROSTIC), PoemError)
    assert Blocklist(["山风"]).screen(ACROSTIC) is ACROSTIC  # across the end of a line


def test_the_list_that_comes_with_the_bot_lets_verse_pass() -> None:
    blocklist = Blocklist.load(None)
    blocklist.check(PoemRequest("continue", "老夫聊发少年狂"))
    with pytest.raises(PoemError):
        blocklist.check(PoemRequest("acrostic", "支那猪"))


def test_a_list_of_ones_own_has_comments_and_replaces_the_other(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("# ours\n恶龙 # why\n\n", "utf-8")
    blocklist = Blocklist.load(file)
    blocklist.check(PoemRequest("acrostic", "支那猪"))
    with pytest.raises(PoemError):
        blocklist.check(PoemRequest("acrostic", "恶龙"))


def test_a_list_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="BLOCKLIST_FILE"):
        Blocklist.load(tmp_path / "missing.txt")
