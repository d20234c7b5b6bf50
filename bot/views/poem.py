"""Replies as Telegram HTML."""

from __future__ import annotations

from dataclasses import replace

from bot.views.check import examination_html
from bot.views.messages import Language, error_html, escape, in_script, pick
from engine.contract import Poem, PoemRequest
from engine.contract.check import Examination
from engine.contract.queue.messages import Content, Request
from engine.contract.request_fields import LEVEL_RHYMES
from engine.contract.script import Script
from engine.contract.text import clauses, is_chinese, only_chinese, symbols
from engine.contract.themes import in_english

FORM_TITLES = {
    "五绝": "五言绝句",
    "七绝": "七言绝句",
    "五律": "五言律诗",
    "七律": "七言律诗",
    "五言": "五言诗",
    "七言": "七言诗",
    "古风": "古风",
}
"""The names of forms in full, as a title."""

_FINALS = "ong ong ang i ei u u i ai ai en en uan an an ian ao ao ao e a ang eng ing eng ou in an ian an"
FINALS: dict[str | None, str] = dict(zip(LEVEL_RHYMES, _FINALS.split(), strict=True))
"""How most words of each rhyme group end in modern Mandarin."""


def reply_html(content: Content, request: Request | None, language: Language) -> str:
    """Texts are already HTML; poems, examinations and errors are escaped here."""
    if isinstance(content, Poem):
        return poem_html(content, request if isinstance(request, PoemRequest) else None, language)
    if isinstance(content, Examination):
        return examination_html(content, language)
    return content if isinstance(content, str) else error_html(content, language)


def poem_html(poem: Poem, request: PoemRequest | None, language: Language) -> str:
    """The poem, heads of an acrostic in bold, with form and rhyme below."""
    bold = _head_positions(poem, request)
    verse = "".join(f"<b>{escape(c)}</b>" if i in bold else escape(c) for i, c in enumerate(poem.text))
    lines = [in_script(" · ".join(part for part in (poem.form, poem.rhyme) if part), language)]
    if language == "en":
        lines.append(_form_in_english(poem))
    if request is not None and request.mode == "theme":
        theme = _with_english(request.text) if language == "en" else request.text
        lines.append(pick(("题：", "Theme: "), language) + theme)
    if request is not None and (dropped := symbols(request.text)):
        lines.append(pick(("略去：", "Left out: "), language) + dropped)
    return f"{verse}\n\n" + "\n".join(f"<i>{escape(line)}</i>" for line in lines)


def for_reader(poem: Poem, request: PoemRequest, language: Language) -> Poem:
    """``poem`` in traditional characters for readers of them whose text fits both scripts; typed characters are
    kept."""
    script = Script()
    if language != "zh-hant" or not script.is_same_in_both(request.text):
        return poem
    kept = _head_positions(poem, request)
    if poem.mode == "continue":
        given = "".join(clauses(request.text))
        positions = [position for position, character in enumerate(poem.text) if is_chinese(character)]
        kept = set(positions[: len(given)])
    converted = enumerate(zip(poem.text, script.traditional(poem.text), strict=True))
    text = "".join(typed if position in kept else other for position, (typed, other) in converted)
    return replace(poem, text=text, lines=tuple(clauses(text)))


def _with_english(theme: str) -> str:
    return f"{theme} ({english})" if (english := in_english(theme)) else theme


def _form_in_english(poem: Poem) -> str:
    """Form and rhyme explained in English."""
    lengths = {len(line) for line in poem.lines}
    size = f"{len(poem.lines)} line{'s' * (len(poem.lines) > 1)}"
    if len(lengths) == 1:
        size += f" of {lengths.pop()} characters"
    if poem.mode == "acrostic":
        kind = "acrostic"
    else:
        kind = {"绝": "quatrain", "律": "regulated verse"}.get(poem.form[-1], "old style")
    rhyme = f", rhyming on -{FINALS[poem.rhyme]}" if poem.rhyme in FINALS else ""
    return f"{kind.capitalize()}: {size}{rhyme}"


def head_count(poem: Poem, request: PoemRequest | None) -> int:
    """How many lines begin with a character that the user gave; all lines of an acrostic whose request is unknown."""
    if poem.mode != "acrostic":
        return 0
    return len(poem.lines) if request is None else len(only_chinese(request.text))


def _head_positions(poem: Poem, request: PoemRequest | None) -> set[int]:
    """The positions of the heads in ``poem.text``."""
    positions: set[int] = set()
    start = 0
    for line in poem.lines[: head_count(poem, request)]:
        at = poem.text.find(line, start)
        if at < 0:
            return set()
        positions.add(at)
        start = at + len(line)
    return positions
