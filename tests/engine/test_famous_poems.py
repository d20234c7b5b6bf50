"""The poems that people paste first, each with the verdict of the handbooks (王力《诗词格律》 and its like)."""

from __future__ import annotations

import pytest

from engine.contract.pasted import poem_lines
from engine.generation.poet import RELEASED, read_prosody
from engine.prosody import Prosody, check

Found = tuple[str, int, int | None, str]

POEMS: list[tuple[str, str, str, str, list[Found]]] = [
    ("登鹳雀楼", "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", "五绝·仄起首句不入韵", "十一尤", []),
    (
        "静夜思",
        "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
        "五绝·平起首句入韵",
        "七阳",
        [("平仄", 2, 4, "平"), ("失粘", 3, None, "中仄中平仄")],
    ),  # old style by its tones, as the handbooks say
    ("春晓", "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。", "仄韵古绝", "十七筱", []),
    ("相思", "红豆生南国，春来发几枝。愿君多采撷，此物最相思。", "五绝·仄起首句不入韵", "四支", []),
    ("鹿柴", "空山不见人，但闻人语响。返景入深林，复照青苔上。", "仄韵古绝", "二十二养", []),
    ("江雪", "千山鸟飞绝，万径人踪灭。孤舟蓑笠翁，独钓寒江雪。", "仄韵古绝", "九屑", []),
    ("竹里馆", "独坐幽篁里，弹琴复长啸。深林人不知，明月来相照。", "仄韵古绝", "十八啸", []),
    ("悯农", "锄禾日当午，汗滴禾下土。谁知盘中餐，粒粒皆辛苦。", "仄韵古绝", "七麌", []),
    ("寻隐者不遇", "松下问童子，言师采药去。只在此山中，云深不知处。", "仄韵古绝", "六御", []),
    ("问刘十九", "绿蚁新醅酒，红泥小火炉。晚来天欲雪，能饮一杯无。", "五绝·仄起首句不入韵", "七虞", []),
    (
        "早发白帝城",
        "朝辞白帝彩云间，千里江陵一日还。两岸猿声啼不住，轻舟已过万重山。",
        "七绝·平起首句入韵",
        "十五删",
        [],
    ),
    ("枫桥夜泊", "月落乌啼霜满天，江枫渔火对愁眠。姑苏城外寒山寺，夜半钟声到客船。", "七绝·仄起首句入韵", "一先", []),
    (
        "凉州词",
        "黄河远上白云间，一片孤城万仞山。羌笛何须怨杨柳，春风不度玉门关。",
        "七绝·平起首句入韵",
        "十五删",
        [],
    ),  # 怨杨柳: 平仄平仄 for 平平仄仄, allowed
    ("出塞", "秦时明月汉时关，万里长征人未还。但使龙城飞将在，不教胡马度阴山。", "七绝·平起首句入韵", "十五删", []),
    ("山行", "远上寒山石径斜，白云生处有人家。停车坐爱枫林晚，霜叶红于二月花。", "七绝·仄起首句入韵", "六麻", []),
    (
        "回乡偶书",
        "少小离家老大回，乡音无改鬓毛衰。儿童相见不相识，笑问客从何处来。",
        "七绝·仄起首句入韵",
        "十灰",
        [],
    ),  # 衰 read cuī
    (
        "清明",
        "清明时节雨纷纷，路上行人欲断魂。借问酒家何处有，牧童遥指杏花村。",
        "七绝·平起首句入韵",
        "十三元",
        [],
    ),  # 纷 borrows from the neighbouring 十二文
    (
        "送元二使安西",
        "渭城朝雨浥轻尘，客舍青青柳色新。劝君更尽一杯酒，西出阳关无故人。",
        "七绝·平起首句入韵",
        "十一真",
        [("失粘", 3, None, "中仄中平平仄仄")],
    ),  # 折腰体: the second couplet does not take up the first
    (
        "黄鹤楼送孟浩然之广陵",
        "故人西辞黄鹤楼，烟花三月下扬州。孤帆远影碧空尽，唯见长江天际流。",
        "七绝·仄起首句入韵",
        "十一尤",
        [("平仄", 1, 2, "仄")],
    ),  # 西辞: the first line is free
    ("望庐山瀑布", "日照香炉生紫烟，遥看瀑布挂前川。飞流直下三千尺，疑是银河落九天。", "七绝·仄起首句入韵", "一先", []),
    ("绝句", "两个黄鹂鸣翠柳，一行白鹭上青天。窗含西岭千秋雪，门泊东吴万里船。", "七绝·仄起首句不入韵", "一先", []),
    (
        "春望",
        "国破山河在，城春草木深。感时花溅泪，恨别鸟惊心。烽火连三月，家书抵万金。白头搔更短，浑欲不胜簪。",
        "五律·仄起首句不入韵",
        "十二侵",
        [],
    ),
    (
        "山居秋暝",
        "空山新雨后，天气晚来秋。明月松间照，清泉石上流。竹喧归浣女，莲动下渔舟。随意春芳歇，王孙自可留。",
        "五律·平起首句不入韵",
        "十一尤",
        [],
    ),
    (
        "送友人",
        "青山横北郭，白水绕东城。此地一为别，孤蓬万里征。浮云游子意，落日故人情。挥手自兹去，萧萧班马鸣。",
        "五律·平起首句不入韵",
        "八庚",
        [],
    ),
    (
        "送杜少府之任蜀州",
        "城阙辅三秦，风烟望五津。与君离别意，同是宦游人。海内存知己，天涯若比邻。无为在歧路，儿女共沾巾。",
        "五律·仄起首句入韵",
        "十一真",
        [],
    ),
    (
        "登高",
        "风急天高猿啸哀，渚清沙白鸟飞回。无边落木萧萧下，不尽长江滚滚来。万里悲秋常作客，百年多病独登台。艰难苦恨繁霜鬓，潦倒新停浊酒杯。",
        "七律·仄起首句入韵",
        "十灰",
        [],
    ),
    (
        "锦瑟",
        "锦瑟无端五十弦，一弦一柱思华年。庄生晓梦迷蝴蝶，望帝春心托杜鹃。沧海月明珠有泪，蓝田日暖玉生烟。此情可待成追忆，只是当时已惘然。",
        "七律·仄起首句入韵",
        "一先",
        [],
    ),
    (
        "黄鹤楼",
        "昔人已乘黄鹤去，此地空余黄鹤楼。黄鹤一去不复返，白云千载空悠悠。晴川历历汉阳树，芳草萋萋鹦鹉洲。日暮乡关何处是，烟波江上使人愁。",
        "七律·平起首句不入韵",
        "十一尤",
        [("平仄", 1, 6, "平"), ("平仄", 3, 4, "平")],
    ),  # its first half is free, and famous for it; 空 has an oblique reading too, so 空悠悠 is not counted
    ("游子吟", "慈母手中线，游子身上衣。临行密密缝，意恐迟迟归。谁言寸草心，报得三春晖。", "古风", "五微", []),
    (
        "望岳",
        "岱宗夫如何，齐鲁青未了。造化钟神秀，阴阳割昏晓。荡胸生曾云，决眦入归鸟。会当凌绝顶，一览众山小。",
        "仄韵古风",
        "十七筱",
        [],
    ),
]


