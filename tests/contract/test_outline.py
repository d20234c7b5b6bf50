"""How a request is interpreted, and what an invalid one is answered."""

from __future__ import annotations

import pytest

from engine.contract import PoemError, PoemRequest, outline
from engine.contract.outline import Outline


def read(mode: str, text: str, **fields: object) -> Outline:
    return outline(PoemRequest.from_json({"mode": mode, "text": text, **fields}))


@pytest.mark.parametrize(
    ("text", "form", "lines"),
    [
        ("老夫聊发少年狂", "七律", 8),
        ("春眠不觉晓", "五律", 8),
        ("明月几时有，把酒问青天", "五律", 8),
        ("大江东去", "古风", None),
        ("大江东去，浪淘尽", "古风", None),
        ("春眠不觉晓，老夫聊发少年狂", "古风", None),
    ],
)
def test_auto_is_a_regulated_poem_of_the_clauses_length_or_else_old_style(
    text: str, form: str, lines: int | None
) -> None:
    found = read("continue", text)
    assert (found.form, found.lines) == (form, lines)


@pytest.mark.parametrize(
    "text",
    [
        "明月几时有，把酒问青天",
        "明月几时有,把酒问青天",
        "明月几时有 把酒问青天",
        "明月几时有？\n把酒问青天！",
        "　明月几时有；把酒问青天　",
    ],
)
def test_any_mark_or_white_space_of_any_width_cuts_clauses(text: str) -> None:
    assert read("continue", text).given == ("明月几时有", "把酒问青天")


def test_what_has_no_width_does_not_cut() -> None:
    assert read("continue", "明月\u200b几时\ufe0f有").given == ("明月几时有",)


def test_clauses_typed_without_marks_are_cut_where_the_form_says_how() -> None:
    assert read("continue", "床前明月光疑是地上霜", form="五绝").given == ("床前明月光", "疑是地上霜")


@pytest.mark.parametrize("text", ["春风？十里", "春 风,十里", "春风\n十里"])
def test_heads_are_the_chinese_characters_alone(text: str) -> None:
    assert read("acrostic", text).given == tuple("春风十里")


@pytest.mark.parametrize(
    ("heads", "form", "found"),
    [
        ("春风十里", "auto", "五绝"),
        ("春风十里", "七言", "七绝"),
        ("春风十里柔情似水", "auto", "五言"),
        ("春风十里柔情似水", "五律", "五律"),
        ("春风十里柔情", "七言", "七言"),
        ("春风", "auto", "五言"),
        ("夜月一帘幽梦春风十里柔情", "auto", "排律"),
        ("春风十", "auto", "五言"),
        ("春风十里", "古风", "古风"),
    ],
)
def test_an_acrostic_takes_the_form_that_its_heads_make(heads: str, form: str, found: str) -> None:
    assert read("acrostic", heads, form=form).form == found


def test_traditional_spellings_of_forms_and_rhymes_are_accepted() -> None:
    found = read("continue", "春眠不覺曉", form="五絕", rhyme="七陽")
    assert (found.form, found.rhyme, found.given) == ("五绝", "七阳", ("春眠不覺曉",))


def test_a_rhyme_group_may_be_named_by_its_last_character() -> None:
    assert read("continue", "春眠不觉晓", rhyme="阳").rhyme == "七阳"


