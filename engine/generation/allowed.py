"""The ids that a cell of a plan allows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from engine.contract.templates import Tone
from engine.contract.text import CLAUSE_MARKS, CLOSING_MARKS
from engine.model.backend import Ids
from engine.model.vocab import Vocabulary
from engine.prosody import Prosody

Booleans = npt.NDArray[np.bool_]

RICH_GROUP_CHARACTERS = 8
"""A rhyme group may start a poem if it has this many characters per rhyme word needed."""


class AllowedIds:
    """Sets of allowed ids. A set is identified by its number; each is created once, on first use."""

    def __init__(self, vocabulary: Vocabulary, prosody: Prosody) -> None:
        self._vocabulary = vocabulary
        self._prosody = prosody
        self.ids: list[Ids] = []
        """Of each set [n + 1]: its ids in increasing order, then a placeholder for every id outside it."""
        self.positions: Ids = np.zeros((0, len(vocabulary)), np.int64)
        """[sets, V]: the index of each id of the vocabulary in each set's ``ids``; outside it -1, the placeholder."""
        common = [c for c in vocabulary.characters if _is_common(c)]
        self._common = self._mask(common or vocabulary.characters)
        end = np.zeros(len(vocabulary), bool)
        end[vocabulary.eop] = True
        marks, closing = self._mask(CLAUSE_MARKS), self._mask(CLOSING_MARKS)
        self.characters = self._add(self._common)
        self.closing = self._add(closing)
        self.marks = self._add(marks)
        self.end = self._add(end)
        self.characters_or_marks = self._add(self._common | marks)
        self.characters_or_closing = self._add(self._common | closing)
        self.characters_or_end = self._add(self._common | end)
        self._level = self._with_tone("平")
        self.tones: dict[Tone | None, int] = {
            None: self.characters,
            "平": self._add(self._level),
            "仄": self._add(self._with_tone("仄")),
        }
        self._groups: dict[str, Booleans] = {}
        self._rhymes: dict[str | int, int] = {}

    def rhyme(self, group: str | None, wanted: int) -> int:
        """The characters that poets rhyme in ``group``; if no group is fixed yet, those of every group with enough
        characters for ``wanted`` rhyme words."""
        key = group or wanted
        if key not in self._rhymes:
            self._rhymes[key] = self._add(self._group(group) if group else self._any_rich_group(wanted))
        return self._rhymes[key]

    def group_of(self, character: str) -> str | None:
        """The group that a first rhyme word fixes; of several, the one with the most characters."""
        groups = self._prosody.attested_rhymes.get(character) or self._prosody.groups(character)
        return max(groups, key=lambda group: (self._group(group).sum(), group), default=None)

    def _group(self, name: str) -> Booleans:
        """The group's attested characters; for a group with few of these, all of its characters in the table."""
        if name not in self._groups:
            attested, everything = (
                self._mask(c for c, groups in table.items() if name in groups) & self._common
                for table in (self._prosody.attested_rhymes, self._prosody.rhymes)
            )
            self._groups[name] = attested if attested.sum() >= RICH_GROUP_CHARACTERS else everything
        return self._groups[name]

    def _any_rich_group(self, wanted: int) -> Booleans:
        groups = {group for groups in self._prosody.attested_rhymes.values() for group in groups}
        rich = [mask for mask in map(self._group, sorted(groups)) if mask.sum() >= RICH_GROUP_CHARACTERS * wanted]
        return np.logical_or.reduce(rich) if rich else self._level

    def _with_tone(self, tone: Tone) -> Booleans:
        known = self._prosody.attested_tones
        return self._common & self._mask(
            c for c in self._vocabulary.characters if tone in known.get(c, ()) or c not in known
        )

    def _add(self, mask: Booleans) -> int:
        self.ids.append(np.append(mask.nonzero()[0], 0))
        self.positions = np.concatenate([self.positions, np.where(mask, mask.cumsum() - 1, -1)[None]])
        return len(self.ids) - 1

    def _mask(self, characters: Iterable[str]) -> Booleans:
        mask = np.zeros(len(self._vocabulary), bool)
        mask[[self._vocabulary.id(c) for c in characters if c in self._vocabulary]] = True
        return mask


def _is_common(character: str) -> bool:
    """Whether this is one of the 6,763 characters of GB 2312, which readers of simplified Chinese know.

    The corpus also has old variants (疎 beside 疏, 猨 beside 猿); users' texts keep them, but the model does not choose
    them.
    """
    try:
        return len(character.encode("gb2312")) == 2 and character not in CLAUSE_MARKS
    except UnicodeEncodeError:
        return False
