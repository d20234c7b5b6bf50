"""Chinese text as people type it: which characters count, and where clauses end."""

from __future__ import annotations

import re
import unicodedata

CLAUSE_MARKS = "，。？！；、："
"""The punctuation kept in the corpus; each mark ends a clause."""
CLOSING_MARKS = "。？！"
"""Those that end a sentence, and so a row of a poem."""

# Unified ideographs with their extensions, compatibility forms, and the zero 〇.
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_HAN_RUN = re.compile(f"[{_HAN}]+")
_NOT_VERSE = re.compile(f"[^{_HAN}{CLAUSE_MARKS}]")


def is_chinese(character: str) -> bool:
    """Whether a character is Chinese (an ideograph or 〇)."""
    return _HAN_CHARACTER.fullmatch(character) is not None


def only_verse(text: str) -> str:
    """Only the Chinese characters and clause marks of ``text``."""
    return _NOT_VERSE.sub("", text)


def clauses(text: str) -> list[str]:
    """Split ``text`` into its runs of Chinese characters, each exactly as written.

    White space, punctuation and symbols of any width separate runs; zero-width characters (joiners, direction marks,
    variation selectors, which phones insert) do not.
    """
    return _HAN_RUN.findall(visible(text))


def visible(text: str) -> str:
    """``text`` without zero-width characters."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Mn"))


def only_chinese(text: str) -> str:
    """Only the Chinese characters of ``text``."""
    return "".join(clauses(text))


def has_control_characters(text: str) -> bool:
    """Whether ``text`` has control characters (other than line breaks and tabs) or lone surrogates."""
    return any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r\v\f\x85" for c in text)


def symbols(text: str) -> str:
    """The distinct symbols in ``text`` (❤, ★, emoji); poems leave them out."""
    matching = (c for c in text if unicodedata.category(c) in ("So", "Sk", "Sm", "Sc") and c not in "|｜∣│~～^`")
    return "".join(dict.fromkeys(matching))


def foreign_character(text: str) -> str:
    """The first letter, digit or unassigned character in ``text`` that is not Chinese, or an empty string."""
    for character in text:
        kind = unicodedata.category(character)
        if (kind[0] in "LN" or kind in ("Co", "Cn")) and not is_chinese(character):
            return character
    return ""
