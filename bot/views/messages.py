"""The texts of the chat by language, as Telegram HTML; what is filled in is escaped here.

Other texts are in modules beside it: of administrators, errors over HTTP, refusals, command lists. Errors in a request
come from ``engine.contract``.
"""

from __future__ import annotations

import html
import re
from typing import Literal

from engine.contract import PoemError
from engine.contract.script import converter

Language = Literal["zh-hans", "zh-hant", "en"]
MessageName = Literal[
    "start", "help", "terms", "tail", "by_heart", "thanks", "praise", "nod", "bye", "complaint",
    "wordless", "name_left_out", "privacy", "retrain_refused", "examples",
    "another", "forms", "moods", "picture", "share", "back", "write", "write_one",
    "writing", "already_writing", "old_button", "picture_coming", "picture_sent", "no_picture", "slower",
    "cancelled", "nothing_to_cancel", "waiting", "waiting_long", "your_turn",
    "language", "language_set",
    "inline_empty", "inline_acrostic", "inline_continue", "inline_theme", "inline_written", "inline_unwritten",
    "inline_writing",
]  # fmt: skip

_COMMANDS_ZH = """\
/poem [体裁] 题目：整首由我来写
　<code>/poem 春天</code>
　<code>/poem 七绝 思乡</code>
/continue [体裁] 首句：接着您的首句续写
　<code>/continue 老夫聊发少年狂</code>
　<code>/continue 五绝 床前明月光</code>
/acrostic [五言|七言] 藏头：一字一句
　<code>/acrostic 春风十里</code>
　<code>/acrostic 七言 春风十里 | 大漠孤烟直</code>
体裁：五绝 七绝 五律 七律 排律 古风。韵部（如 七阳）写在哪里都行；“|”之后是意境，仅影响诗意，不写进诗里。
私聊里不用命令也行：<code>写一首春天的七绝</code>、<code>藏头 春风十里</code>、<code>再来一首</code>，或只发一句诗。

/check 诗：查形式、平仄、押韵；也可以回复一首诗说 /check
/cancel 取消等待　/language 语言　/privacy 隐私说明"""

_COMMANDS_EN = """\
/poem [form] theme: I write all of it
　<code>/poem spring</code>
　<code>/poem 七绝 思乡</code>
/continue [form] first line: a poem that begins with your line
　<code>/continue 老夫聊发少年狂</code>
　<code>/continue 五绝 床前明月光</code>
/acrostic [五言|七言] characters: each begins a line
　<code>/acrostic 春风十里</code>
　<code>/acrostic 七言 春风十里 | 大漠孤烟直</code>
Forms: 五绝 and 七绝 (four lines of 5 or 7 characters), 五律 and 七律 (eight lines), 排律 (ten or more), 古风 (old \
style, free); if omitted, chosen from your first line. A rhyme group such as 七阳 may stand anywhere. What follows “|” \
is a mood (意境): it colours the poem and does not appear in it.
In a private chat no command is needed: <code>write a poem about autumn</code>, <code>moon</code>, or a line of verse.

/check poem: its form, tones and rhymes; or reply to a poem with /check
/cancel stop waiting · /language language · /privacy what is stored"""

