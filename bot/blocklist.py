"""Words that are neither written nor answered."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from bot.views.refusals import refused_poem, refused_request
from engine.contract import Poem, PoemError, PoemRequest
from engine.contract.script import converter
from engine.contract.settings import SettingError
from engine.contract.text import only_chinese


class Blocklist:
    """Compares in simplified characters, marks and spaces between them ignored."""

    def __init__(self, words: Iterable[str]) -> None:
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
            raise refused_request()

    def judge(self, poem: Poem) -> Poem | PoemError:
        """A finished poem, or ``refused`` in its place. A word must stand within one line."""
        return refused_poem() if any(self._has(line) for line in poem.lines) else poem

    def _has(self, text: str) -> bool:
        plain = self._plain(text)
        return any(word in plain for word in self._words)

    def _plain(self, text: str) -> str:
        return str(converter("t2s").convert(only_chinese(text)))
