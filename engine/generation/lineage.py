"""Seeds that say how a candidate came to be, so that one seed writes it again by itself."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

SEEDS = 2**26
"""Where a request names no seed, one is drawn below this; a request may name any."""
FIRST_BITS, LATER_BITS, MOST_BITS = 6, 3, 21
"""Of a seed, above ``SEEDS``: which of the first candidates; which child in a stage, at most; all stages together.
So a seed stays below 2**53, which every reader of JSON takes as it is."""


class Lineage:
    """The seeds of a poem that is written in ``stages``; after each the best candidates have several children.

    A seed is a number below ``SEEDS`` and, above it, a digit a stage. What a candidate draws in a stage hangs on the
    digits up to that stage alone: so parent and child, which share the earlier digits, share the earlier text.
    """

    def __init__(self, stages: int) -> None:
        self._bits = max(1, min(LATER_BITS, MOST_BITS // max(1, stages - 1)))
        self.children = 2**self._bits
        """The most that one candidate has."""

    @staticmethod
    def first(seed: int, count: int) -> list[int]:
        """The seeds of ``count`` candidates; ``seed`` itself where it is to be one alone."""
        if count == 1:
            return [seed]
        own, many = seed if seed < SEEDS else other_seed(seed, 0), 2**FIRST_BITS
        return [(other_seed(own, i // many) if i >= many else own) + i % many * SEEDS for i in range(count)]

    def descendants(self, parents: Sequence[int], stage: int, count: int) -> list[list[int]]:
        """The children of each of ``parents`` in ``stage``, together at most ``count``; one alone goes on as it is."""
        if count == 1:
            return [[seed] for seed in parents]
        digit = SEEDS << FIRST_BITS << (stage - 1) * self._bits
        return [[seed + i * digit for i in range(min(self.children, count))] for seed in parents]

    def draws(self, seed: int, stage: int) -> int:
        """What a candidate's draws in ``stage`` come from."""
        return seed % (SEEDS << FIRST_BITS << stage * self._bits)


def other_seed(seed: int, number: int) -> int:
    """A seed that has nothing to do with those next to ``seed``."""
    return int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:4]) % SEEDS
