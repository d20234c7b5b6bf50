"""Chinese text as people type it: which characters count, how clauses are cut."""

from __future__ import annotations

import re
import unicodedata

CLAUSE_MARKS = "，。？！；、："
"""The marks that the corpus keeps; each closes a clause."""
CLOSING_MARKS = "。？！"
"""Those that close a sentence, and so a row of a poem."""

# Unified ideographs with their extensions and the zero 〇; compatibility forms are the same characters.
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_HAN_RUN = re.compile(f"[{_HAN}]+")
_NOT_VERSE = re.compile(f"[^{_HAN}{CLAUSE_MARKS}]")


def is_chinese(character: str) -> bool:
    """Whether one character is a Chinese one (an ideograph, 〇 included)."""
    return _HAN_CHARACTER.fullmatch(character) is not None


def only_verse(text: str) -> str:
    """The Chinese characters and clause marks of ``text`` in order, all else dropped."""
    return _NOT_VERSE.sub("", text)


def clauses(text: str) -> list[str]:
    """Cut ``text`` into its runs of Chinese characters, each exactly as it was written.

    White space, marks and symbols of any width cut; what has no width of its own (joiners, direction marks,
    variation selectors, which phones insert unasked) does not.
    """
    return _HAN_RUN.findall(visible(text))


def visible(text: str) -> str:
    """``text`` without what has no width of its own."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Mn"))


def only_chinese(text: str) -> str:
    """The Chinese characters of ``text`` in order, all else dropped."""
    return "".join(clauses(text))


def control_characters(text: str) -> bool:
    """Whether ``text`` holds control characters (line breaks and tabs are white space) or lone surrogates."""
    return any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r\v\f\x85" for c in text)


def symbols(text: str) -> str:
    """The symbols in ``text`` (❤, ★, emoji), which no poem takes up, each once."""
    found = (c for c in text if unicodedata.category(c) in ("So", "Sk", "Sm", "Sc") and c not in "|｜∣│~～^`")
    return "".join(dict.fromkeys(found))


def foreign(text: str) -> str:
    """The first letter, digit or nameless character in ``text`` that is not Chinese, or an empty string."""
    for character in text:
        kind = unicodedata.category(character)
        if (kind[0] in "LN" or kind in ("Co", "Cn")) and not is_chinese(character):
            return character
    return ""