_TEXTS: dict[MessageName, tuple[str, str]] = {
    "start": (
        f"我写古诗：给我一个题目，我写一首；给我一句，我续成一首；给我几个字，我写成藏头诗。\n\n{_COMMANDS_ZH}",
        "I write classical Chinese poems: on a theme, from your first line, or as an acrostic that hides your words. "
        f"No Chinese needed: tap a button, or send <code>spring</code>.\n\n{_COMMANDS_EN}",
    ),
    "help": (_COMMANDS_ZH, _COMMANDS_EN),
    "terms": (
        "绝句四句，律诗八句（中间两联对仗），排律十句以上；五绝、七绝、五律、七律，五、七是每句字数。古风不拘平仄句数。\n"
        "平仄：字的声调，平声与仄声（上、去、入），在律诗绝句里按谱交错。押韵：双句末字同属一个韵部，如 七阳。\n"
        "藏头诗：各句首字连成一句话。意境：写在“|”之后，仅影响诗意。\n"
        "要查一首诗的平仄押韵：<code>/check 白日依山尽，黄河入海流。欲穷千里目，更上一层楼。</code>",
        "绝句 (quatrain) has four lines, 律诗 eight (the middle couplets parallel), 排律 ten or more; 五 or 七 is the "
        "number of characters in a line. 古风, the old style, is free.\n"
        "平仄: level and oblique tones, which alternate by a fixed pattern in regulated verse. Rhyme: even lines end "
        "in the same rhyme group, such as 七阳.\n"
        "藏头诗 (acrostic): the first characters of the lines spell your words. 意境 (mood): what follows “|”; it "
        "colours the poem.\n"
        "To have a poem checked: <code>/check 白日依山尽，黄河入海流。欲穷千里目，更上一层楼。</code>",
    ),
    "tail": (
        "我只会把字藏在每句句首，还不会藏在句尾。要藏头，请发：<code>/acrostic 春风十里</code>",
        "I can hide characters at the beginning of each line, not at its end. For that, send "
        "<code>/acrostic 春风十里</code>",
    ),
    "by_heart": (
        "我不背古人的诗，只会自己写。想看我怎么接，请发：<code>续写 落霞与孤鹜齐飞</code>",
        "I do not know the poets' lines by heart, I write my own. To see how I go on, send "
        "<code>/continue 落霞与孤鹜齐飞</code>",
    ),
    "thanks": ("不客气。要再来一首吗？", "You are welcome. Another poem?"),
    "nod": ("要再来一首吗？", "Another poem?"),
    "praise": ("多谢夸奖。要再来一首吗？", "Thank you. Another poem?"),
    "bye": ("随时欢迎。想要诗的时候，发一句来就行。", "Any time. Whenever you want a poem, send me a line."),
    "complaint": (
        "抱歉，这首不合意。说“再来一首”便重写；诗下的按钮可以换体裁、换意境。",
        "Sorry that you do not like it. Say “another” and I write it anew; the buttons below it change form and mood.",
    ),
    "wordless": (
        "我只看得懂文字。发一句诗或一个题目（如 <code>春天</code>），我来写；也可以点下面的按钮。",
        "I only read text. Send a line of verse or a theme such as <code>spring</code>, or tap a button.",
    ),
    "name_left_out": (
        "“{unused_name}”没有写进诗里：我只写汉字。请用汉字发名字，例如：<code>/acrostic 李明</code>",
        "The poem leaves out “{unused_name}”: I only write Chinese characters. Send the name in Chinese to hide it in "
        "a poem: <code>/acrostic 李明</code>",
    ),
    "examples": (
        "这句我没看懂；我只会写诗。这两条点一下就能复制，发来便有诗：\n<code>{one}</code>\n<code>{two}</code>\n"
        "更多见 /help",
        "I did not understand that; I only write poems. These two work (tap to copy, then send):\n<code>{one}</code>\n"
        "<code>{two}</code>\nMore: /help",
    ),
    "privacy": (
        "您发来的诗句与会话编号只在诗写成、送出之前留在队列里，随后删除；写不成的留给管理员查看，直到他删去。"
        "消息编号留两天，以免重复回答；您的用户编号用来计数，最多留一天；最近一次要的诗也留一天，好再来一首；"
        "用 /language 选过的语言一直留着，选“自动”便删去。"
        "写成的诗留三十天，好让诗下的按钮能用。日志里没有消息内容。您写的东西不会用来训练。",
        "Your line and the chat's number stay in the queue until the poem is written and sent, then they are deleted; "
        "a poem that cannot be written stays for the operator to look at until deleted. Message numbers are kept for "
        "two days, so that nothing is answered twice; your user number as a counter, for a day at most; your last "
        "request for a day, so that you can ask for another; "
        "a language chosen with /language until you choose “automatic”. Poems are kept for thirty days, "
        "so that the buttons below them work. No message text is logged. What you write is never used for training.",
    ),
    "retrain_refused": ("抱歉，这个命令只供管理员使用。", "Sorry, this command is for administrators."),
    "another": ("再来一首", "Another"),
    "forms": ("换体裁", "Another form"),
    "moods": ("换意境", "Another mood"),
    "picture": ("配图", "Picture"),
    "back": ("返回", "Back"),
    "share": ("分享", "Share"),
    "write_one": ("写一首诗", "Write a poem"),
    "write": ("写出来", "Write it"),
    "writing": ("正在写……", "Writing …"),
    "already_writing": ("正在写，请稍候。", "It is being written; one moment, please."),
    "old_button": (
        "按钮已过期，请重发首句。",
        "This button has expired; please send your line again.",
    ),
    "picture_coming": ("正在画……", "Drawing the picture …"),
    "picture_sent": ("图已经发过了，就在这首诗下面。", "The picture has already been sent, below the poem."),
    "no_picture": (
        "字体里没有这些字：{characters}，所以这首诗没有配图。",
        "The font lacks these characters, so there is no picture of this poem: {characters}",
    ),
    "slower": ("请求太频繁，请稍后再按。", "Too many requests; please press again later."),
    "cancelled": ("已取消。", "Cancelled."),
    "nothing_to_cancel": ("没有正在等待的诗。", "No poem is waiting."),
    "waiting": (
        "排在第{position}位，大约还要{seconds}秒。取消等待：/cancel",
        "Number {position} in the queue, about {seconds} s. To stop waiting: /cancel",
    ),
    "waiting_long": (
        "排在第{position}位；写诗程序暂时没有运行，一恢复就写。取消等待：/cancel",
        "Number {position} in the queue; no worker is running; your poem will be written as soon as one is back. "
        "To stop waiting: /cancel",
    ),
    "your_turn": ("轮到您了，正在写……", "Your turn; writing …"),
    "language": ("请选择语言：", "Which language?"),
    "language_set": ("已改用中文。", "I will answer in English."),
    "inline_empty": ("写一句诗或一个题目，例如：春风十里", "Type spring, or Chinese characters: 春风十里"),
    "inline_acrostic": ("藏头：{text}", "Acrostic: {text}"),
    "inline_continue": ("续写：{text}", "Continue: {text}"),
    "inline_theme": ("题：{text}", "Theme: {text}"),
    "inline_written": ("{line}……", "{line} …"),
    "inline_unwritten": ("点一下就写", "Tap and I write"),
    "inline_writing": ("<b>{text}</b>\n正在写……", "<b>{text}</b>\nWriting …"),
}
_EXAMPLES = (
    ("老夫聊发少年狂", "写一首春天的七绝", "/poem spring"),
    ("五绝 床前明月光", "藏头 春风十里", "/poem autumn moon"),
    ("七绝 月落乌啼霜满天", "写一首藏头诗：长安月", "/poem homesick"),
    ("空山新雨后", "帮我写一首关于思乡的诗", "/poem mountain"),
    ("秋风吹渭水", "/acrostic 七言 春风十里", "/poem plum snow"),
)
"""A first line, a phrase, and a command without Chinese; all of them are known to work."""
LANGUAGES: dict[Language, str] = {"zh-hans": "简体中文", "zh-hant": "繁體中文", "en": "English"}


