"""Fills the page with what must be there before any script runs: a poem, and the metadata for link previews."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from bot.views.poem import FORM_TITLES, head_count
from engine.contract import Poem, PoemRequest

POEM_PATH = "/poems/"
TITLE = "唐韵 · Tang poems"
ABOUT = "给它一句、几字或一题，它写成一首诗。 A program that writes classical Chinese poems."
MADE = "程序所作 · Written by a program"
SAMPLE_REQUEST = PoemRequest("acrostic", "春风十里", "七言")
SAMPLE = Poem(
    mode="acrostic",
    text="春江无限水声流，风雨萧萧日月秋。\n十载故人何处去，里闾依旧五湖头。",
    lines=("春江无限水声流", "风雨萧萧日月秋", "十载故人何处去", "里闾依旧五湖头"),
    form="七绝",
    seed=632970805254,
    candidates=1,
    model="tang-3",
    rhyme="十一尤",
    template="七绝·平起首句入韵",
)
"""The example on an empty page: an acrostic written by the model of that name."""


@dataclass(frozen=True)
class Preview:
    """``name``: of the poem in its link; None: it is the example. ``origin``: scheme and host of this server as the
    visitor sees them; None: unknown. ``drawn``: whether pictures are available."""

    request: PoemRequest = SAMPLE_REQUEST
    poem: Poem = SAMPLE
    name: str | None = None
    origin: str | None = None
    drawn: bool = False

    def fill(self, page: str) -> str:
        """``page`` with its placeholders replaced by the poem and the preview data."""
        parts = {"preview": self._head(), "name": self._title(), "verse": self._verse()}
        return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], page)

    def _head(self) -> str:
        poem, named = self.poem, self.name is not None
        title = f"{poem.lines[0]} · 唐韵" if named else TITLE
        about = f"{poem.text.replace(chr(10), '')} {MADE}" if named else ABOUT
        tags = {
            "og:type": "article" if named else "website",
            "og:site_name": "唐韵",
            "og:title": poem.lines[0] if named else TITLE,
            "og:description": about,
        }
        if self.origin is not None:
            tags["og:url"] = f"{self.origin}{POEM_PATH}{self.name}" if named else f"{self.origin}/"
            drawn = named and self.drawn
            tags["og:image"] = f"{self.origin}{f'/api/pictures/{self.name}' if drawn else '/page/icon-512.png'}"
            tags["og:image:type"] = "image/png"
            tags["twitter:card"] = "summary_large_image" if drawn else "summary"
        lines = [f"<title>{escape(title)}</title>", f'<meta name="description" content="{escape(about)}">']
        lines += [f'<meta property="{name}" content="{escape(content)}">' for name, content in tags.items()]
        return "\n  ".join(lines)

    def _title(self) -> str:
        """The poem's title (theme or form) and its notes, as the page's script would set them."""
        theme = self.request.text if self.request.mode == "theme" else None
        form = FORM_TITLES.get(self.poem.form, self.poem.form)
        start = (self.poem.template or "").partition("·")[2]
        notes = " · ".join(part for part in (form if theme else "", start, self.poem.rhyme) if part)
        return f"{escape(theme or form)}<small>{escape(notes)}</small>"

    def _verse(self) -> str:
        heads = head_count(self.poem, self.request)
        lines = [[f"<ruby>{escape(character)}</ruby>" for character in line] for line in self.poem.lines]
        marked = [f"<b>{head}</b>{''.join(rest)}" for head, *rest in lines[:heads]]
        return "".join(f"<span>{line}</span>" for line in (*marked, *map("".join, lines[heads:])))
