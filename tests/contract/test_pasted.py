"""What people paste: the poem is found in it, each character as it was written."""

from __future__ import annotations

import pytest

from engine.contract.pasted import poem_lines

LINES = ["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"]
POEM = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"


@pytest.mark.parametrize(
    "text",
    [
        POEM,
        f"《登鹳雀楼》 王之涣\n{POEM}",
        f"《登鹳雀楼》王之涣 {POEM}",
        f"登鹳雀楼\n王之涣\n{POEM}",
        f"登鹳雀楼 王之涣 {POEM}",
        f"登鹳雀楼（唐）王之涣：{POEM}",
        f"题目：登鹳雀楼\n作者：王之涣\n{POEM}",
        f"{POEM}\n——王之涣《登鹳雀楼》",
        f"{POEM}\n\n五绝 · 十一尤",
        f"{POEM}\n\n（五绝·仄起首句不入韵 · 十一尤）\nThis poem again: --seed 7",
        "登鹳雀楼\n[唐]王之涣\n\n" + "\n".join(LINES),
        "".join(LINES),
        f"{LINES[0]}{LINES[1]}\n{LINES[2]}{LINES[3]}",
        " ".join(LINES),
        "白日依山尽,黄河入海流.欲穷千里目（一作更）,更上一层楼.",
        "\u200b白日依\ufe0f山尽，黄河入海流。欲穷千里目，更上一层楼。",
    ],
)
def test_title_author_notes_and_missing_marks_leave_the_poem_as_it_is(text: str) -> None:
    assert poem_lines(text) == LINES


def test_a_title_as_long_as_a_line_is_none_and_glyphs_stay() -> None:
    farewell = "故人西辭黃鶴樓，煙花三月下揚州。孤帆遠影碧空盡，唯見長江天際流。"
    for title in ("送孟浩然之廣陵\n李白\n", "送孟浩然之廣陵\n", "黃鶴樓送孟浩然之廣陵\n李白\n", ""):
        assert poem_lines(title + farewell) == ["故人西辭黃鶴樓", "煙花三月下揚州", "孤帆遠影碧空盡", "唯見長江天際流"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("白日依山尽，黄河入海流。欲穷千里，更上一层楼。", ["白日依山尽", "黄河入海流", "欲穷千里", "更上一层楼"]),
        ("念奴娇·赤壁怀古\n苏轼\n大江东去，浪淘尽，千古风流人物。", ["大江东去", "浪淘尽", "千古风流人物"]),
        ("春眠不觉晓", ["春眠不觉晓"]),
        ("（白日依山尽）", ["白日依山尽"]),
        ("hello", []),
    ],
)
def test_no_line_is_dropped_from_what_is_not_regular(text: str, lines: list[str]) -> None:
    assert poem_lines(text) == lines
