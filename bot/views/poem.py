"""A reply as a Telegram message (HTML)."""

from __future__ import annotations

import html

from bot.views.check import examined
from bot.views.messages import Language, error_html, in_script
from engine.contract import Poem, PoemError, PoemRequest, outline
from engine.contract.check import Examination
from engine.contract.queue.messages import Content, Request


def as_html(content: Content, request: Request | None, language: Language) -> str:
    """Words are HTML already; poems, examinations and errors are escaped here."""
    if isinstance(content, Poem):
        return poem_html(content, request if isinstance(request, PoemRequest) else None, language)
    if isinstance(content, Examination):
        return examined(content, language)
    return content if isinstance(content, str) else error_html(content, language)


def poem_html(poem: Poem, request: PoemRequest | None, language: Language) -> str:
    """The poem with its heads bold, if it is an acrostic, and form and rhyme in a line below."""
    bold = _head_places(poem, request)
    verse = "".join(f"<b>{_escape(c)}</b>" if i in bold else _escape(c) for i, c in enumerate(poem.text))
    footer = " · ".join(part for part in (poem.form, poem.rhyme) if part)
    return f"{verse}\n\n<i>{_escape(in_script(footer, language))}</i>"


def _head_places(poem: Poem, request: PoemRequest | None) -> set[int]:
    """Where in ``poem.text`` the heads stand."""
    if poem.mode != "acrostic":
        return set()
    heads = len(poem.lines)
    if request is not None:
        try:
            heads = len(outline(request).given)
        except PoemError:
            return set()
    places: set[int] = set()
    start = 0
    for line in poem.lines[:heads]:
        at = poem.text.find(line, start)
        if at < 0:
            return set()
        places.add(at)
        start = at + len(line)
    return places


def _escape(text: str) -> str:
    return html.escape(text, quote=False)
