"""How a poem is shown to its reader."""

from __future__ import annotations

import pytest

from bot.views.messages import Language
from bot.views.poem import for_reader, poem_html
from engine.contract import Poem, PoemRequest
from engine.contract.poem import Mode


def poem(mode: Mode, *lines: str) -> Poem:
    return Poem(mode, f"{lines[0]}，{lines[1]}。", lines, "古风", 1, 1, "fake")


@pytest.mark.parametrize(
    ("mode", "typed", "language", "lines"),
    [
        ("theme", "月", "zh-hant", ("風動後山", "雲歸萬里")),
        ("theme", "moon", "zh-hant", ("風動後山", "雲歸萬里")),
        ("theme", "月", "zh-hans", ("风动后山", "云归万里")),
        ("theme", "moon", "en", ("风动后山", "云归万里")),
        # Those who type simplified characters get simplified ones.
        ("theme", "思乡", "zh-hant", ("风动后山", "云归万里")),
    ],
)
def test_who_reads_traditional_characters_gets_them_where_the_text_does_not_tell(
    mode: Mode, typed: str, language: Language, lines: tuple[str, ...]
) -> None:
    shown = for_reader(poem(mode, "风动后山", "云归万里"), PoemRequest(mode, typed), language)
    assert shown.lines == lines
    assert shown.text == f"{lines[0]}，{lines[1]}。"


def test_typed_characters_stay_whatever_the_reader_reads() -> None:
    line = "后山人不了"
    assert for_reader(poem("continue", line, "云归"), PoemRequest("continue", line), "zh-hant").lines[0] == line
    written = poem("acrostic", "山后有风", "里外无云")
    shown = for_reader(written, PoemRequest("acrostic", "山里"), "zh-hant")
    assert shown.lines in (("山後有風", "里外無雲"), written.lines)


def test_english_readers_are_told_what_a_chinese_theme_means() -> None:
    told = {
        theme: poem_html(poem("theme", "风", "云"), PoemRequest("theme", theme), "en") for theme in ("送别", "moon")
    }
    assert "Theme: 送别 (farewell)" in told["送别"]
    assert "Theme: moon<" in told["moon"]