def escape(text: str) -> str:
    """``text`` escaped for Telegram HTML."""
    return html.escape(text, quote=False)


def pick(texts: tuple[str, str], language: Language) -> str:
    """One of a pair of texts, simplified Chinese and English."""
    return texts[1] if language == "en" else in_script(texts[0], language)


def message_text(name: MessageName, language: Language, **values: object) -> str:
    """A text as Telegram HTML; values for its placeholders are escaped and keep their script."""
    text = pick(_TEXTS[name], language)
    return text.format(**{key: escape(str(value)) for key, value in values.items()}) if values else text


def examples(language: Language, number: int, typed: str = "") -> str:
    """Two example messages; ``number`` decides which. ``typed``: characters for an acrostic."""
    line, phrase, english = (in_script(each, language) for each in _EXAMPLES[number % len(_EXAMPLES)])
    one, two = (english, line) if language == "en" else (line, phrase)
    if typed:
        one = f"/acrostic {typed}"
    return message_text("examples", language, one=one, two=two)


def error_text(error: PoemError, language: Language) -> str:
    """An error in the user's language, as plain text."""
    return pick((error.zh, error.en), language)


def error_html(error: PoemError, language: Language) -> str:
    return escape(error_text(error, language))


_SAME_IN_BOTH_SCRIPTS = {"三餚": "三肴", "十五鹹": "十五咸"}
"""Rhyme groups whose names are the same in both scripts, by what the converter makes of them."""


def in_script(simplified: str, language: Language) -> str:
    """Simplified Chinese in the script of ``language``; unchanged for English."""
    if language != "zh-hant":
        return simplified
    # Quoted text may contain a lone surrogate, which the converter cannot encode.
    traditional = str(converter("s2tw").convert(simplified.encode("utf-8", "replace").decode()))
    for converted, name in _SAME_IN_BOTH_SCRIPTS.items():
        traditional = traditional.replace(converted, name)
    return traditional


def language_of(code: str | None) -> Language:
    """From Telegram's ``language_code``, an IETF tag; Chinese if there is none."""
    tag = (code or "zh").lower().replace("_", "-")
    if tag.split("-")[0] not in ("zh", "yue", "lzh", "wuu"):
        return "en"
    return "zh-hant" if re.search(r"-(hant|tw|hk|mo)\b", tag) else "zh-hans"


def accepted_language(header: str | None) -> Language:
    """From an ``Accept-Language`` header: its most preferred tag; English without one."""
    wanted = []
    for position, part in enumerate((header or "").split(",")[:32]):
        tag, _, quality = part.strip().partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", quality)
        if re.fullmatch(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", tag):
            wanted.append((-float(match[1]) if match else -1.0, position, tag))
    return language_of(min(wanted)[2]) if wanted else "en"


def as_language(value: str) -> Language:
    """A language read from Redis; unknown ones become simplified Chinese."""
    return "en" if value == "en" else "zh-hant" if value == "zh-hant" else "zh-hans"