@pytest.mark.parametrize(
    ("mode", "text", "fields", "code"),
    [
        ("continue", "", {}, "empty"),
        ("continue", " \n", {}, "empty"),
        ("continue", "hello", {}, "not_chinese"),
        ("continue", "春风 hello", {}, "not_chinese"),
        ("continue", "！？…", {}, "not_chinese"),
        ("continue", "さくら", {}, "not_chinese"),
        ("continue", "春" * 33, {}, "too_long"),
        ("acrostic", "春" * 21, {}, "too_long"),
        ("continue", "春风", {"mood": "月" * 65}, "too_long"),
        ("continue", "春风", {"mood": "moon"}, "not_chinese"),
        ("continue", "春\x00风", {}, "control_characters"),
        ("continue", "春风", {"form": "十四行"}, "unknown_form"),
        ("continue", "春眠不觉晓", {"form": "五言"}, "unknown_form"),
        ("continue", "春眠不觉晓", {"rhyme": "一屋"}, "unknown_rhyme"),
        ("continue", "春眠不觉晓", {"form": "七绝"}, "length_mismatch"),
        ("continue", "大江东去", {"form": "五律"}, "length_mismatch"),
        ("continue", "一二三四五，" * 5, {"form": "五绝"}, "length_mismatch"),
        ("continue", "春眠不觉晓", {"form": "五律", "lines": 6}, "length_mismatch"),
        ("continue", "春眠不觉晓", {"form": "排律", "lines": 11}, "length_mismatch"),
        ("continue", "大江东去", {"rhyme": "七阳"}, "length_mismatch"),
        ("acrostic", "春风十", {"form": "五绝"}, "length_mismatch"),
        ("acrostic", "春风十里", {"lines": 3}, "length_mismatch"),
    ],
)
def test_a_bad_request_is_refused_in_both_languages(mode: str, text: str, fields: dict[str, object], code: str) -> None:
    with pytest.raises(PoemError) as refused:
        read(mode, text, **fields)
    assert refused.value.code == code
    assert any("\u4e00" <= c <= "\u9fff" for c in refused.value.zh)
    assert refused.value.en.isascii() or "Please" in refused.value.en or " " in refused.value.en


def test_a_length_that_does_not_fit_is_named() -> None:
    with pytest.raises(PoemError, match="7") as refused:
        read("continue", "老夫聊发少年狂", form="五律")
    assert refused.value.zh == "五律每句五字，您的首句有七字；请改首句，或改用七律。"


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ("床前明月光", "六绝", "没有“六绝”。可选：五绝 七绝 五律 七律 排律 古风；藏头诗另有五言、七言。"),
        ("大江东去", "五律", "五律每句五字，您的首句有四字；请改首句，或改用古风。"),
        ("一二三四五，" * 5, "五绝", "五绝只有四句，您写了五句；请减去一句，或改用五律。"),
        ("老夫聊发少年狂，左牵黄", "七绝", "七绝每句七字，您写的两句分别有七、三字；请改首句，或改用古风。"),
    ],
)
def test_a_form_that_does_not_fit_is_answered_with_one_that_does(text: str, form: str, words: str) -> None:
    with pytest.raises(PoemError) as refused:
        read("continue", text, form=form)
    assert refused.value.zh == words


@pytest.mark.parametrize(
    ("form", "found", "length", "lines"),
    [
        ("auto", "七绝", 7, 4),
        ("五言", "五绝", 5, 4),
        ("七言", "七绝", 7, 4),
        ("五律", "五律", 5, 8),
        ("排律", "排律", 5, 10),
        ("古风", "古风", None, None),
    ],
)
def test_a_theme_gives_no_line_and_is_a_mood(form: str, found: str, length: int | None, lines: int | None) -> None:
    shape = read("theme", "思乡", form=form, mood="大漠孤烟直")
    assert (shape.form, shape.line_length, shape.lines) == (found, length, lines)
    assert (shape.given, shape.theme, shape.mood) == ((), "思乡", ("思乡", "大漠孤烟直"))


@pytest.mark.parametrize(
    ("text", "theme"),
    [
        ("春天", "春"),
        ("太陽", "日"),
        ("故乡的秋天", "故乡秋"),
        ("目的", "目的"),
        ("autumn moon", "秋月"),
        ("The Mountains", "山"),
        ("a poem about spring", "春"),
    ],
)
def test_a_theme_is_read_in_the_words_of_poets(text: str, theme: str) -> None:
    assert read("theme", text).theme == theme


def test_a_theme_in_unknown_words_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(PoemError, match="autumn") as refused:
        read("theme", "the stock market")
    assert refused.value.code == "not_chinese"
