"""Batches of poems of similar length, in an order that a resumed run finds again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.model.vocab import Vocabulary

Ids = npt.NDArray[np.int64]

POOL_POEMS = 4096
"""Poems that are sorted by length together: enough for even batches, few enough for a new mixture an epoch."""


@dataclass(frozen=True)
class Position:
    """Where a run stands in its data: the next batch is number ``batch`` of pool ``pool`` of ``epoch``.

    ``tokens``: the batch size with which this pool was cut; 0 where batches are counted in poems.
    ``song_share``: the share of Song poems in this pool; ``song``: how many Song poems the pools before it had.
    """

    epoch: int = 0
    pool: int = 0
    batch: int = 0
    tokens: int = 0
    song_share: float = 0.0
    song: int = 0


@dataclass(frozen=True)
class Batch:
    """Poems side by side, padded on the right: ``ids`` and their successors ``targets``, both [B, T]."""

    ids: Ids
    targets: Ids
    count: int  # targets that are not padding

    @classmethod
    def of(cls, rows: Sequence[Ids], pad: int) -> Batch:
        """From rows of a start symbol, characters, <EOP>."""
        longest = max(len(row) for row in rows)
        grid = np.full((len(rows), longest), pad, np.int64)  # [B, T + 1]
        for line, row in zip(grid, rows, strict=True):
            line[: len(row)] = row
        return cls(grid[:, :-1], grid[:, 1:], sum(len(row) - 1 for row in rows))


def encode(
    poems: Sequence[str], vocabulary: Vocabulary, maxlen: int | None = None, start: int | None = None
) -> list[Ids]:
    """Each poem as its start symbol (<START> if not given), characters, <EOP>; cut at ``maxlen`` ids."""
    start, eop = vocabulary.start if start is None else start, vocabulary.eop
    return [np.array([start, *vocabulary.encode(poem), eop][:maxlen], np.int64) for poem in poems]


def by_length(rows: Sequence[Ids], pad: int, tokens: int) -> Iterator[Batch]:
    """All rows once, short ones first, about ``tokens`` a batch: for measuring."""
    for group in _cut(sorted(range(len(rows)), key=lambda i: len(rows[i])), rows, tokens, 0):
        yield Batch.of([rows[i] for i in group], pad)


class Batches:
    """The training poems, epoch after epoch, each epoch in another order drawn from ``seed``.

    An epoch is one pass over the Tang poems, ``rows``. Song poems come on top of a pool's Tang poems, so these are the
    same with and without; they have an order of their own, which goes on from pool to pool and begins anew at its end.
    """

    def __init__(
        self,
        rows: Sequence[Ids],
        pad: int,
        seed: int,
        poems_a_batch: int,
        pool: int = POOL_POEMS,
        song: Sequence[Ids] = (),
    ) -> None:
        self._rows = [*rows, *song]
        self._tang, self._song = len(rows), len(song)
        self._pool = pool
        self._pad = pad
        self._seed = seed
        self._poems_a_batch = poems_a_batch
        self.tokens_an_epoch = sum(len(row) - 1 for row in rows)

    def pool(self, position: Position) -> Iterator[tuple[Batch, Position]]:
        """What is left of one pool: each batch with the position after it.

        Batch size and share of ``position`` hold for the whole pool; the last position of the pool begins the
        next one, or the next epoch, and leaves both to be chosen anew.
        """
        order = np.random.default_rng([self._seed, position.epoch]).permutation(self._tang)
        first = position.pool * self._pool
        tang = order[first : first + self._pool].tolist()
        song = self._song_poems(position, len(tang))
        members = sorted([*tang, *song], key=lambda i: len(self._rows[i]))
        groups = list(_cut(members, self._rows, position.tokens, self._poems_a_batch))
        np.random.default_rng([self._seed, position.epoch, position.pool]).shuffle(groups)
        last = first + self._pool >= len(order)
        for number in range(position.batch, len(groups)):
            after = dataclasses.replace(position, batch=number + 1)
            if number + 1 == len(groups):
                epoch, pool = (position.epoch + 1, 0) if last else (position.epoch, position.pool + 1)
                after = Position(epoch, pool, song=position.song + len(song))
            yield Batch.of([self._rows[i] for i in groups[number]], self._pad), after

    def _song_poems(self, position: Position, tang: int) -> list[int]:
        """The rows of the Song poems that join ``tang`` Tang poems in a pool."""
        count = round(tang * position.song_share / (1 - position.song_share)) if self._song else 0
        found: list[int] = []
        while len(found) < count:
            lap, begin = divmod(position.song + len(found), self._song)
            order = np.random.default_rng([self._seed, lap, 0, 1]).permutation(self._song)
            found += (self._tang + order[begin : begin + count - len(found)]).tolist()
        return found


def _cut(members: Sequence[int], rows: Sequence[Ids], tokens: int, poems: int) -> Iterator[list[int]]:
    """Groups of neighbours of at most ``tokens`` places, or of ``poems`` rows where ``tokens`` is 0."""
    group: list[int] = []
    for i in members:
        places = (len(group) + 1) * (len(rows[i]) - 1)
        if group and (places > tokens if tokens else len(group) == poems):
            yield group
            group = []
        group.append(i)
    if group:
        yield group
