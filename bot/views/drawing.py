"""Drawing poems, if the extra ``picture`` is installed."""

from __future__ import annotations

from collections.abc import Callable

from engine.contract import Poem

Draw = Callable[[Poem], bytes | str]
"""Returns a poem as a PNG, or the characters in it that the font lacks."""


def drawing() -> Draw | None:
    """None: the extra ``picture`` is not installed."""
    try:
        from bot.views.picture import MissingGlyphsError
        from bot.views.picture import draw as paint
    except ImportError:
        return None

    def draw(poem: Poem) -> bytes | str:
        try:
            return paint(poem)
        except MissingGlyphsError as error:
            return error.characters

    return draw
