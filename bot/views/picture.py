"""Draws a poem as a page of an old book, with columns from right to left and a seal.

Requires the extra ``picture`` (Pillow and the font). The same poem always gives the same bytes.
"""

from __future__ import annotations

import functools
import io
import math
import random
from dataclasses import dataclass
from importlib import resources

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from bot.views.poem import FORM_TITLES
from engine.contract import Poem
from engine.contract.script import converter

MAX_SIDE_PIXELS = 1280
"""Maximum pixels of the longer side, as large as Telegram shows photos."""
_MAX_CHARACTER_PIXELS = 104
"""Maximum pixels of a character."""
_MOST_ROWS = 24
_ADVANCE, _PITCH, _GAP = 1.2, 1.72, 0.9
"""Distances between characters, between columns, and between two lines of one column, in characters."""
_PAD, _MARGIN = 0.7, 0.9
"""Space above and below the verse, and outside the frame, in characters."""
_SEAL = "唐韻新聲"

_INK = (38, 33, 30)
_FADED = (112, 94, 78)
_CINNABAR = (172, 43, 32)
_RULE = (186, 150, 118)
_FRAME = (150, 74, 56)
_PAPER = (246, 238, 219)
_TONES = range(-4, 5)
"""Tones of the paper, from dark to light; few, so that the file stays small."""

Colour = tuple[int, ...]
Glyphs = tuple[str, bool]
"""A line, and whether its first character is a head."""


