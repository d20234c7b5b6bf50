"""What users type without a command, and its meaning."""

from __future__ import annotations

import pytest

from bot.updates.commands import ChatCommand, closest_command, interpret, parse, poem_request, vary_request
from engine.contract import PoemRequest, outline


def meaning_of(text: str) -> PoemRequest | str | None:
    """The poem that a message asks for, or the name of the command that it means."""
    found = parse(text, "bot") or interpret(text)
    if not isinstance(found, ChatCommand):
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
        ("床前明月光的下一句", "床前明月光", "auto"),
        ("床前明月光疑是地上霜", "床前明月光，疑是地上霜", "auto"),
        ("帮我对一句：明月松间照", "明月松间照", "auto"),
        ("你好，请续写：明月松间照", "明月松间照", "auto"),
        ("空山新雨后，天气晚来秋", "空山新雨后，天气晚来秋", "auto"),
        ("西当太白有鸟道，可以横绝峨眉巅", "西当太白有鸟道，可以横绝峨眉巅", "auto"),
        ("作诗火急追亡逋", "作诗火急追亡逋", "auto"),
        ("continue 春风又绿江南岸", "春风又绿江南岸", "auto"),
        ("/continue 老夫聊发少年狂 七绝", "老夫聊发少年狂", "七绝"),
        ("/continue 七绝，老夫聊发少年狂", "老夫聊发少年狂", "七绝"),
        ("/continue 五绝床前明月光", "床前明月光", "五绝"),
        ("/continue 床前明月光 六绝", "床前明月光", "六绝"),
    ],
)
def test_a_line_is_continued_however_it_is_asked_for(text: str, line: str, form: str) -> None:
    assert meaning_of(text) == PoemRequest("continue", line, form)


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
        ("生日快乐 藏头诗 七言", "生日快乐", "七言"),
        ("我叫王小明，用我的名字写一首藏头诗", "王小明", "auto"),
        ("用我女朋友的名字李小红写一首藏头诗", "李小红", "auto"),
        ("帮我把“国泰民安”藏在诗里", "国泰民安", "auto"),
        ("my name is Anna, make an acrostic", "", "auto"),
        ('帮我写一首藏头诗,藏"生日快乐"四个字', "生日快乐", "auto"),
        ('请用我女朋友的名字"林晓雯"写一首诗', "林晓雯", "auto"),
        ("祝陳建國先生七十大壽,作一首藏頭詩:福如東海", "福如東海", "auto"),
        ("Write an acrostic with the name 李明华 pls 🙏", "李明华", "auto"),
        ("藏头 “平安喜乐” 七言的", "平安喜乐", "七言"),
        ("藏头 你还爱我吗", "你还爱我吗", "auto"),
        ("/藏头 我爱你", "我爱你", "auto"),
        ("write a poem with my name: 安娜", "安娜", "auto"),
        ("write an acrostic of 春风十里", "春风十里", "auto"),
        ("/acrostic 春风十里 七言", "春风十里", "七言"),
        ("/acrostic 七言春风十里", "春风十里", "七言"),
    ],
)
def test_words_are_hidden_however_it_is_asked_for(text: str, heads: str, form: str) -> None:
    assert meaning_of(text) == PoemRequest("acrostic", heads, form)


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
        ("写首情诗送给女朋友", "情", "auto"),
        ("写首诗夸夸我们老板", "夸夸我们老板", "auto"),
        ("写一首诗，要有“春”“花”“月”", "春 花 月", "auto"),
        ("能给我写一首五言律诗吗，主题是秋天", "秋天", "五律"),
        ("写一首秋天的五言排律", "秋天", "排律"),
        ("七言绝句 秋天的思念", "秋天的思念", "七绝"),
        ("七绝 思念故乡", "思念故乡", "七绝"),
        ("来一首", "", "auto"),
        ("随便写一首", "", "auto"),
        ("写一首五言的", "", "五言"),
        ("写一首给爸爸的诗", "爸爸", "auto"),
        ("中秋快乐", "中秋", "auto"),
        ("以“雪”为题", "雪", "auto"),
        ("A poem about my dog please", "my dog", "auto"),
        ("Something romantic", "romantic", "auto"),
        ("a 七律 about mountains", "mountains", "七律"),
        ("write something", "", "auto"),
        ("write me a haiku", "", "auto"),
        ("5 character poem about rain", "rain", "五绝"),
        ("I want a sad poem", "sad", "auto"),
        ("Write a poem for my mother's birthday", "my mother's birthday", "auto"),
        ("Please write a love poem for my wife", "love", "auto"),
        ("Can I have a poem about a lonely cat in the rain?", "a lonely cat in the rain", "auto"),
        ("cherry blossoms", "cherry blossoms", "auto"),
        ("春天", "春天", "auto"),
        ("七绝 思乡", "思乡", "七绝"),
        ("七绝", "", "七绝"),
        ("写首诗", "", "auto"),
        ("/poem", "", "auto"),
        ("spring", "spring", "auto"),
        ("write a poem about spring", "spring", "auto"),
        ("Write me a poem about the autumn moon!", "the autumn moon", "auto"),
        ("a short poem", "", "auto"),
        ("我妈妈六十岁生日，写首诗祝寿", "我妈妈六十岁生日 祝寿", "auto"),
        ("换个主题，写月亮", "月亮", "auto"),
        ("来一首写雪的五绝", "雪", "五绝"),
        ("我想送给老师一首诗,教师节用的", "老师 教师节用的", "auto"),
        ("下个月我哥结婚,能写首祝福他们百年好合的诗吗?", "下个月我哥结婚 祝福他们百年好合", "auto"),
        ("happy birthday poem for my mom, her name is Wang Xiulan", "happy birthday my mom", "auto"),
        ("Can you write something about the sea?", "the sea", "auto"),
    ],
)
def test_a_theme_is_written_on_however_it_is_asked_for(text: str, theme: str, form: str) -> None:
    found = meaning_of(text)
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
    assert meaning_of(text) == PoemRequest("continue", "老夫聊发少年狂", rhyme=rhyme, mood=mood)


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
        ("写得真好！", "praise"),
        ("真棒", "praise"),
        ("Beautiful!", "praise"),
        ("不好，重写", "again"),
        ("还有吗", "again"),
        ("give me another", "again"),
        ("ok", "nod"),
        ("好的", "nod"),
        ("怎么分享", "help"),
        ("Do you speak English?", "language en"),
        ("换成七律", "again"),
        ("太短了，写长一点", "again longer"),
        ("longer", "again longer"),
        ("你好，请问怎么玩", "help"),
        ("五绝是什么", "terms"),
        ("什么是平仄?", "terms"),
        ("what does 平仄 mean?", "terms"),
        ("藏头诗怎么写", "terms"),
        ("thank u", "thanks"),
        ("写得不好", "complaint"),
        ("太俗了", "complaint"),
        ("I don't like it", "complaint"),
        ("这首诗是你写的吗？", "start"),
        ("晚安", "bye"),
        ("good night!", "bye"),
        ("下一首", "again"),
        ("帮我改一下这首诗：白日依山尽，黄河入海流。", "check 白日依山尽，黄河入海流。"),
        ("把“新年快乐”放在每句的最後一個字", "tail"),
        ("写一首藏尾诗", "tail"),
        ("床前明月光的下一句是什么", "by_heart"),
        ("落霞与孤鹜齐飞，下一句是什么？", "by_heart"),
        ("谢谢你!写得真好👍", "thanks"),
        ("写得真好，谢谢", "thanks"),
        ("Thank you so much, it's beautiful!", "thanks"),
        ("不好,太俗了,换一个", "again"),
        ("hwo do i use this bot??", "help"),
        ("what is 七绝?", "terms"),
        ("who wrote this?", "start"),
        ("用繁体", "language zh-hant"),
        ("看看我这首诗平仄对不对:\n白日依山尽,黄河入海流。", "check 白日依山尽,黄河入海流。"),
        ("帮我查一下这首诗的平仄：白日依山尽，黄河入海流", "check 白日依山尽，黄河入海流"),
        ("取消", "cancel"),
        ("English", "language en"),
        ("繁體中文", "language zh-hant"),
        ("查格律：白日依山尽，黄河入海流", "check 白日依山尽，黄河入海流"),
    ],
)
def test_other_commands_have_words_too(text: str, command: str) -> None:
    assert meaning_of(text) == command


