"""The font of the pictures: Noto Serif SC, from the extra ``picture``."""

from __future__ import annotations

import functools
import io
from importlib import resources

from PIL import ImageFont


@functools.cache
def _font_file() -> bytes:
    return resources.files("pylopdf_fonts_zh_cn").joinpath("NotoSerifSC-Regular.otf").read_bytes()


@functools.lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(_font_file()), size, layout_engine=ImageFont.Layout.BASIC)


def missing_glyphs(text: str) -> str:
    """The characters for which the font would show its replacement box (detected by drawing a noncharacter)."""
    small = font(24)
    box = bytes(small.getmask("\uffff"))
    return "".join(dict.fromkeys(c for c in text if not c.isspace() and bytes(small.getmask(c)) == box))
