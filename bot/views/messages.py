"""Every string a person sees, by language. Telegram HTML; what is filled in is escaped here."""

from __future__ import annotations

import functools
import html
import re
from typing import Literal

import opencc

from engine.contract import PoemError

Language = Literal["zh-hans", "zh-hant", "en"]
Name = Literal[
    "start", "help", "privacy", "retrain_refused", "examples",
    "another", "forms", "moods", "picture", "back", "write",
    "writing", "already_writing", "old_button", "picture_coming", "picture_sent", "no_picture", "slower",
    "cancelled", "nothing_to_cancel", "waiting", "waiting_long", "your_turn",
    "language", "language_set",
    "inline_empty", "inline_acrostic", "inline_continue", "inline_written", "inline_unwritten", "inline_writing",
]  # fmt: skip

_COMMANDS_ZH = """\
/continue [体裁] 首句 [| 意境]
　<code>/continue 老夫聊发少年狂</code>
　<code>/continue 五绝 床前明月光</code>
　<code>/continue 七绝 月落乌啼霜满天 | 欲穷千里目，更上一层楼</code>
/acrostic [五言|七言] 藏头 [| 意境]
　<code>/acrostic 春风十里</code>
　<code>/acrostic 七言 春风十里 | 大漠孤烟直</code>
体裁：五绝 七绝 五律 七律 排律 古风；不写则按首句而定。意境只影响诗意，不写进诗里。
私聊里只写一句也行，我来续。

/check 诗：看形式、平仄、押韵，指出毛病；也可以回复一首诗说 /check
/cancel 不等了　/language 语言"""

_COMMANDS_EN = """\
/continue [form] first line [| mood]
　<code>/continue 老夫聊发少年狂</code>
　<code>/continue 五绝 床前明月光</code>
　<code>/continue 七绝 月落乌啼霜满天 | 欲穷千里目，更上一层楼</code>
/acrostic [五言|七言] heads [| mood]
　<code>/acrostic 春风十里</code>
　<code>/acrostic 七言 春风十里 | 大漠孤烟直</code>
Forms: 五绝 七绝 五律 七律 排律 古风; left out, the first line decides. The mood (意境) colours the poem and does not \
appear in it.
In a private chat a line alone will do; I go on from it.

/check poem: its form, tones and rhymes, and what is wrong with them; or reply to a poem with /check
/cancel stop waiting · /language language"""

