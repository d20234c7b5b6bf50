"""Draws a poem as a page of an old book, with columns from right to left and a seal.

Requires the extra ``picture`` (Pillow and the font). The same poem always gives the same bytes.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from bot.views.fonts import font, missing_glyphs
from bot.views.paper import CINNABAR, FADED, FRAME, INK, RULE, palette, paper, stamp
from bot.views.poem import FORM_TITLES
from engine.contract import Poem
from engine.contract.script import converter

MAX_SIDE_PIXELS = 1280
"""Maximum pixels of the longer side, as large as Telegram shows photos."""
_MAX_CHARACTER_PIXELS = 104
"""Maximum pixels of a character."""
_MAX_ROWS = 24
_ADVANCE, _PITCH, _LINE_GAP = 1.2, 1.72, 0.9
"""Distances between characters, between columns, and between two lines of one column, in characters."""
_PAD, _MARGIN = 0.7, 0.9
"""Space above and below the verse, and outside the frame, in characters."""
_SEAL = "唐韻新聲"

Glyphs = tuple[str, bool]
"""A line, and whether its first character is a head."""


def draw(poem: Poem, heads: int | None = None) -> bytes | str:
    """The poem as a PNG of at most ``MAX_SIDE_PIXELS`` pixels per side, or the characters that the font lacks.

    ``heads``: how many lines of an acrostic begin with a given character; None: all.
    """
    title, notes = _title(poem)
    if missing := missing_glyphs("".join((*poem.lines, title, *notes, _SEAL))):
        return missing
    marked = 0 if poem.mode != "acrostic" else len(poem.lines) if heads is None else heads
    page = _Page.of(_columns([(line, i < marked) for i, line in enumerate(poem.lines)], marked > 0))
    left, top, right, bottom = page.frame
    image = paper(left + right, top + bottom)
    page.rules(image)
    page.verse(image)
    page.title(image, title, notes)
    page.seal(image)
    file = io.BytesIO()
    image.quantize(palette=palette(), dither=Image.Dither.NONE).save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class _Page:
    """``columns``: from right to left; ``rows``: height of the longest, in characters; ``size``: pixels per
    character."""

    columns: tuple[tuple[Glyphs, ...], ...]
    rows: float
    size: int

    @classmethod
    def of(cls, columns: list[list[Glyphs]]) -> _Page:
        rows = max(_height(column) for column in columns)
        longer = max(rows + 2 * _PAD, (len(columns) + 2) * _PITCH) + 2 * _MARGIN
        return cls(tuple(map(tuple, columns)), rows, min(_MAX_CHARACTER_PIXELS, int(MAX_SIDE_PIXELS / longer)))

    def px(self, characters: float) -> int:
        return round(characters * self.size)

    @property
    def frame(self) -> tuple[int, int, int, int]:
        width = self.px((len(self.columns) + 2) * _PITCH)
        margin = self.px(_MARGIN)
        return margin, margin, margin + width, margin + self.px(self.rows + 2 * _PAD)

    def middle(self, column: float) -> float:
        """The middle of a column: 0 is the title, 1 the first of the poem, one after the last the seal."""
        return self.frame[2] - (column + 0.5) * _PITCH * self.size

    def rules(self, image: Image.Image) -> None:
        """The double frame (文武边) and the lines between the columns (界行)."""
        pen = ImageDraw.Draw(image)
        left, top, right, bottom = self.frame
        thick, gap = max(3, self.size // 16), max(5, self.size // 9)
        pen.rectangle((left - gap, top - gap, right + gap, bottom + gap), outline=FRAME, width=thick)
        pen.rectangle((left, top, right, bottom), outline=RULE, width=max(1, self.size // 48))
        for column in range(len(self.columns) + 1):
            x = self.middle(column + 0.5)
            pen.line((x, top, x, bottom), fill=RULE, width=max(1, self.size // 48))

    def verse(self, image: Image.Image) -> None:
        pen = ImageDraw.Draw(image)
        for number, column in enumerate(self.columns, 1):
            y = self.frame[1] + (_PAD + _ADVANCE / 2) * self.size
            for line, head in column:
                for i, character in enumerate(line):
                    marked = head and i == 0
                    at = (self.middle(number), y)
                    pen.text(
                        at,
                        character,
                        CINNABAR if marked else INK,
                        font(self.size),
                        "mm",
                        stroke_width=self.size / 120,
                    )
                    if marked:
                        self._ring(pen, *at)
                    y += _ADVANCE * self.size
                y += _LINE_GAP * self.size

    def _ring(self, pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
        """A small circle beside a head, as readers used to mark good characters (圈点)."""
        radius = self.size * 0.085
        x += self.size * 0.66
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=CINNABAR, width=max(2, self.size // 32))

    def title(self, image: Image.Image, title: str, notes: tuple[str, str]) -> None:
        """The title, and below it the notes in two narrow columns (双行小注)."""
        pen = ImageDraw.Draw(image)
        longest = max(map(len, notes))
        available = self.rows * self.size
        size = min(self.px(0.74), int(available / (len(title) * 1.25 + 0.6 + longest * 0.5)))
        x, y = self.middle(0), self.frame[1] + (_PAD + _ADVANCE / 2) * self.size
        for character in title:
            pen.text((x, y), character, INK, font(size), "mm", stroke_width=size / 60)
            y += size * 1.25
        small = int(size * 0.42)
        y += small * 0.3
        for side, note in zip((0.62, -0.62), notes, strict=True):
            for row, character in enumerate(note):
                at = (x + side * small * (1 if notes[1] else 0), y + row * small * 1.18)
                pen.text(at, character, FADED, font(small), "mm")

    def seal(self, image: Image.Image) -> None:
        side = self.px(1.28)
        x = round(self.middle(len(self.columns) + 1) - side / 2)
        y = self.frame[3] - self.px(_PAD) - side
        image.paste(CINNABAR, (x, y), stamp(side, _SEAL))


def _columns(lines: list[Glyphs], acrostic: bool) -> list[list[Glyphs]]:
    """Distribute lines to columns: one each if there are few, else so many that the page is about square."""
    lengths = {len(line) for line, _ in lines}
    if len(lengths) == 1 and max(lengths) <= _MAX_ROWS // 2:
        if len(lines) <= (10 if acrostic else 4):
            return [[line] for line in lines]
        per_column = min((2, 4), key=lambda per_column: _distance(lines, per_column))
        return [lines[i : i + per_column] for i in range(0, len(lines), per_column)]
    # Lines of different lengths are set continuously, with gaps, in columns of equal height.
    available = max(9.0, min(_MAX_ROWS, math.sqrt(sum(len(line) + 1 for line, _ in lines) * 1.6)))
    columns: list[list[Glyphs]] = [[]]
    for line, head in lines:
        for start in range(0, len(line), _MAX_ROWS):
            piece = (line[start : start + _MAX_ROWS], head and start == 0)
            if columns[-1] and _height([*columns[-1], piece]) > available * _ADVANCE:
                columns.append([])
            columns[-1].append(piece)
    return columns


def _distance(lines: list[Glyphs], per_column: int) -> float:
    """How far from square a page with so many lines per column would be."""
    width = (math.ceil(len(lines) / per_column) + 2) * _PITCH
    return abs(math.log(width / _height(lines[:per_column])))


def _height(column: list[Glyphs]) -> float:
    return sum(len(line) for line, _ in column) * _ADVANCE + (len(column) - 1) * _LINE_GAP


def _title(poem: Poem) -> tuple[str, tuple[str, str]]:
    """Title and two notes, in the poem's script."""
    rhyme = f"{poem.rhyme}韵" if poem.rhyme else ""
    start = poem.template.rpartition("·")[2] if poem.template else ""
    form = FORM_TITLES.get(poem.form) or f"{'五' if len(poem.lines[0]) == 5 else '七'}言{poem.form}"
    first, second = (rhyme, start) if poem.mode != "acrostic" else (f"{form}　{rhyme}".strip(), start)
    title = "藏头诗" if poem.mode == "acrostic" else form
    convert = converter("s2t").convert if _is_traditional("".join(poem.lines)) else str
    return convert(title), (convert(first), convert(second))


def _is_traditional(text: str) -> bool:
    """Whether the text has more traditional forms than simplified ones."""
    simplified, traditional = converter("t2s").convert(text), converter("s2t").convert(text)
    return _differences(text, simplified) > _differences(text, traditional)


def _differences(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=False))
