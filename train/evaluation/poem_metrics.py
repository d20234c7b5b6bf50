"""Metrics of poems, some relative to the training corpus."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from engine.contract.text import clauses

Lines = Sequence[str]
"""The lines of one poem, without punctuation."""

MIN_ATTESTED_COUNT = 5


def repetition(poems: Sequence[Lines]) -> float:
    """The share of characters that occurred earlier in the same poem."""
    texts = ["".join(poem) for poem in poems]
    return 1 - sum(len(set(text)) for text in texts) / max(1, sum(map(len, texts)))


def distinct_2(poems: Sequence[Lines]) -> float:
    """Distinct character bigrams within lines ÷ all of them (Li et al. 2016)."""
    pairs = [a + b for poem in poems for line in poem for a, b in pairwise(line)]
    return len(set(pairs)) / max(1, len(pairs))


class Background:
    """Statistics of the training corpus: its lines, its bigrams, and which characters co-occur in adjacent lines."""

    def __init__(self, poems: Iterable[str]) -> None:
        split = [clauses(poem) for poem in poems]
        self.lines = {line for lines in split for line in lines}
        self._pairs = Counter(a + b for lines in split for line in lines for a, b in pairwise(line))
        self._ids = {c: i for i, c in enumerate(sorted({c for lines in split for line in lines for c in line}))}
        keys = np.concatenate([self._keys(a, b) for lines in split for a, b in pairwise(lines)] or [self._keys("", "")])
        self._keys_seen, self._counts = np.unique(keys, return_counts=True)
        size = max(1, len(self._ids))
        self._first = np.bincount(keys // size, minlength=size)  # [types] as the earlier line's character
        self._second = np.bincount(keys % size, minlength=size)  # [types] as the later line's
        self._total = max(1, len(keys))

    def copied(self, poems: Sequence[Lines]) -> int:
        """How many lines are copied from the corpus."""
        return sum(line in self.lines for poem in poems for line in poem)

    def attested(self, poems: Sequence[Lines]) -> float:
        """The share of the bigrams at positions 1–2, 3–4, 5–6 of a line that occur at least five times in the
        corpus."""
        words = [line[i : i + 2] for poem in poems for line in poem for i in range(0, len(line) - 1, 2)]
        return sum(self._pairs[word] >= MIN_ATTESTED_COUNT for word in words) / max(1, len(words))

    def association(self, poems: Sequence[Lines]) -> float:
        """Mean pointwise mutual information of characters in adjacent lines, in nats.

        ln((c(x,y) + 1) / (n p(x) p(y) + 1)), where c counts x in a line and y in the next, over n such pairs.
        """
        keys = np.concatenate([self._keys(a, b) for poem in poems for a, b in pairwise(poem)] or [self._keys("", "")])
        if not len(keys):
            return 0.0
        places = np.searchsorted(self._keys_seen, keys) % max(1, len(self._keys_seen))
        seen = np.where(self._keys_seen[places] == keys, self._counts[places], 0)
        size = len(self._ids)
        expected = self._first[keys // size] * self._second[keys % size] / self._total
        return float(np.log((seen + 1) / (expected + 1)).mean())

    def _keys(self, line: str, after: str) -> npt.NDArray[np.int64]:
        """Each pair of characters from ``line`` and ``after`` as one number; characters not in the corpus are left
        out."""
        first, second = ([self._ids[c] for c in text if c in self._ids] for text in (line, after))
        return (np.array(first, np.int64)[:, None] * len(self._ids) + np.array(second, np.int64)).ravel()


def shuffled(poems: Sequence[Lines], seed: int) -> list[Lines]:
    """The same lines shuffled among the poems, each at the position it had in its own poem."""
    columns = [list(column) for column in zip(*poems, strict=True)]
    shuffle = random.Random(seed)  # noqa: S311  # reproducible, not a secret
    for column in columns:
        shuffle.shuffle(column)
    return list(zip(*columns, strict=True))
