"""Paper, inks and the stamp of a seal, for the pictures."""

from __future__ import annotations

import functools
import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from bot.views.fonts import font

INK = (38, 33, 30)
FADED = (112, 94, 78)
CINNABAR = (172, 43, 32)
RULE = (186, 150, 118)
FRAME = (150, 74, 56)
_PAPER = (246, 238, 219)
_SHADES = range(-4, 5)
"""Shades of the paper, from dark to light; few, so that the file stays small."""

Colour = tuple[int, ...]


def paper(width: int, height: int) -> Image.Image:
    """Paper with clouds, fibres and a fine grain, drawn from a fixed seed."""
    rng = random.Random(1)  # noqa: S311 - texture
    size = (width, height)
    clouds = _noise(rng, width // 160 + 2, height // 160 + 2).resize(size, Image.Resampling.BICUBIC)
    grain = _noise(rng, width // 2 + 1, height // 2 + 1).resize(size, Image.Resampling.BILINEAR)
    fibres = Image.new("L", size, 128)
    pen = ImageDraw.Draw(fibres)
    for _ in range(width * height // 5000):
        x, y, angle = rng.uniform(0, width), rng.uniform(0, height), rng.gauss(0.0, 0.7)
        length = rng.uniform(8, 40)
        end = (x + length * math.cos(angle), y + length * math.sin(angle))
        pen.line((x, y, *end), fill=rng.choice((60, 180, 210)))
    light = Image.blend(Image.blend(clouds, grain, 0.45), fibres, 0.35)
    levels = [_shade(max(_SHADES[0], min(_SHADES[-1], round((level - 128) / 11)))) for level in range(256)]
    return Image.merge("RGB", [light.point(list(band)) for band in zip(*levels, strict=True)])


def stamp(side: int, text: str) -> Image.Image:
    """The mask of a square seal with four characters in white (白文), partly worn."""
    rng = random.Random(2)  # noqa: S311 - texture
    mask = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(mask)
    pen.rounded_rectangle((1, 1, side - 2, side - 2), side // 12, fill=255)
    for i, character in enumerate(text):
        at = (side * (0.715 if i < 2 else 0.285), side * (0.285 if i % 2 == 0 else 0.715))
        pen.text(at, character, 0, font(int(side * 0.42)), "mm", stroke_width=side / 130)
    wear = _noise(rng, side // 2, side // 2).filter(ImageFilter.GaussianBlur(1.2)).resize((side, side))
    mask = ImageChops.multiply(mask, wear.point([0 if level < 99 else 255 for level in range(256)]))
    return mask.filter(ImageFilter.GaussianBlur(0.6)).point([level * 15 // 16 for level in range(256)])


@functools.cache
def palette() -> Image.Image:
    """The tones of the paper, and the shades between paper and each ink at the edges of strokes."""
    colours = [_shade(shade) for shade in _SHADES]
    for ink, steps in ((INK, 24), (CINNABAR, 20), (FADED, 10), (RULE, 3), (FRAME, 3)):
        colours += [
            tuple(round(p + (i - p) * step / steps) for p, i in zip(_PAPER, ink, strict=True))
            for step in range(1, steps + 1)
        ]
    image = Image.new("P", (1, 1))
    image.putpalette([channel for colour in colours for channel in colour])
    return image


def _shade(shade: int) -> Colour:
    red, green, blue = _PAPER
    return red + shade, green + round(1.2 * shade), blue + 2 * shade


def _noise(rng: random.Random, width: int, height: int) -> Image.Image:
    return Image.frombytes("L", (width, height), rng.randbytes(width * height))
