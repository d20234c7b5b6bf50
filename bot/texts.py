"""Every string a person sees, by language. Telegram HTML; what is filled in is escaped here."""

from __future__ import annotations

import functools
import html
import re
from typing import Literal

import opencc

from engine.contract import PoemError

Language = Literal["zh-hans", "zh-hant", "en"]
Name = Literal["start", "help", "hint", "privacy", "retrain_refused"]

_COMMANDS_ZH = """\
/continue [体裁] 首句 [| 意境]
　<code>/continue 老夫聊发少年狂</code>
　<code>/continue 五绝 床前明月光</code>
　<code>/continue 七绝 月落乌啼霜满天 | 欲穷千里目，更上一层楼</code>
/acrostic [五言|七言] 藏头 [| 意境]
　<code>/acrostic 春风十里</code>
　<code>/acrostic 七言 春风十里 | 大漠孤烟直</code>
体裁：五绝 七绝 五律 七律 排律 古风；不写则按首句而定。意境只影响诗意，不写进诗里。"""

_COMMANDS_EN = """\
/continue [form] first line [| mood]
　<code>/continue 老夫聊发少年狂</code>
　<code>/continue 五绝 床前明月光</code>
　<code>/continue 七绝 月落乌啼霜满天 | 欲穷千里目，更上一层楼</code>
/acrostic [五言|七言] heads [| mood]
　<code>/acrostic 春风十里</code>
　<code>/acrostic 七言 春风十里 | 大漠孤烟直</code>
Forms: 五绝 七绝 五律 七律 排律 古风; left out, the first line decides. The mood (意境) colours the poem and does not \
appear in it."""

_TEXTS: dict[Name, tuple[str, str]] = {
    "start": (
        f"我读唐诗，也写诗。给我一句，我续成一首；给我几个字，我写成藏头诗。\n\n{_COMMANDS_ZH}\n\n/privacy 我记住什么",
        "I have read the Tang poets and I write. Give me a line and I go on from it; give me a few characters and "
        f"each begins a line.\n\n{_COMMANDS_EN}\n\n/privacy what I keep",
    ),
    "help": (f"{_COMMANDS_ZH}\n/privacy 我记住什么", f"{_COMMANDS_EN}\n/privacy what I keep"),
    "hint": (
        "我听得懂的是：\n<code>/continue 老夫聊发少年狂</code>\n<code>/acrostic 春风十里</code>\n更多见 /help",
        "What I understand:\n<code>/continue 老夫聊发少年狂</code>\n<code>/acrostic 春风十里</code>\nMore: /help",
    ),
    "privacy": (
        "您发来的诗句与会话编号只在诗写成、送出之前留在队列里，随后删除；写不成的留给管理员查看，直到他删去。"
        "消息编号留两天，以免重复回答；您的用户编号只作计数，最多留一天。日志里没有消息内容。"
        "您写的东西不会用来训练。",
        "Your line and the chat's number stay in the queue until the poem is written and sent, then they are deleted; "
        "a poem that cannot be written stays for the operator to look at until deleted. Message numbers are kept for "
        "two days, so that nothing is answered twice; your user number only as a counter, for a day at most. "
        "No message text is logged. What you write is never used for training.",
    ),
    "retrain_refused": ("抱歉，这个命令只供管理员使用。", "Sorry, this command is for administrators."),
}


def say(name: Name, language: Language) -> str:
    """A text as Telegram HTML."""
    zh, en = _TEXTS[name]
    return en if language == "en" else in_script(zh, language)


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
    """A language that came through the queue; what this version does not know is simplified Chinese."""
    return "en" if value == "en" else "zh-hant" if value == "zh-hant" else "zh-hans"


@functools.cache
def _traditional() -> opencc.OpenCC:
    return opencc.OpenCC("s2t")
