"""Themes in modern words, as the classical poets would say them."""

from __future__ import annotations

import pytest

from engine.contract import PoemRequest, outline
from engine.contract.themes import in_chinese, is_theme, wishes_well


@pytest.mark.parametrize(
    ("wish", "classical"),
    [
        ("祝我哥新婚快乐", "鸳鸯"),
        ("下个月我哥结婚 祝福他们百年好合", "鸳鸯"),
        ("祝陳建國先生七十大壽", "仙桃"),
        ("妈妈的生日", "仙桃，慈母"),
        ("老师 教师节用的,她姓张", "桃李"),
        ("happy birthday my mom", "欢 仙桃 慈母"),
        ("秋天的思念", "秋，思念"),
    ],
)
def test_a_wish_for_an_occasion_is_told_in_the_words_of_poets(wish: str, classical: str) -> None:
    assert in_chinese(wish).split() == classical.split()
    assert outline(PoemRequest("theme", wish)).form == "七绝"


def test_an_occasion_within_a_line_does_not_make_it_a_theme() -> None:
    assert is_theme("生日")
    assert not is_theme("先生日已高")


@pytest.mark.parametrize(
    ("text", "wish"),
    [("仙桃", True), ("生日快乐", True), ("福壽安康", True), ("新婚快樂", True), ("秋", False), ("送别", False)],
)
def test_a_good_wish_is_known_by_its_words(text: str, wish: bool) -> None:
    assert wishes_well(text) == wish