def draw(poem: Poem, heads: int | None = None) -> bytes | str:
    """The poem as a PNG of at most ``MAX_SIDE_PIXELS`` pixels per side, or the characters that the font lacks.

    ``heads``: how many lines of an acrostic begin with a given character; None: all.
    """
    title, notes = _title(poem)
    if missing := _missing("".join((*poem.lines, title, *notes, _SEAL))):
        return missing
    marked = 0 if poem.mode != "acrostic" else len(poem.lines) if heads is None else heads
    page = _Page.of(_columns([(line, i < marked) for i, line in enumerate(poem.lines)], marked > 0))
    image = page.paper()
    page.rules(image)
    page.verse(image)
    page.title(image, title, notes)
    page.seal(image)
    file = io.BytesIO()
    image.quantize(palette=_palette(), dither=Image.Dither.NONE).save(file, "PNG")
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

    def paper(self) -> Image.Image:
        """Paper with clouds, fibres and a fine grain, drawn from a fixed seed."""
        chance = random.Random(1)  # noqa: S311 - texture
        left, top, right, bottom = self.frame
        width, height = left + right, top + bottom
        size = (width, height)
        clouds = _noise(chance, width // 160 + 2, height // 160 + 2).resize(size, Image.Resampling.BICUBIC)
        grain = _noise(chance, width // 2 + 1, height // 2 + 1).resize(size, Image.Resampling.BILINEAR)
        fibres = Image.new("L", size, 128)
        pen = ImageDraw.Draw(fibres)
        for _ in range(width * height // 5000):
            x, y, angle = chance.uniform(0, width), chance.uniform(0, height), chance.gauss(0.0, 0.7)
            length = chance.uniform(8, 40)
            end = (x + length * math.cos(angle), y + length * math.sin(angle))
            pen.line((x, y, *end), fill=chance.choice((60, 180, 210)))
        light = Image.blend(Image.blend(clouds, grain, 0.45), fibres, 0.35)
        levels = [_tone(max(_TONES[0], min(_TONES[-1], round((level - 128) / 11)))) for level in range(256)]
        return Image.merge("RGB", [light.point(list(band)) for band in zip(*levels, strict=True)])

    def rules(self, image: Image.Image) -> None:
        """The double frame (文武边) and the lines between the columns (界行)."""
        pen = ImageDraw.Draw(image)
        left, top, right, bottom = self.frame
        thick, gap = max(3, self.size // 16), max(5, self.size // 9)
        pen.rectangle((left - gap, top - gap, right + gap, bottom + gap), outline=_FRAME, width=thick)
        pen.rectangle((left, top, right, bottom), outline=_RULE, width=max(1, self.size // 48))
        for column in range(len(self.columns) + 1):
            x = self.middle(column + 0.5)
            pen.line((x, top, x, bottom), fill=_RULE, width=max(1, self.size // 48))

    def verse(self, image: Image.Image) -> None:
        pen = ImageDraw.Draw(image)
        for number, column in enumerate(self.columns, 1):
            y = self.frame[1] + (_PAD + _ADVANCE / 2) * self.size
            for line, head in column:
                for place, character in enumerate(line):
                    marked = head and place == 0
                    at = (self.middle(number), y)
                    pen.text(
                        at,
                        character,
                        _CINNABAR if marked else _INK,
                        _font(self.size),
                        "mm",
                        stroke_width=self.size / 120,
                    )
                    if marked:
                        self._ring(pen, *at)
                    y += _ADVANCE * self.size
                y += _GAP * self.size

    def _ring(self, pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
        """A small circle beside a head, as readers used to mark good characters (圈点)."""
        radius = self.size * 0.085
        x += self.size * 0.66
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_CINNABAR, width=max(2, self.size // 32))

    def title(self, image: Image.Image, title: str, notes: tuple[str, str]) -> None:
        """The title, and below it the notes in two narrow columns (双行小注)."""
        pen = ImageDraw.Draw(image)
        longest = max(map(len, notes))
        room = self.rows * self.size
        size = min(self.px(0.74), int(room / (len(title) * 1.25 + 0.6 + longest * 0.5)))
        x, y = self.middle(0), self.frame[1] + (_PAD + _ADVANCE / 2) * self.size
        for character in title:
            pen.text((x, y), character, _INK, _font(size), "mm", stroke_width=size / 60)
            y += size * 1.25
        small = int(size * 0.42)
        y += small * 0.3
        for side, note in zip((0.62, -0.62), notes if notes[1] else (notes[0], ""), strict=True):
            for row, character in enumerate(note):
                at = (x + side * small * (1 if notes[1] else 0), y + row * small * 1.18)
                pen.text(at, character, _FADED, _font(small), "mm")

    def seal(self, image: Image.Image) -> None:
        """A square seal with white characters (白文), partly worn."""
        side = self.px(1.28)
        chance = random.Random(2)  # noqa: S311 - texture
        stamp = Image.new("L", (side, side), 0)
        pen = ImageDraw.Draw(stamp)
        pen.rounded_rectangle((1, 1, side - 2, side - 2), side // 12, fill=255)
        font = _font(int(side * 0.42))
        for place, character in enumerate(_SEAL):
            at = (side * (0.715 if place < 2 else 0.285), side * (0.285 if place % 2 == 0 else 0.715))
            pen.text(at, character, 0, font, "mm", stroke_width=side / 130)
        wear = _noise(chance, side // 2, side // 2).filter(ImageFilter.GaussianBlur(1.2)).resize((side, side))
        stamp = ImageChops.multiply(stamp, wear.point([0 if level < 99 else 255 for level in range(256)]))
        stamp = stamp.filter(ImageFilter.GaussianBlur(0.6)).point([level * 15 // 16 for level in range(256)])
        x = round(self.middle(len(self.columns) + 1) - side / 2)
        y = self.frame[3] - self.px(_PAD) - side
        image.paste(_CINNABAR, (x, y), stamp)


def _columns(lines: list[Glyphs], acrostic: bool) -> list[list[Glyphs]]:
    """Distribute lines to columns: one each if there are few, else so many that the page is about square."""
    lengths = {len(line) for line, _ in lines}
    if len(lengths) == 1 and max(lengths) <= _MOST_ROWS // 2:
        if len(lines) <= (10 if acrostic else 4):
            return [[line] for line in lines]
        each = min((2, 4), key=lambda each: _distance(lines, each))
        return [lines[i : i + each] for i in range(0, len(lines), each)]
    # Lines of different lengths are set continuously, with gaps, in columns of equal height.
    room = max(9.0, min(_MOST_ROWS, math.sqrt(sum(len(line) + 1 for line, _ in lines) * 1.6)))
    columns: list[list[Glyphs]] = [[]]
    for line, head in lines:
        for start in range(0, len(line), _MOST_ROWS):
            piece = (line[start : start + _MOST_ROWS], head and start == 0)
            if columns[-1] and _height([*columns[-1], piece]) > room * _ADVANCE:
                columns.append([])
            columns[-1].append(piece)
    return columns


def _distance(lines: list[Glyphs], each: int) -> float:
    """How far from square a page with so many lines per column would be."""
    width = (math.ceil(len(lines) / each) + 2) * _PITCH
    return abs(math.log(width / _height(lines[:each])))


def _height(column: list[Glyphs]) -> float:
    return sum(len(line) for line, _ in column) * _ADVANCE + (len(column) - 1) * _GAP


def _title(poem: Poem) -> tuple[str, tuple[str, str]]:
    """Title and two notes, in the poem's script."""
    rhyme = f"{poem.rhyme}韵" if poem.rhyme else ""
    start = poem.template.rpartition("·")[2] if poem.template else ""
    form = FORM_TITLES.get(poem.form) or f"{'五' if len(poem.lines[0]) == 5 else '七'}言{poem.form}"
    first, second = (rhyme, start) if poem.mode != "acrostic" else (f"{form}　{rhyme}".strip(), start)
    title = "藏头诗" if poem.mode == "acrostic" else form
    words = (title, first, second)
    if _is_traditional("".join(poem.lines)):
        words = tuple(converter("s2t").convert(word) for word in words)
    return words[0], (words[1], words[2])


def _is_traditional(text: str) -> bool:
    """Whether the text has more traditional forms than simplified ones."""
    simplified, traditional = converter("t2s").convert(text), converter("s2t").convert(text)
    return _differences(text, simplified) > _differences(text, traditional)


def _differences(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=False))


def _tone(tone: int) -> Colour:
    red, green, blue = _PAPER
    return red + tone, green + round(1.2 * tone), blue + 2 * tone


@functools.cache
def _palette() -> Image.Image:
    """The tones of the paper, and the shades between paper and each ink at the edges of strokes."""
    colours = [_tone(tone) for tone in _TONES]
    for ink, steps in ((_INK, 24), (_CINNABAR, 20), (_FADED, 10), (_RULE, 3), (_FRAME, 3)):
        colours += [
            tuple(round(p + (i - p) * step / steps) for p, i in zip(_PAPER, ink, strict=True))
            for step in range(1, steps + 1)
        ]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    return palette


def _noise(chance: random.Random, width: int, height: int) -> Image.Image:
    return Image.frombytes("L", (width, height), chance.randbytes(width * height))


@functools.cache
def _font_file() -> bytes:
    return resources.files("pylopdf_fonts_zh_cn").joinpath("NotoSerifSC-Regular.otf").read_bytes()


@functools.lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(_font_file()), size, layout_engine=ImageFont.Layout.BASIC)


def _missing(text: str) -> str:
    """The characters for which the font would show its replacement box (detected by drawing a noncharacter)."""
    font = _font(24)
    box = bytes(font.getmask("\uffff"))
    return "".join(dict.fromkeys(c for c in text if not c.isspace() and bytes(font.getmask(c)) == box))