@pytest.fixture(scope="module")
def prosody() -> Prosody:
    return read_prosody(RELEASED)


@pytest.mark.parametrize(("title", "poem", "form", "rhyme", "faults"), POEMS, ids=[poem[0] for poem in POEMS])
def test_a_famous_poem_gets_the_verdict_of_the_handbooks(
    prosody: Prosody, title: str, poem: str, form: str, rhyme: str, faults: list[Found]
) -> None:
    report = check(poem_lines(f"《{title}》\n{poem}"), prosody)
    found = [(fault.name, fault.line, fault.place, fault.wanted) for fault in report.faults]
    assert (report.template or report.form, report.rhyme, found) == (form, rhyme, faults)


def test_every_reading_belongs_to_a_chinese_character(prosody: Prosody) -> None:
    everything = {*prosody.tones, *prosody.rhymes, *prosody.attested_tones, *prosody.oblique_rhymes}
    assert [character for character in everything if character.isascii()] == []


def test_readings_that_the_poets_and_two_tables_agree_on_are_there(prosody: Prosody) -> None:
    assert prosody.tones["扉"] == {"平"}
    assert "十灰" in prosody.groups("衰")
    assert "十三覃" in prosody.groups("惭")
    assert "十五咸" not in prosody.groups("才")
    assert prosody.oblique_rhymes["雪"] == {"九屑"}
