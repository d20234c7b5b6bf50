"""Seeds that encode a candidate's history, so that one seed reproduces it on its own."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

SEEDS = 2**26
"""Random seeds are drawn below this; a request may name any."""
FIRST_CANDIDATE_BITS, MAX_CHILD_BITS, MAX_ALL_CHILD_BITS = 6, 3, 21
"""Bits of a seed above ``SEEDS``: index of the first candidate; maximum per stage for the index of the child; maximum
for all stages. Seeds thus stay below 2**53, which every JSON parser reads exactly."""


class Lineage:
    """The seeds of a poem written in ``stages``; after each stage the best candidates have several children.

    A seed is a number below ``SEEDS`` plus one digit per stage above it. A candidate's random draws in a stage depend
    only on the digits up to that stage, so that parent and child, which share these digits, share the earlier text.
    """

    def __init__(self, stages: int) -> None:
        self._bits = max(1, min(MAX_CHILD_BITS, MAX_ALL_CHILD_BITS // max(1, stages - 1)))
        self.children = 2**self._bits
        """Maximum number of children of a candidate."""

    @staticmethod
    def first(seed: int, count: int) -> list[int]:
        """The seeds of ``count`` candidates; ``seed`` itself if there is only one."""
        if count == 1:
            return [seed]
        own, many = seed if seed < SEEDS else other_seed(seed, 0), 2**FIRST_CANDIDATE_BITS
        return [(other_seed(own, i // many) if i >= many else own) + i % many * SEEDS for i in range(count)]

    def descendants(self, parents: Sequence[int], stage: int, count: int) -> list[list[int]]:
        """The children of each of ``parents`` in ``stage``, at most ``count`` each; a single candidate keeps its
        seed."""
        if count == 1:
            return [[seed] for seed in parents]
        digit = SEEDS << FIRST_CANDIDATE_BITS << (stage - 1) * self._bits
        return [[seed + i * digit for i in range(min(self.children, count))] for seed in parents]

    def draw_seed(self, seed: int, stage: int) -> int:
        """The seed of a candidate's random draws in ``stage``."""
        return seed % (SEEDS << FIRST_CANDIDATE_BITS << stage * self._bits)


def other_seed(seed: int, number: int) -> int:
    """A seed that is unrelated to those near ``seed``."""
    return int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:4]) % SEEDS
