"""Chinese text as people type it: which characters count, how clauses are cut."""

from __future__ import annotations

import re
import unicodedata

CLAUSE_MARKS = "，。？！；、："
"""The marks that the corpus keeps; each closes a clause."""

# Unified ideographs with their extensions and the zero 〇; compatibility forms are the same characters.
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_HAN_RUN = re.compile(f"[{_HAN}]+")
_NOT_VERSE = re.compile(f"[^{_HAN}{CLAUSE_MARKS}]")


def is_chinese(character: str) -> bool:
    """Whether one character is a Chinese one (an ideograph, 〇 included)."""
    return _HAN_CHARACTER.fullmatch(character) is not None


def only_chinese(text: str) -> str:
    """The Chinese characters of ``text`` in order, all else dropped."""
    return "".join(_HAN_RUN.findall(text))


def only_verse(text: str) -> str:
    """The Chinese characters and clause marks of ``text`` in order, all else dropped."""
    return _NOT_VERSE.sub("", text)


def clauses(text: str) -> list[str]:
    """Cut ``text`` into its runs of Chinese characters; white space and every mark of any width cut.

    The Chinese characters come back exactly as they were written.
    """
    return _HAN_RUN.findall(text)


def has_control_characters(text: str) -> bool:
    """Whether ``text`` holds characters that no keyboard types: controls, surrogates, private use.

    Line breaks and tabs are white space; joiners and direction marks, which phones insert unasked,
    are dropped like any other character that is not Chinese.
    """
    return any(unicodedata.category(c) in ("Cc", "Cs", "Co") and c not in "\t\n\r\v\f\x85" for c in text)
