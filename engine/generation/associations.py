"""Which characters are associated: how much more often two of them share a poem than they would by chance."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from engine.model.checkpoint import FloatArray

MOST_CHARACTERS = 2000
"""The characters of the most poems; rarer ones share too few poems for a reliable estimate."""
LONGEST_POEM = 70
"""Characters with marks: regulated verse and shorter. In a long poem nearly any two characters meet."""
LEAST_EXPECTED = 5.0
"""Poems that two characters would share by chance; below that the estimate is not reliable."""
STEPS_PER_NAT = 100
"""An association is kept in hundredths of a nat, up to 2.55."""
DIMENSIONS = 30
"""Of a character's vector."""
ITERATIONS = 6
"""Of the search for the table's eigenvectors, after which they hardly change."""

Associations8 = npt.NDArray[np.uint8]


class Associations:
    """The positive pointwise mutual information of two characters in a poem, in nats (Church and Hanks 1990).

    A character has none with itself, and none with one that the table lacks.
    """

    def __init__(self, characters: Sequence[str], table: Associations8) -> None:
        """``table`` [n, n]: symmetric, in hundredths of a nat."""
        self._places = {character: place for place, character in enumerate(characters)}
        self._table = table
        self._vectors = _vectors(table)  # a tenth of a second, better now than while a poem waits

    def __len__(self) -> int:
        return len(self._places)

    @classmethod
    def of(cls, poems: Iterable[str], most: int = MOST_CHARACTERS) -> Associations:
        """From a corpus. Punctuation, which every poem has, is associated with nothing."""
        sets = [frozenset(poem) for poem in poems if len(poem) <= LONGEST_POEM]
        counts = Counter(character for characters in sets for character in characters)
        characters = sorted(counts, key=lambda character: (-counts[character], character))[:most]
        places = {character: place for place, character in enumerate(characters)}
        together = np.zeros((len(characters), len(characters)), np.float32)
        for each in sets:
            found = [places[character] for character in each if character in places]
            together[np.ix_(found, found)] += 1
        alone = together.diagonal().copy()
        np.fill_diagonal(together, 0)
        expected = np.outer(alone, alone)
        np.fill_diagonal(expected, 0)
        # Longer poems have more pairs than chance gives their characters: the two sums are made equal.
        expected *= together.sum() / max(1.0, expected.sum())
        association = np.log((together + 1) / (expected + 1))
        association[expected < LEAST_EXPECTED] = 0
        steps = np.clip(association * STEPS_PER_NAT, 0, 255)
        return cls(characters, np.rint(steps).astype(np.uint8))

    def commonest(self, count: int) -> str:
        """The characters that most poems have, the commonest first."""
        return "".join(self._places)[:count]

    @classmethod
    def from_bytes(cls, content: bytes) -> Associations:
        """Read what ``to_bytes`` gave. ValueError: it is something else."""
        if len(content) < 4:
            raise ValueError("no number of characters")
        (size,) = struct.unpack_from("<I", content)
        characters = content[4 : 4 + 4 * size].decode("utf-32-le")
        upper = np.frombuffer(content[4 + 4 * size :], np.uint8)
        if len(set(characters)) != size or len(upper) != size * (size - 1) // 2:
            raise ValueError("characters and table do not fit each other")
        table = np.zeros((size, size), np.uint8)
        table[np.triu_indices(size, 1)] = upper
        return cls(characters, table + table.T)

    def to_bytes(self) -> bytes:
        """The number of characters, each as four bytes, and the rows of the upper triangle."""
        characters = "".join(self._places).encode("utf-32-le")
        return struct.pack("<I", len(self)) + characters + self._table[np.triu_indices(len(self), 1)].tobytes()

    def strongest(self, line: str, earlier: str) -> float:
        """The strongest association of each character of ``line`` with one of ``earlier``: the mean, in nats."""
        before = [self._places[character] for character in dict.fromkeys(earlier) if character in self._places]
        here = [self._places[character] for character in line if character in self._places]
        if not before or not here:
            return 0.0
        found = self._table[np.array(before)[:, None], here]  # [before, here]
        return float(found.max(axis=0).sum()) / STEPS_PER_NAT / len(line)

    def subject(self, text: str) -> FloatArray:
        """What a text is about: the sum of its characters' vectors, at length 1; zeros if the table has none of them.

        The scalar product of two is their cosine. Characters have similar vectors if they share poems with the
        same others, even if they never meet. [DIMENSIONS], fewer if the table is small.
        """
        total = self._vectors[[self._places[character] for character in text if character in self._places]].sum(axis=0)
        return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9), np.float32)


def _vectors(table: Associations8) -> FloatArray:
    """[n, DIMENSIONS]: the table's leading eigenvectors, each times the square root of its eigenvalue (Levy, Goldberg
    and Dagan 2015). The first of all is left out: it says how strongly a character is associated, not with which."""
    nats = table.astype(np.float32) / STEPS_PER_NAT  # [n, n]
    basis = np.random.default_rng(0).standard_normal((len(table), 2 * DIMENSIONS)).astype(np.float32)
    for _ in range(ITERATIONS):
        basis, _ = np.linalg.qr(nats @ basis)  # [n, at most 2 * DIMENSIONS]
    values, turned = np.linalg.eigh(basis.T @ nats @ basis)
    leading = [place for place in np.argsort(values)[::-1] if values[place] > 0][1 : DIMENSIONS + 1]
    return np.asarray(basis @ turned[:, leading] * np.sqrt(values[leading]), np.float32)