_TEXTS: dict[Name, tuple[str, str]] = {
    "start": (
        f"我读唐诗，也写诗。给我一句，我续成一首；给我几个字，我写成藏头诗。\n\n{_COMMANDS_ZH}\n\n/privacy 我记住什么",
        "I have read the Tang poets and I write. Give me a line and I go on from it; give me a few characters and "
        f"each begins a line.\n\n{_COMMANDS_EN}\n\n/privacy what I keep",
    ),
    "help": (f"{_COMMANDS_ZH}\n/privacy 我记住什么", f"{_COMMANDS_EN}\n/privacy what I keep"),
    "examples": (
        "我只会写诗。这两句一点就能复制，发来便有诗：\n<code>{one}</code>\n<code>{two}</code>\n更多见 /help",
        "I only write poems. These two work; tap to copy, then send:\n<code>{one}</code>\n<code>{two}</code>\n"
        "More: /help",
    ),
    "privacy": (
        "您发来的诗句与会话编号只在诗写成、送出之前留在队列里，随后删除；写不成的留给管理员查看，直到他删去。"
        "消息编号留两天，以免重复回答；您的用户编号用来计数，最多留一天；"
        "用 /language 选过的语言一直留着，选“自动”便删去。"
        "写成的诗留三十天，好让诗下的按钮能用。日志里没有消息内容。您写的东西不会用来训练。",
        "Your line and the chat's number stay in the queue until the poem is written and sent, then they are deleted; "
        "a poem that cannot be written stays for the operator to look at until deleted. Message numbers are kept for "
        "two days, so that nothing is answered twice; your user number as a counter, for a day at most; "
        "a language chosen with /language until you choose “automatic”. Poems are kept for thirty days, "
        "so that the buttons below them work. No message text is logged. What you write is never used for training.",
    ),
    "retrain_refused": ("抱歉，这个命令只供管理员使用。", "Sorry, this command is for administrators."),
    "another": ("再来一首", "Another"),
    "forms": ("换体裁", "Another form"),
    "moods": ("换意境", "Another mood"),
    "picture": ("配图", "Picture"),
    "back": ("返回", "Back"),
    "write": ("写出来", "Write it"),
    "writing": ("正在写……", "Writing …"),
    "already_writing": ("正在写，请稍候。", "It is being written; a moment, please."),
    "old_button": (
        "这个按钮太旧了，诗我已记不得；把首句再发一次，我重写一首。",
        "This button is too old and the poem forgotten; send the line again and I write another.",
    ),
    "picture_coming": ("正在画……", "Drawing …"),
    "picture_sent": ("图已经发过了，就在这首诗下面。", "The picture was sent already, below the poem."),
    "no_picture": (
        "这首诗里有画不出的字（{characters}），还是以文字奉上。",
        "There are characters here that I cannot draw ({characters}), so it stays in words.",
    ),
    "slower": ("您要得太快了，请稍后再按。", "That was a little fast; please press again later."),
    "cancelled": ("好，这首不写了。", "All right, this one is not written."),
    "nothing_to_cancel": ("没有正在等的诗。", "No poem is waiting."),
    "waiting": (
        "排在第{place}位，大约还要{seconds}秒。不等了：/cancel",
        "Number {place} in the queue, about {seconds} s. To stop waiting: /cancel",
    ),
    "waiting_long": (
        "排在第{place}位；诗人暂时不在，一回来就写。不等了：/cancel",
        "Number {place} in the queue; the poet is away and writes as soon as he is back. To stop waiting: /cancel",
    ),
    "your_turn": ("轮到您了，正在写……", "Your turn; writing …"),
    "language": ("用哪种语言？", "Which language?"),
    "language_set": ("好，以后用中文。", "English it is."),
    "inline_empty": ("写一句诗，或几个汉字，例如：春风十里", "Type a line or a few Chinese characters: 春风十里"),
    "inline_acrostic": ("藏头：{text}", "Acrostic: {text}"),
    "inline_continue": ("续写：{text}", "Continue: {text}"),
    "inline_written": ("{line}……", "{line} …"),
    "inline_unwritten": ("点一下就写", "Tap and I write"),
    "inline_writing": ("<b>{text}</b>\n正在写……", "<b>{text}</b>\nWriting …"),
}
_EXAMPLES = (
    ("/continue 老夫聊发少年狂", "/acrostic 春风十里"),
    ("/continue 五绝 床前明月光", "/acrostic 七言 夜月一帘幽梦"),
    ("/continue 七绝 月落乌啼霜满天", "/acrostic 长安月"),
    ("/continue 空山新雨后", "/acrostic 七言 春风十里 | 大漠孤烟直"),
    ("/continue 秋风吹渭水 | 欲穷千里目，更上一层楼", "/acrostic 山高水长"),
)
"""Pairs that are known to be written."""
LANGUAGES: dict[Language, str] = {"zh-hans": "简体中文", "zh-hant": "繁體中文", "en": "English"}


def say(name: Name, language: Language, **filled: object) -> str:
    """A text as Telegram HTML; what is ``filled`` in is escaped and keeps its script."""
    zh, en = _TEXTS[name]
    text = en if language == "en" else in_script(zh, language)
    if not filled:
        return text
    return text.format(**{key: html.escape(str(value), quote=False) for key, value in filled.items()})


def examples(language: Language, number: int) -> str:
    """Two commands that work; which two, ``number`` decides."""
    one, two = (in_script(each, language) for each in _EXAMPLES[number % len(_EXAMPLES)])
    return say("examples", language, one=one, two=two)


def error_text(error: PoemError, language: Language) -> str:
    """An error in the person's language, plain text."""
    return error.en if language == "en" else in_script(error.zh, language)


def error_html(error: PoemError, language: Language) -> str:
    return html.escape(error_text(error, language), quote=False)


def in_script(simplified: str, language: Language) -> str:
    """Simplified Chinese in the script of ``language``."""
    return str(_traditional().convert(simplified)) if language == "zh-hant" else simplified


def language_of(code: str | None) -> Language:
    """From Telegram's ``language_code`` (an IETF tag, or nothing at all: then Chinese)."""
    tag = (code or "zh").lower().replace("_", "-")
    if tag.split("-")[0] not in ("zh", "yue", "lzh", "wuu"):
        return "en"
    return "zh-hant" if re.search(r"-(hant|tw|hk|mo)\b", tag) else "zh-hans"


def accepted_language(header: str | None) -> Language:
    """From an ``Accept-Language`` header: its most wanted tag; English without one."""
    wanted = []
    for position, part in enumerate((header or "").split(",")[:32]):
        tag, _, quality = part.strip().partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", quality)
        if re.fullmatch(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", tag):
            wanted.append((-float(match[1]) if match else -1.0, position, tag))
    return language_of(min(wanted)[2]) if wanted else "en"


def as_language(value: str) -> Language:
    """A language that came through Redis; what this version does not know is simplified Chinese."""
    return "en" if value == "en" else "zh-hant" if value == "zh-hant" else "zh-hans"


@functools.cache
def _traditional() -> opencc.OpenCC:
    return opencc.OpenCC("s2t")
