"""The picture of a poem."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.views.picture import MAX_SIDE_PIXELS, draw
from engine.contract import Poem
from engine.contract.poem import Mode

MOST_BYTES = 500_000
SMALLEST = 30
"""Minimum pixels from one character to the next for easy reading."""


def poem(*lines: str, form: str = "古风", mode: str = "continue", **more: str) -> Poem:
    assert mode in ("continue", "acrostic", "theme")
    named: Mode = "acrostic" if mode == "acrostic" else "theme" if mode == "theme" else "continue"
    return Poem(named, "\n".join(lines), lines, form, 1, 1, "fake", **more)


SHAPES = {
    "五绝": poem(*["白日依山尽"] * 4, form="五绝", rhyme="十一尤", template="五绝·仄起首句不入韵"),
    "七律": poem(*["鸠暖雨凉江水春"] * 8, form="七律", rhyme="七阳", template="七律·平起首句入韵"),
    "twenty heads": poem(*["藏萧森笼澹落夜"] * 20, form="排律", mode="acrostic", rhyme="七阳"),
    "nineteen heads": poem(*["藏萧森笼澹落夜"] * 19, form="七言", mode="acrostic", rhyme="七阳"),
    "the longest 排律 of five": poem(*["國破山河在"] * 32, form="排律", rhyme="七阳"),
    "the longest 排律 of seven": poem(*["鸠暖雨凉江水春"] * 24, form="排律", rhyme="七阳"),
    "a long 古风": poem(*["君不见", "黄河之水天上来", "奔流到海不复回"] * 12),
    "a 古风 of short lines": poem(*["君不见"] * 66),
    "a 古风 of single characters": poem(*"君" * 100),
    "one line of 32": poem("君" * 32, "月"),
    "one head": poem("春风十里行", form="五言", mode="acrostic"),
}


def test_a_poem_on_a_theme_is_not_called_an_acrostic() -> None:
    lines = ["白日依山尽"] * 4
    named = {"form": "五绝", "rhyme": "十一尤"}
    assert (
        draw(poem(*lines, mode="theme", **named))
        == draw(poem(*lines, **named))
        != draw(poem(*lines, mode="acrostic", **named))
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_poem_fits_its_page_and_its_size(shape: str) -> None:
    file = draw(SHAPES[shape])
    assert len(file) < MOST_BYTES
    image = _image(file).convert("L")
    assert max(image.size) <= MAX_SIDE_PIXELS
    # Only paper at the edges: nothing is cut off.
    width, height = image.size
    dark = image.point([255 if level < 150 else 0 for level in range(256)])
    left, top, right, bottom = dark.getbbox() or (0, 0, 0, 0)
    assert min(left, top, width - right, height - bottom) > 8
    # The characters are large enough to read.
    characters = sum(map(len, SHAPES[shape].lines))
    assert width * height > characters * SMALLEST**2 * 2


def test_the_same_poem_is_the_same_picture() -> None:
    assert draw(SHAPES["七律"]) == draw(SHAPES["七律"])
    assert draw(SHAPES["七律"]) != draw(SHAPES["五绝"])


def test_the_heads_are_red_and_only_they() -> None:
    heads = SHAPES["nineteen heads"]
    plain = Poem("continue", heads.text, heads.lines, heads.form, 1, 1, "fake", rhyme=heads.rhyme)
    seal_alone, few, all_of_them = (_red(picture) for picture in (draw(plain), draw(heads, heads=2), draw(heads)))
    assert seal_alone < few < all_of_them


def test_a_character_that_the_font_lacks_is_named() -> None:
    assert draw(poem("春\U000323af风\U00031351", "十里行\U000323af")) == "\U000323af\U00031351"


def test_rare_and_traditional_characters_are_drawn() -> None:
    assert draw(poem("國破山河在", "㐀㐁䶵龘", "〇"))


def _image(picture: bytes | str) -> Image.Image:
    assert isinstance(picture, bytes)
    return Image.open(io.BytesIO(picture)).convert("RGB")


def _red(picture: bytes | str) -> int:
    """Number of pixels in the colour of the seal."""
    counts = _image(picture).getcolors(1 << 24) or []
    return sum(n for n, colour in counts if isinstance(colour, tuple) and colour[0] > 150 and colour[1] < 70)
