"""Parses the fields of a request that people type: text and mood, form, rhyme group. Each error says what to send."""

from __future__ import annotations

from typing import Literal

from engine.contract.errors import PoemError
from engine.contract.poem import FORMS, Mode
from engine.contract.text import clauses, foreign_character, has_control_characters
from engine.contract.themes import ENGLISH

LEVEL_RHYMES = (
    *("一东", "二冬", "三江", "四支", "五微", "六鱼", "七虞", "八齐", "九佳", "十灰"),
    *("十一真", "十二文", "十三元", "十四寒", "十五删"),
    *("一先", "二萧", "三肴", "四豪", "五歌", "六麻", "七阳", "八庚", "九青", "十蒸"),
    *("十一尤", "十二侵", "十三覃", "十四盐", "十五咸"),
)
"""The thirty level-tone groups of 平水韵, upper (上平) then lower (下平)."""

# Only a few characters in the names of forms and rhymes differ between the scripts: a table is enough.
FORM_TO_SIMPLIFIED = str.maketrans("絕詩風東魚齊刪蕭陽鹹鹽麼餚", "绝诗风东鱼齐删萧阳咸盐么肴")


def parse_clauses(text: str, what: Literal[Mode, "mood"], limit: int) -> list[str]:
    """The clauses of what a user typed; PoemError if they are not usable."""
    name, english, example = {
        "continue": ("首句", "the opening line", "老夫聊发少年狂"),
        "acrostic": ("藏头的字", "the characters to hide", "春风十里"),
        "theme": ("题目", "the theme", "春天"),
        "mood": ("意境", "the mood", "欲穷千里目，更上一层楼"),
    }[what]
    if not text.strip():
        raise PoemError("empty", f"请写上{name}，例如：{example}", f"Please send {english}, for example {example}")
    if has_control_characters(text):
        raise PoemError(
            "control_characters",
            f"{name}里有不可见的控制字符，请重新输入，例如：{example}",
            f"There are control characters in {english}; please type it again, for example {example}",
        )
    typed = clauses(text)
    if not typed or foreign_character(text):
        if what == "theme":
            raise PoemError(
                "not_chinese",
                f"题目请用汉字，例如：{example}；英文题目只认得常用词，例如 spring、moon、love。",
                "I do not know all of these words. A theme may be Chinese characters, such as 春天, or words such as "
                f"{', '.join(ENGLISH)}.",
            )
        raise PoemError(
            "not_chinese",
            f"{name}只能用汉字，例如：{example}",
            f"Please use Chinese characters only for {english}, for example {example}",
        )
    if (count := len("".join(typed))) > limit:
        raise PoemError(
            "too_long",
            f"{name}最多{limit}字，现有{count}字，请减去{count - limit}字。",
            f"Please keep {english} to {limit} characters; this has {count}.",
        )
    return typed


def parse_form(name: str) -> str:
    form = name.strip().translate(FORM_TO_SIMPLIFIED) or "auto"
    if form not in FORMS:
        raise PoemError(
            "unknown_form",
            f"没有“{form[:8]}”。可选：五绝 七绝 五律 七律 排律 古风；藏头诗另有五言、七言。",
            f"There is no form “{form[:8]}”. Choose 五绝 七绝 五律 七律 排律 古风, or for an acrostic 五言 or 七言.",
        )
    return form


def parse_rhyme(name: str) -> str:
    wanted = name.strip().translate(FORM_TO_SIMPLIFIED)
    for rhyme in LEVEL_RHYMES:
        if wanted in (rhyme, rhyme[-1]):
            return rhyme
    raise PoemError(
        "unknown_rhyme",
        f"没有“{wanted[:8]}”韵。请选平水韵的平声韵：{' '.join(LEVEL_RHYMES)}。",
        f"There is no rhyme group “{wanted[:8]}”. Choose a level-tone group of 平水韵: {' '.join(LEVEL_RHYMES)}.",
    )
