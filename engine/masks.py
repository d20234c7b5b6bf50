"""Which characters a cell admits, as rows of booleans over the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from engine.contract.text import CLAUSE_MARKS, CLOSING_MARKS
from engine.prosody import Prosody, Tone
from engine.vocab import Vocabulary

Mask = npt.NDArray[np.bool_]

RICH = 8
"""A group is rich enough to begin a poem on when it has this many characters for each rhyme word wanted."""


class Masks:
    """Masks [V] by what they admit; each is made once, when it is first wanted."""

    def __init__(self, vocabulary: Vocabulary, prosody: Prosody) -> None:
        self._vocabulary = vocabulary
        self._prosody = prosody
        common = [c for c in vocabulary.characters if _is_common(c)]
        self.characters = self._of(common or vocabulary.characters)
        self.marks = self._of(CLAUSE_MARKS)
        self.closing = self._of(CLOSING_MARKS)
        self.end = np.zeros(len(vocabulary), bool)
        self.end[vocabulary.eop] = True
        self._tones: dict[Tone, Mask] = {
            "平": self._with_tone("平"),
            "仄": self._with_tone("仄"),
        }
        self._groups: dict[str, Mask] = {}
        self._rich: dict[int, Mask] = {}

    def tone(self, tone: Tone | None) -> Mask:
        return self.characters if tone is None else self._tones[tone]

    def group(self, name: str) -> Mask:
        """The characters that the poets rhyme in a group; in a poor group, all that the table has there."""
        if name not in self._groups:
            attested = self._of(c for c, groups in self._prosody.attested_rhymes.items() if name in groups)
            everything = self._of(c for c, groups in self._prosody.rhymes.items() if name in groups)
            found = attested if (attested & self.characters).sum() >= RICH else everything
            self._groups[name] = found & self.characters
        return self._groups[name]

    def first_rhyme(self, wanted: int) -> Mask:
        """The characters of the groups that have enough for ``wanted`` rhyme words."""
        if wanted not in self._rich:
            groups = {group for groups in self._prosody.attested_rhymes.values() for group in groups}
            rich = [mask for mask in map(self.group, sorted(groups)) if mask.sum() >= RICH * wanted]
            self._rich[wanted] = np.logical_or.reduce(rich) if rich else self._tones["平"]
        return self._rich[wanted]

    def group_of(self, character: str) -> str | None:
        """The group that a first rhyme begins: of several the one with most characters."""
        groups = self._prosody.attested_rhymes.get(character) or self._prosody.groups(character)
        return max(groups, key=lambda group: (self.group(group).sum(), group), default=None)

    def _with_tone(self, tone: Tone) -> Mask:
        known = self._prosody.attested_tones
        return self.characters & self._of(
            c for c in self._vocabulary.characters if tone in known.get(c, ()) or c not in known
        )

    def _of(self, characters: Iterable[str]) -> Mask:
        mask = np.zeros(len(self._vocabulary), bool)
        mask[[self._vocabulary.id(c) for c in characters if c in self._vocabulary]] = True
        return mask


def _is_common(character: str) -> bool:
    """Whether a reader of simplified Chinese knows this glyph: the 6,763 characters of GB 2312.

    The corpus spells many words with old variants too (疎 beside 疏, 猨 beside 猿); what a person typed keeps
    them, the model does not choose them.
    """
    try:
        return len(character.encode("gb2312")) == 2 and character not in CLAUSE_MARKS
    except UnicodeEncodeError:
        return False
