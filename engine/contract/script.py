"""Simplified and traditional characters, converted one for one."""

from __future__ import annotations

from opencc import OpenCC


class Script:
    """The model writes simplified characters; a reader who types traditional ones gets them back."""

    def __init__(self) -> None:
        self._simplify = OpenCC("t2s")
        self._traditional = OpenCC("s2t")

    def simplify(self, text: str) -> str:
        """``text`` in simplified characters, of the same length."""
        return _same_length(self._simplify, text)

    def traditional(self, text: str) -> str:
        """``text`` in traditional characters, of the same length."""
        return _same_length(self._traditional, text)

    def is_traditional(self, text: str) -> bool:
        """Whether ``text`` holds a character that simplified script spells otherwise."""
        return self.simplify(text) != text


def _same_length(converter: OpenCC, text: str) -> str:
    converted: str = converter.convert(text)
    if len(converted) == len(text):
        return converted
    return "".join(one if len(one := converter.convert(character)) == 1 else character for character in text)
