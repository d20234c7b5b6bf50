"""The rules of regulated verse, on poems that every examiner passed and on poems broken on purpose."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engine.contract.templates import Tone, named, templates
from engine.contract.text import clauses
from engine.prosody import Prosody, check
from train.data.prosody_table import compile_prosody

STORK = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
MAPLE = "远上寒山石径斜，白云生处有人家。停车坐爱枫林晚，霜叶红于二月花。"
SPRING = "国破山河在，城春草木深。感时花溅泪，恨别鸟惊心。烽火连三月，家书抵万金。白头搔更短，浑欲不胜簪。"


@pytest.fixture(scope="module")
def prosody() -> Prosody:
    """The package's table with no corpus to correct it."""
    return compile_prosody([])


@pytest.mark.parametrize(("length", "count"), [(5, 4), (7, 4), (5, 8), (7, 8)])
def test_a_form_has_four_templates_and_each_keeps_the_rules(length: int, count: int) -> None:
    found = templates("", length, count)
    assert len({template.lines for template in found}) == 4
    for template in found:
        seconds = [line.tones[1] for line in template.lines]
        for number, (one, two) in enumerate(pairwise(seconds), 1):
            assert (one != two) == (number % 2 == 1), "对 within a couplet, 粘 between couplets"
        assert [line.rhymes for line in template.lines[1:]] == [bool(i % 2) for i in range(1, count)]
        for line in template.lines:
            assert len(set(line.tones[-3:])) == 2, "neither 三平尾 nor 三仄尾"


@pytest.mark.parametrize("count", [3, 5, 7])
def test_an_odd_poem_closes_on_a_rhyme(count: int) -> None:
    assert all(template.lines[-1].rhymes for template in templates("", 5, count))


@pytest.mark.parametrize(
    ("poem", "template", "rhyme"),
    [
        (STORK, "五绝·仄起首句不入韵", "十一尤"),
        (MAPLE, "七绝·仄起首句入韵", "六麻"),
        (SPRING, "五律·仄起首句不入韵", "十二侵"),
    ],
)
def test_a_famous_poem_is_faultless(prosody: Prosody, poem: str, template: str, rhyme: str) -> None:
    report = check(clauses(poem), prosody)
    assert (report.template, report.rhyme, report.faults) == (template, rhyme, ())


@pytest.mark.parametrize(
    ("poem", "name", "line", "place"),
    [
        ("白日依山尽，黄河入海风。欲穷千里目，更上一层楼。", "落韵", 2, 5),
        ("白日依山尽，黄河入海楼。欲穷千里目，更上一层楼。", "重韵", 4, 5),
        ("白日依山尽，黄月入海流。欲穷千里目，更上一层楼。", "失对", 2, None),
        ("白日依山尽，黄河入海流。不日长山树，更上一层楼。", "失粘", 3, None),
        ("白日依山尽，月河入海流。欲穷千里目，更上一层楼。", "孤平", 2, 1),
        ("白日依山尽，黄河入海流。欲穷千里目，更上天层楼。", "三平尾", 4, 3),
        ("白日依山尽，黄河入千流。欲穷千里目，更上一层楼。", "平仄", 2, 4),
    ],
)
def test_each_fault_is_found_by_name_and_place(
    prosody: Prosody, poem: str, name: str, line: int, place: int | None
) -> None:
    assert (name, line, place) in [(f.name, f.line, f.place) for f in check(clauses(poem), prosody).faults]


def test_a_break_is_told_once_and_the_rest_is_judged_from_there(prosody: Prosody) -> None:
    # 折腰体: the second couplet does not take up the first; within itself it is in order.
    poem = "渭城朝雨浥轻尘，客舍青青柳色新。劝君更尽一杯酒，西出阳关无故人。"
    faults = check(clauses(poem), prosody).faults
    assert [(fault.name, fault.line, fault.wanted) for fault in faults] == [("失粘", 3, "中仄中平平仄仄")]


def test_a_wrong_tone_in_a_tail_is_told_once(prosody: Prosody) -> None:
    faults = check(clauses("白日依山尽，黄河入海流。欲穷千里目，更上天天楼。"), prosody).faults
    assert [(fault.name, fault.place) for fault in faults if fault.line == 4] == [("三平尾", 3)]


def test_an_unknown_character_fits_anywhere_and_never_rhymes(prosody: Prosody) -> None:
    both: tuple[Tone, Tone] = ("平", "仄")
    assert all(prosody.fits("𠀀", tone) for tone in both)
    assert not prosody.groups("𠀀")


def test_a_table_survives_its_bytes(prosody: Prosody) -> None:
    assert Prosody.from_bytes(prosody.to_bytes()) == prosody


def test_poets_decide_among_readings_and_teach_the_table_new_ones() -> None:
    """龙 has an oblique reading in the table that no poet uses; 劒 stands in no table and always oblique."""
    used = compile_prosody(["白日依山劒，黄龙入海流。欲龙千里劒，更上一层楼。"] * 12)
    assert used.tones["龙"] >= {"平"}
    assert used.attested_tones["龙"] == {"平"}
    assert used.tones["劒"] == {"仄"}


def test_a_first_line_has_no_line_before_it_to_agree_with(prosody: Prosody) -> None:
    faults = check(clauses("春江潮水连海平，海上明月共潮生。滟滟随波千万里，何处春江无月明。"), prosody).faults
    assert faults
    assert [fault for fault in faults if fault.line == 1 and fault.place is None] == []


@pytest.mark.parametrize(
    ("poem", "template"),
    [
        # 看 has both tones; it rhymes in the first and not in the second.
        ("岭上寒梅带雪看，月明千里照阑干。", "首句入韵"),
        ("春来何处有花看，月落江头水自流。", "首句不入韵"),
    ],
)
def test_a_first_line_whose_end_has_both_tones_rhymes_only_where_it_does(
    prosody: Prosody, poem: str, template: str
) -> None:
    lines = clauses(poem) * 2
    report = check(lines, prosody)
    assert report.template is not None
    assert report.template.endswith(template)
    assert len(report.rhymes) == (3 if template == "首句入韵" else 2)


@pytest.mark.parametrize("length", [5, 7])
@pytest.mark.parametrize(("form", "count"), [("绝", 4), ("律", 8), ("言", 3), ("言", 20)])
def test_every_template_is_found_by_its_name(length: int, form: str, count: int) -> None:
    for template in templates("五七"[length == 7] + form, length, count):
        assert named(template.name, length, count) is template


@pytest.mark.parametrize(
    ("name", "length", "count"),
    [("", 5, 4), ("五绝", 5, 4), ("五绝·平起", 5, 4), ("六绝·平起首句入韵", 5, 4), ("五绝·平起首句入韵", 6, 4),
     ("五绝·平起首句入韵", 5, 0), ("五绝·平起首句入韵", 5, 10_000)],
)  # fmt: skip
def test_what_names_no_template_finds_none(name: str, length: int, count: int) -> None:
    assert named(name, length, count) is None


def test_made_up_names_take_no_memory() -> None:
    kept = templates.cache_info().currsize
    assert [named(f"{number}绝·平起首句入韵", 5, 4) for number in range(20)] == [None] * 20
    assert templates.cache_info().currsize == kept


def test_a_pattern_names_the_tones_and_the_places_where_either_may_stand() -> None:
    [level, *_] = [t for t in templates("五绝", 5, 4) if t.name.endswith("仄起首句不入韵")]
    assert [line.pattern for line in level.lines] == ["中仄中平仄", "平平中仄平", "中平平仄仄", "中仄仄平平"]
