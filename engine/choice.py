"""The choice of one character: what a cell admits, by the model's scores, with the row's own chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.checkpoint import FloatArray
from engine.contract.text import CLOSING_MARKS
from engine.lines import LineIndex
from engine.masks import Ids, Masks
from engine.row import Row
from engine.vocab import Vocabulary

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

    def draw(self, row: Row, scores: FloatArray) -> int:
        """One id that the row's cell admits, by the model's ``scores`` [V]; those of the others are lost after it."""
        ids, values = self._likely(row, scores)
        weights = np.exp((values - values[0]) / self._sampling.temperature)  # [n], falling
        reached = weights.cumsum()
        last = reached.searchsorted(self._sampling.top_p * reached[-1])
        return int(ids[min(reached.searchsorted(row.draw() * reached[last], "right"), last)])

    def _likely(self, row: Row, scores: FloatArray) -> tuple[Ids, FloatArray]:
        """Ids that the row may take next and their scores, falling; those far less likely than the first are left out.

        Where all that the cell admits is used up or makes a corpus line, better an old word than none.
        """
        allowed = self._allowed(row)
        banned = self._banned(row, scores)
        held, scores[banned] = scores[banned], -np.inf
        ids, values = self._near_top(allowed, scores)
        if len(ids) and not _may_complete(row):
            return ids, values
        while len(ids):
            copied = self._lines.completed_by(row.line, self._code_points[ids])
            if not copied.all():
                return ids[~copied], values[~copied]
            scores[ids] = -np.inf
            ids, values = self._near_top(allowed, scores)
        scores[banned] = held
        ids, values = self._near_top(allowed, scores)
        return (ids, values) if len(ids) else self._near_top(self._masks.characters, scores)

    def _banned(self, row: Row, scores: FloatArray) -> list[int]:
        """Ids that must not come next. A doubling is deliberate only where the model thinks of nothing better."""
        banned, double = row.banned(), row.doubling()
        if double and self._vocabulary.id(double) == scores.argmax():
            banned = banned - {double}
        return self._vocabulary.encode(banned)

    def _near_top(self, allowed: Ids, scores: FloatArray) -> tuple[Ids, FloatArray]:
        values = scores.take(allowed)  # [allowed]
        top = values.max()
        if top == -np.inf:
            return allowed[:0], values[:0]
        near = (values >= top - self._sampling.floor).nonzero()[0]
        values = values[near]
        order = (-values).argsort()
        return allowed[near[order]], values[order]

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
