"""Compact sets of texts: the corpus's lines, so that poems do not repeat one, and how its lines end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)

ENDING_LENGTH, MIN_ENDING_LINES = 3, 3
"""Characters of an ending, and the lines that must have it."""


class LineIndex:
    """Sorted 64-bit FNV-1a hashes of lines or their endings (over code points, not bytes): 8 bytes per line.

    About one in 10^13 look-ups is a false positive.
    """

    def __init__(self, hashes: Hashes) -> None:
        """``hashes`` [n], sorted; see ``of`` and ``from_bytes``."""
        self._hashes = hashes

    def __len__(self) -> int:
        return len(self._hashes)

    @classmethod
    def of(cls, lines: Iterable[str]) -> LineIndex:
        return cls(np.unique(np.fromiter((_hash(line) for line in lines), np.uint64)))

    @classmethod
    def from_bytes(cls, content: bytes) -> LineIndex:
        """Read what ``to_bytes`` wrote. ValueError: it is something else."""
        hashes = np.frombuffer(content, "<u8").astype(np.uint64)
        if np.any(hashes[1:] <= hashes[:-1]):
            raise ValueError("the hashes of a line index must increase")
        return cls(hashes)

    def to_bytes(self) -> bytes:
        return self._hashes.astype("<u8").tobytes()

    def __contains__(self, line: object) -> bool:
        if not isinstance(line, str) or not len(self._hashes):
            return False
        wanted = _hash(line)
        return bool(self._hashes[self._hashes.searchsorted(wanted) % len(self._hashes)] == wanted)


def _hash(line: str) -> np.uint64:
    value = int(_OFFSET)
    for character in line:
        value = (value ^ ord(character)) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF
    return np.uint64(value)


def common_endings(lines: Iterable[str]) -> LineIndex:
    """The last ``ENDING_LENGTH`` characters of lines, if ``MIN_ENDING_LINES`` lines share them. A rhyme word that was
    found for its sound alone seldom makes one."""
    counts = Counter(line[-ENDING_LENGTH:] for line in lines)
    return LineIndex.of(ending for ending, count in counts.items() if count >= MIN_ENDING_LINES)


NO_ENDINGS = LineIndex.of([])
