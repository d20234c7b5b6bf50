"""The choice of one character: what a cell admits, by the model's scores, with the row's own chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from engine.contract.text import CLOSING_MARKS
from engine.generation.allowed import Ids, Masks
from engine.generation.corpus_lines import LineIndex
from engine.generation.sequence import Row
from engine.model.checkpoint import FloatArray
from engine.model.vocab import Vocabulary

LONGEST_LINE, FEWEST_LINES = 16, 4
"""Of a free poem: characters of a line, after which a mark must come; lines before it may end."""


@dataclass(frozen=True)
class Sampling:
    """``temperature`` divides the scores; ``top_p`` keeps the likeliest allowed characters up to that mass
    (nucleus sampling, Holtzman et al. 2020), none of them more than ``floor`` nats below the first."""

    temperature: float = 0.85
    top_p: float = 0.9
    floor: float = 5.0


DEFAULT_SAMPLING = Sampling()

Likely = tuple[Ids, FloatArray]
"""Ids and how far each is below the likeliest, in nats: [n], [n]."""
LAST = np.uint64(np.float32(np.inf).view(np.uint32)) << np.uint64(32)
"""The key of what cannot come: infinitely far below."""


class Choice:
    """Runs once a row and step, so it looks only at the scores of what may come."""

    def __init__(
        self, vocabulary: Vocabulary, masks: Masks, lines: LineIndex, sampling: Sampling = DEFAULT_SAMPLING
    ) -> None:
        self._vocabulary = vocabulary
        self._masks = masks
        self._lines = lines
        self._sampling = sampling
        self._code_points = np.array([ord(c) for c in vocabulary.characters] + [0] * 4, np.uint64)  # [V]

    def draw(self, rows: Sequence[Row], scores: FloatArray) -> list[int]:
        """For each row one id that its cell admits, by the model's ``scores`` [rows, V]; those of others are lost."""
        banned = [self._banned(row, own) for row, own in zip(rows, scores, strict=True)]
        sizes = [len(ids) for ids in banned]
        of, ids = np.arange(len(rows)).repeat(sizes), np.fromiter(chain.from_iterable(banned), np.intp, sum(sizes))
        held, scores[of, ids] = scores[of, ids], -np.inf
        likely = []
        for i, row in enumerate(rows):
            found = self._likely(row, scores[i])
            if not len(found[0]):
                # All that the cell admits is used up or makes a corpus line: better an old word than none.
                scores[i, ids[of == i]] = held[of == i]
                found = self._near_top(self._allowed(row), scores[i])
            likely.append(found if len(found[0]) else self._near_top(self._masks.characters, scores[i]))
        return self._sample(rows, likely)

    def _sample(self, rows: Sequence[Row], likely: Sequence[Likely]) -> list[int]:
        """One of the ``likely`` of each row, with its chance among the first that make up ``top_p`` together."""
        sizes = np.array([len(ids) for ids, _ in likely])
        ids, below = (np.concatenate(parts) for parts in zip(*likely, strict=True))
        # The bits of floats that are not negative rise as they do. With the id after them no two keys are equal: their
        # order cannot depend on how many there are in other rows.
        keys = np.full((len(rows), sizes.max()), LAST, np.uint64)  # [rows, most]
        keys[np.arange(sizes.max()) < sizes[:, None]] = below.view(np.uint32).astype(np.uint64) << 32 | ids.view(
            np.uint64
        )
        keys.sort(axis=1)
        below = (keys >> 32).astype(np.uint32).view(np.float32)
        reached = np.exp(below / -self._sampling.temperature).cumsum(axis=1)
        each = np.arange(len(rows))
        last = (reached < self._sampling.top_p * reached[:, -1:]).sum(axis=1)
        drawn = np.array([row.draw() for row in rows], np.float32) * reached[each, last]  # [rows]
        place = np.minimum((reached <= drawn[:, None]).sum(axis=1), last)
        chosen: list[int] = (keys[each, place] & 0xFFFFFFFF).tolist()
        return chosen

    def _likely(self, row: Row, scores: FloatArray) -> Likely:
        """What the row may take next; nothing where all that the cell admits is used up or makes a corpus line."""
        allowed = self._allowed(row)
        ids, below = self._near_top(allowed, scores)
        if not _may_complete(row):
            return ids, below
        while len(ids):
            copied = self._lines.completed_by(row.line, self._code_points[ids])
            if not copied.all():
                return ids[~copied], below[~copied]
            scores[ids] = -np.inf
            ids, below = self._near_top(allowed, scores)
        return ids, below

    def _banned(self, row: Row, scores: FloatArray) -> list[int]:
        """Ids that must not come next. A doubling is deliberate only where the model thinks of nothing better."""
        banned, double = row.banned(), row.doubling()
        if double and self._vocabulary.id(double) == scores.argmax():
            banned = banned - {double}
        return self._vocabulary.encode(banned)

    def _near_top(self, allowed: Ids, scores: FloatArray) -> Likely:
        """The likeliest of the ``allowed``; nothing where all of them are banned."""
        below = scores.take(allowed)  # [allowed]
        top = below[below.argmax()]
        if top == -np.inf:
            return allowed[:0], below[:0]
        np.subtract(top, below, out=below)
        near = (below <= self._sampling.floor).nonzero()[0]
        return allowed.take(near), below.take(near)

    def _allowed(self, row: Row) -> Ids:
        """What the cell to fill admits."""
        cell = row.cell
        if cell.free:
            return self._allowed_free(row)
        return self._masks.rhyme(row.rhyme, row.plan.rhymes) if cell.rhymes else self._masks.tone(cell.tone)

    def _allowed_free(self, row: Row) -> Ids:
        """Characters and marks in turn, the end after a closing mark; the last of the limit closes the poem."""
        masks, left = self._masks, row.plan.limit - row.chosen
        if row.line:
            if left == 1 or len(row.line) >= LONGEST_LINE:
                return masks.closing if left <= 2 else masks.marks
            return masks.characters_or_closing if left <= 2 else masks.characters_or_marks
        if left == 1:
            return masks.end
        may_end = len(row.earlier) >= FEWEST_LINES and row.chosen > 0 and row.text[-1] in CLOSING_MARKS
        return masks.characters_or_end if may_end else masks.characters


def _may_complete(row: Row) -> bool:
    """Whether the character to come may be the last of its line."""
    return row.ends_line or (row.cell.free and len(row.line) >= 2)
