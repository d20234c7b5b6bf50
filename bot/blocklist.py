"""Words that are neither written nor answered."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import opencc

from engine.contract import Poem, PoemError, PoemRequest
from engine.contract.settings import SettingError
from engine.contract.text import only_chinese


class Blocklist:
    """Compares in simplified characters, marks and spaces between them ignored."""

    def __init__(self, words: Iterable[str]) -> None:
        self._simplify = opencc.OpenCC("t2s")
        self._words = tuple(sorted({plain for word in words if (plain := self._plain(word))}))

    @classmethod
    def load(cls, file: Path | None) -> Blocklist:
        """One word a line, ``#`` begins a comment; None: the short list of slurs that comes with the bot."""
        try:
            if file is None:
                text = resources.files("bot").joinpath("blocklist.txt").read_text("utf-8")
            else:
                text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError("BLOCKLIST_FILE must be a readable UTF-8 text, one word a line.") from error
        return cls(line.split("#")[0] for line in text.splitlines())

    def check(self, request: PoemRequest) -> None:
        """Raise PoemError ``refused`` if what was asked for has a word of the list."""
        if any(self._has(part) for part in (request.text, request.mood) if part):
            raise PoemError(
                "refused",
                "您写的内容里有不宜使用的字眼，请换一句。",
                "Your text has a word that I do not write; please try another line.",
            )

    def judge(self, poem: Poem) -> Poem | PoemError:
        """A finished poem, or ``refused`` in its place. A word must stand within one line."""
        return refused() if any(self._has(line) for line in poem.lines) else poem

    def _has(self, text: str) -> bool:
        plain = self._plain(text)
        return any(word in plain for word in self._words)

    def _plain(self, text: str) -> str:
        return str(self._simplify.convert(only_chinese(text)))


def refused() -> PoemError:
    """Does not repeat the word."""
    return PoemError(
        "refused",
        "写出的诗里有不宜使用的字眼，没有发出；请再试一次，或换一句。",
        "The poem came out with a word that I do not write, so it is not shown; please try again or send another line.",
    )
