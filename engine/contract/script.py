"""Simplified and traditional characters, converted one for one."""

from __future__ import annotations

from functools import cache
from typing import Literal

from opencc import OpenCC


@cache
def converter(way: Literal["t2s", "s2t", "s2tw"]) -> OpenCC:
    """OpenCC to simplified or to traditional characters; loading one takes a moment, so each is loaded once."""
    return OpenCC(way)


class Script:
    """The model reads and writes simplified characters; who types traditional ones gets a poem in traditional ones."""

    def simplify(self, text: str) -> str:
        """``text`` in simplified characters, of the same length."""
        return _same_length(converter("t2s"), text)

    def traditional(self, text: str) -> str:
        """``text`` in traditional characters, of the same length."""
        return _same_length(converter("s2t"), text)

    def is_traditional(self, text: str) -> bool:
        """Whether ``text`` has a character that is written otherwise in simplified script."""
        return self.simplify(text) != text

    def is_same_in_both(self, text: str) -> bool:
        """Whether ``text`` is written alike in both scripts, so that it does not tell which its writer reads."""
        return self.simplify(text) == text == self.traditional(text)


def _same_length(converter: OpenCC, text: str) -> str:
    converted: str = converter.convert(text)
    if len(converted) == len(text):
        return converted
    return "".join(one if len(one := converter.convert(character)) == 1 else character for character in text)
