"""Drawing poems, if the extra ``picture`` is installed."""

from __future__ import annotations

from collections.abc import Callable

from engine.contract import Poem

Draw = Callable[[Poem, int | None], bytes | str]
"""Poem, and number of heads if not all its lines begin with one → a PNG, or the characters that the font lacks."""


def load_draw() -> Draw | None:
    """None: the extra ``picture`` is not installed."""
    try:
        from bot.views.picture import draw
    except ImportError:
        return None
    return draw