def test_the_last_poem_is_written_longer_or_in_another_form() -> None:
    line, heads, theme = (
        PoemRequest("continue", "明月松间照"),
        PoemRequest("acrostic", "春风"),
        PoemRequest("theme", "月"),
    )
    longer = ChatCommand("again", "longer")
    assert vary_request(theme, ChatCommand("again", "", form="五律")).form == "五律"
    assert vary_request(theme, longer).form == "七律"
    assert vary_request(line, longer).form == "排律"
    assert vary_request(PoemRequest("theme", "月", "五绝"), longer).form == "五律"
    assert vary_request(heads, longer) == heads
    assert vary_request(line, ChatCommand("again", "")) == line


@pytest.mark.parametrize(
    "text", ["好" * 200, "真的" * 100, "a " * 100, "请你能会再来" * 33, "写得太太太太" * 30, "so " * 66]
)
def test_no_message_keeps_the_table_busy(text: str) -> None:
    meaning_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "今天天气真好",
        "今天天气好，我们出去玩",
        "天气不好，可以不去",
        "明天天气怎么样",
        "写一副春联",
        "填一首词，菩萨蛮",
        "hello world",
        "❤",
        "123",
        "写得家书空满纸吗",
        "今天好累,加班到现在,不想动了……",
    ],
)
def test_what_is_neither_verse_nor_a_wish_is_nothing(text: str) -> None:
    assert meaning_of(text) is None


