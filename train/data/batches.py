"""Batches of poems of similar length, in an order that a resumed run reproduces."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.model.backend import Ids
from engine.model.vocab import Vocabulary

POOL_POEMS = 4096
"""Poems sorted by length together: enough for even batches, few enough for other batches in each epoch."""


@dataclass(frozen=True)
class Position:
    """A run's position in its data: the next batch is number ``batch`` of pool ``pool`` of ``epoch``.

    ``tokens``: the batch size of this pool; 0 if batches are counted in poems. ``song_share``: the share of Song poems
    in this pool; ``song``: how many Song poems the earlier pools had.
    """

    epoch: int = 0
    pool: int = 0
    batch: int = 0
    tokens: int = 0
    song_share: float = 0.0
    song: int = 0


@dataclass(frozen=True)
class Batch:
    """Poems padded on the right: ``ids`` and the ids that follow them, ``targets``, both [B, T]."""

    ids: Ids
    targets: Ids
    count: int  # targets that are not padding

    @classmethod
    def of(cls, rows: Sequence[Ids], pad: int) -> Batch:
        """From rows of start symbol, characters, <EOP>."""
        longest = max(len(row) for row in rows)
        grid = np.full((len(rows), longest), pad, np.int64)  # [B, T + 1]
        for line, row in zip(grid, rows, strict=True):
            line[: len(row)] = row
        return cls(grid[:, :-1], grid[:, 1:], sum(len(row) - 1 for row in rows))


def encode(
    poems: Sequence[str], vocabulary: Vocabulary, maxlen: int | None = None, start: int | None = None
) -> list[Ids]:
    """Each poem as start symbol (default <START>), characters, <EOP>; truncated to ``maxlen`` ids."""
    start, eop = vocabulary.start if start is None else start, vocabulary.eop
    return [np.array([start, *vocabulary.encode(poem), eop][:maxlen], np.int64) for poem in poems]


def batches_by_length(rows: Sequence[Ids], pad: int, tokens: int) -> Iterator[Batch]:
    """All rows once, shortest first, about ``tokens`` per batch, for evaluation."""
    for group in _batches_of(sorted(range(len(rows)), key=lambda i: len(rows[i])), rows, tokens, 0):
        yield Batch.of([rows[i] for i in group], pad)


class Batches:
    """The training poems, epoch by epoch, each epoch in its own order drawn from ``seed``.

    An epoch is one pass over the Tang poems, ``rows``. Song poems are added to a pool's Tang poems, which are the same
    with and without them; they have their own order, which continues from pool to pool and then starts again.
    """

    def __init__(
        self,
        rows: Sequence[Ids],
        pad: int,
        seed: int,
        poems_per_batch: int,
        pool: int = POOL_POEMS,
        song: Sequence[Ids] = (),
    ) -> None:
        self._rows = [*rows, *song]
        self._tang, self._song = len(rows), len(song)
        self._pool = pool
        self._pad = pad
        self._seed = seed
        self._poems_per_batch = poems_per_batch
        self.tokens_per_epoch = sum(len(row) - 1 for row in rows)

    def pool(self, position: Position) -> Iterator[tuple[Batch, Position]]:
        """The remaining batches of one pool, each with the position after it.

        The batch size and Song share of ``position`` hold for the whole pool. The last position is the start of the
        next pool or epoch, without a batch size and share.
        """
        order = np.random.default_rng([self._seed, position.epoch]).permutation(self._tang)
        first = position.pool * self._pool
        tang = order[first : first + self._pool].tolist()
        song = self._song_poems(position, len(tang))
        members = sorted([*tang, *song], key=lambda i: len(self._rows[i]))
        groups = list(_batches_of(members, self._rows, position.tokens, self._poems_per_batch))
        np.random.default_rng([self._seed, position.epoch, position.pool]).shuffle(groups)
        last = first + self._pool >= len(order)
        for number in range(position.batch, len(groups)):
            after = dataclasses.replace(position, batch=number + 1)
            if number + 1 == len(groups):
                epoch, pool = (position.epoch + 1, 0) if last else (position.epoch, position.pool + 1)
                after = Position(epoch, pool, song=position.song + len(song))
            yield Batch.of([self._rows[i] for i in groups[number]], self._pad), after

    def _song_poems(self, position: Position, tang: int) -> list[int]:
        """Indices of the Song poems to add to a pool of ``tang`` Tang poems."""
        count = round(tang * position.song_share / (1 - position.song_share)) if self._song else 0
        chosen: list[int] = []
        while len(chosen) < count:
            lap, begin = divmod(position.song + len(chosen), self._song)
            order = np.random.default_rng([self._seed, lap, 0, 1]).permutation(self._song)
            chosen += (self._tang + order[begin : begin + count - len(chosen)]).tolist()
        return chosen


def _batches_of(members: Sequence[int], rows: Sequence[Ids], tokens: int, poems: int) -> Iterator[list[int]]:
    """Consecutive groups of at most ``tokens`` positions, or of ``poems`` rows if ``tokens`` is 0."""
    group: list[int] = []
    for i in members:
        places = (len(group) + 1) * (len(rows[i]) - 1)
        if group and (places > tokens if tokens else len(group) == poems):
            yield group
            group = []
        group.append(i)
    if group:
        yield group
