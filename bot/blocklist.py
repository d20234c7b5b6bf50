"""Words that are refused in requests and in poems."""

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
    """Compares in simplified characters, ignoring punctuation and spaces."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(sorted({plain for word in words if (plain := self._plain(word))}))

    @classmethod
    def load(cls, file: Path | None) -> Blocklist:
        """Read one word per line; ``#`` starts a comment. None: the short list of slurs that comes with the bot."""
        try:
            if file is None:
                text = resources.files("bot").joinpath("blocklist.txt").read_text("utf-8")
            else:
                text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError("BLOCKLIST_FILE must be a readable UTF-8 text file with one word per line.") from error
        return cls(line.split("#")[0] for line in text.splitlines())

    def check(self, request: PoemRequest) -> None:
        """Raise PoemError ``refused`` if a request contains a listed word."""
        if any(self._has(part) for part in (request.text, request.mood) if part):
            raise refused_request()

    def screen(self, poem: Poem) -> Poem | PoemError:
        """The poem, or the error ``refused`` if a line contains a listed word."""
        return refused_poem() if any(self._has(line) for line in poem.lines) else poem

    def _has(self, text: str) -> bool:
        plain = self._plain(text)
        return any(word in plain for word in self._words)

    def _plain(self, text: str) -> str:
        return str(converter("t2s").convert(only_chinese(text)))
