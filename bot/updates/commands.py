"""Message text → what is asked for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.contract import PoemRequest
from engine.contract.poem import FORMS, Mode
from engine.contract.text import clauses, foreign

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)
_MOOD_MARK = re.compile(r"[|｜∣│]")
_SIMPLIFIED = str.maketrans("絕詩風", "绝诗风")
# 六绝 or 三律 before a line can only be a form that does not exist, and deserves to be told so.
_LIKE_A_FORM = re.compile(r"[一二三四五六七八九十][绝律言]|[五七][言]?(?:绝句|律诗|古诗|古风|排律)|词|曲")


SHORTEST = 4
"""Characters of a clause that is taken for verse where nobody asked for a poem in so many words."""


@dataclass(frozen=True)
class Command:
    """A command by its name in lower case, and what follows it, line breaks included. ``named``: with the bot's own."""

    name: str
    rest: str
    named: bool = False


def parse(text: str, bot_name: str) -> Command | None:
    """The command in a message, or None: no command at all, or one for another bot."""
    match = _COMMAND.fullmatch(text.strip())
    if match is None:
        return None
    name, mention, rest = match.groups()
    if mention is not None and mention.lower() != bot_name.lower():
        return None
    return Command(name.lower(), (rest or "").strip(), mention is not None)


def addressed_elsewhere(text: str, bot_name: str) -> bool:
    """Whether a message is a command that names another bot."""
    match = _COMMAND.fullmatch(text.strip())
    return match is not None and match[2] is not None and match[2].lower() != bot_name.lower()


def poem_request(command: Command) -> PoemRequest | None:
    """``/continue [form] line [| mood]`` and ``/acrostic [form] heads [| mood]``; None for other commands.

    Only takes apart what was typed: ``engine.contract.outline`` says whether it can be written.
    """
    if command.name not in ("continue", "acrostic"):
        return None
    line, _, mood = _MOOD_MARK.sub("|", command.rest, count=1).partition("|")
    form, text = _form(line)
    mode: Mode = "acrostic" if command.name == "acrostic" else "continue"
    return PoemRequest(mode=mode, text=text, form=form, mood=mood.strip() or None)


def bare_line(text: str) -> PoemRequest | None:
    """What a person who typed no command wants continued; None: that is no line of verse."""
    found = clauses(text)
    if not found or foreign(text) or min(map(len, found)) < SHORTEST:
        return None
    return PoemRequest(mode="continue", text=text.strip())


def without_mention(text: str, bot_name: str) -> tuple[str, bool]:
    """``text`` without the bot's name, and whether it stood there."""
    left, count = re.subn(rf"(?<![\w@])@{re.escape(bot_name)}(?![A-Za-z0-9_])", " ", text, flags=re.IGNORECASE)
    return left.strip(), count > 0


def _form(line: str) -> tuple[str, str]:
    words = line.split(maxsplit=1)
    if not words:
        return "auto", ""
    word = words[0].translate(_SIMPLIFIED)
    rest = words[1].strip() if len(words) > 1 else ""
    if word in FORMS or (rest and _LIKE_A_FORM.fullmatch(word)):
        return word, rest
    return "auto", line.strip()
