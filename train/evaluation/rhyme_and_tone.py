"""Rhyme and tone of a poem by any table, for example one that the decoder never saw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.contract.templates import Tone, templates
from engine.prosody import Prosody
from engine.prosody.check import form_of
from engine.prosody.table import BOTH


class TableError(Exception):
    """A rhyme table that cannot be read; the message gives the expected format."""


@dataclass(frozen=True)
class RhymeToneTable:
    """Any reading of a character counts. Unknown characters fit any tone and rhyme with nothing."""

    tones: Mapping[str, frozenset[Tone]]
    groups: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, prosody: Prosody) -> RhymeToneTable:
        return cls(prosody.tones, prosody.rhymes)

    @classmethod
    def read(cls, file: Path) -> RhymeToneTable:
        """A table ``{character: [[tone, group], …]}``; tones 平 上 去 入. TableError: invalid format."""
        try:
            table = json.loads(file.read_text("utf-8"))
            level: dict[str, frozenset[Tone]] = {}
            for character, readings in table.items():
                level[character] = frozenset("平" if tone == "平" else "仄" for tone, _ in readings)
            return cls(level, {c: frozenset(group for _, group in readings) for c, readings in table.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise TableError(f"{file} is not a rhyme table {{character: [[tone, group], …]}}: {error}") from error

    def rhymes(self, lines: Sequence[str]) -> bool:
        """Whether all even lines, at least two, end in the same rhyme group."""
        ends = [self.groups.get(line[-1], frozenset()) for line in lines[1::2]]
        return len(ends) > 1 and bool(frozenset.intersection(*ends))

    def scans(self, lines: Sequence[str], forced: int = 0) -> bool:
        """Whether one of the templates of its shape fits at positions 2, 4, 6 and the last of every line.

        The first ``forced`` lines were given and do not count.
        """
        if form_of(lines) == "古风":
            return False
        return any(
            all(
                line.tones[place] in self.tones.get(text[place], BOTH)
                for text, line in list(zip(lines, template.lines, strict=True))[forced:]
                for place in (*range(1, len(text) - 1, 2), len(text) - 1)
            )
            for template in templates("", len(lines[0]), len(lines))
        )