@pytest.mark.parametrize(
    "line", ["来是空言去绝踪", "续断桥边草自生", "再到天台访玉真", "请君暂上凌烟阁", "用尽闺中力", "取次花丛懒回顾"]
)
def test_verse_that_begins_like_a_wish_stays_verse(line: str) -> None:
    assert meaning_of(line) == PoemRequest("continue", line)


@pytest.mark.parametrize("lines", ["空山新雨后，天气晚来秋", "春风再见无多日，可以相携上酒楼。"])
def test_a_couplet_stays_verse_even_with_words_of_conversation(lines: str) -> None:
    assert meaning_of(lines) == PoemRequest("continue", lines)


_QUATRAIN = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"


@pytest.mark.parametrize(
    "text", [f"登鹳雀楼\n王之涣\n{_QUATRAIN}", f"《登鸛雀樓》 王之渙\n{_QUATRAIN}", "\n".join([_QUATRAIN] * 2)]
)
def test_a_whole_poem_is_examined_and_not_continued(text: str) -> None:
    assert interpret(text) == ChatCommand("check", text)


def test_a_quatrain_without_title_is_continued() -> None:
    assert meaning_of(_QUATRAIN) == PoemRequest("continue", _QUATRAIN)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("peom", "poem"), ("contineu", "continue"), ("chekc", "check"), ("poem", "poem"), ("stats", None), ("foo", None)],
)
def test_a_misspelled_command_is_the_one_most_like_it(typed: str, meant: str | None) -> None:
    assert closest_command(typed, ("stats", "retrain")) == meant


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a birthday poem for Li Ming", "Li Ming"),
        ("Write me a spring poem for O'Brien please.", "O'Brien"),
        ("a love poem for xiaohong", "xiaohong"),
        ("a birthday poem for my dad", ""),
        ("a love poem for you", ""),
        ("a birthday poem for mom", ""),
        ("a spring poem for 李明", ""),
    ],
)
def test_a_name_that_is_not_in_chinese_characters_is_noticed(text: str, name: str) -> None:
    found = interpret(text)
    assert isinstance(found, ChatCommand)
    assert found.unused_name == name
