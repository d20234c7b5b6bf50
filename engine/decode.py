"""Runs plans over a backend, many at once: knows cells, no forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from engine.backends.base import Backend
from engine.checkpoint import FloatArray
from engine.contract.text import CLOSING_MARKS
from engine.lines import LineIndex
from engine.masks import Masks
from engine.row import Row
from engine.vocab import Vocabulary

Integers = npt.NDArray[np.int64]

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


class Decoder:
    """Rows in flight and the model's state for each; a finished row leaves at once and its place is free."""

    def __init__(
        self,
        backend: Backend,
        vocabulary: Vocabulary,
        masks: Masks,
        lines: LineIndex,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> None:
        self._backend = backend
        self._vocabulary = vocabulary
        self._masks = masks
        self._lines = lines
        self._sampling = sampling
        self._code_points = np.array([ord(c) for c in vocabulary.characters] + [0] * 4, np.uint64)  # [V]
        self._rows: list[Row] = []
        self._state = backend.start(0)  # [rows, 2 * layers, hidden]

    def __len__(self) -> int:
        return len(self._rows)

    def run(self, rows: Iterable[Row], width: int = 64) -> Iterator[Row]:
        """Write every row, ``width`` at a time; they come as they are finished."""
        waiting = iter(rows)
        while True:
            self.add(list(islice(waiting, width - len(self))))
            if not self._rows:
                return
            yield from self.step()

    def add(self, rows: Sequence[Row]) -> None:
        """Rows that begin with the next step."""
        self._rows += rows
        self._state = np.concatenate([self._state, self._backend.start(len(rows))])

    def clear(self) -> None:
        """Forget every row."""
        self._rows, self._state = [], self._backend.start(0)

    def step(self) -> list[Row]:
        """Feed one character to every row and fill its next cell; returns the rows that are finished."""
        wanting = [i for i, row in enumerate(self._rows) if row.cell.scored or not row.cell.forced]
        ids = np.array(self._vocabulary.encode(row.last for row in self._rows), np.int64)  # [rows]
        scores, self._state = self._backend.step(ids, self._state, np.array(wanting, np.int64))
        for row in self._rows:
            if row.cell.forced and not row.cell.scored:
                row.take(row.cell.forced)
        if wanting:
            self._fill([self._rows[i] for i in wanting], scores)
        finished = [row for row in self._rows if row.done]
        if finished:
            kept = [i for i, row in enumerate(self._rows) if not row.done]
            self._rows = [self._rows[i] for i in kept]
            self._state = self._state[kept]
        return finished

    def _fill(self, rows: list[Row], scores: FloatArray) -> None:
        """``scores`` [rows, V]: score the forced characters, choose the others."""
        top = scores.max(axis=1, keepdims=True)  # [rows, 1]
        log_sum = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))  # [rows]
        for i, row in enumerate(rows):
            drawn = self._vocabulary.id(row.cell.forced) if row.cell.forced else self._draw(row, scores[i])
            character = row.cell.forced or self._vocabulary.decode([drawn])
            opens = row.cell.rhymes and row.rhyme is None
            row.take(character, float(scores[i, drawn] - log_sum[i]))
            if opens:
                row.rhyme = self._masks.group_of(character)

    def _draw(self, row: Row, scores: FloatArray) -> int:
        """One id that the row's cell admits, by the model's ``scores`` [V] (nucleus sampling)."""
        ids = self._likely(row, scores)
        weights = np.exp((scores[ids] - scores[ids[0]]) / self._sampling.temperature)  # [n], falling
        below = np.cumsum(weights) - weights  # [n] the mass of the likelier ones
        weights = weights[below < self._sampling.top_p * weights.sum()]
        reached = np.cumsum(weights)
        return int(ids[min(np.searchsorted(reached, row.draw() * reached[-1], side="right"), len(reached) - 1)])

    def _likely(self, row: Row, scores: FloatArray) -> Integers:
        """Ids that the row may take next, in falling order; those far less likely than the first are left out.

        Where all that the cell admits is used up or makes a corpus line, better an old word than none.
        """
        allowed = self._allowed(row)
        values = scores + allowed  # [V]
        values[self._vocabulary.encode(row.banned())] = -np.inf
        if double := row.doubling():  # deliberate only where the model thinks of nothing better
            place = self._vocabulary.id(double)
            values[place] = scores[place] + allowed[place] if place == scores.argmax() else -np.inf
        may_copy = not (row.ends_line or (row.cell.free and len(row.line) >= 2))
        while len(ids := self._near_top(values)):
            if may_copy:
                return ids
            copied = self._lines.completed_by(row.line, self._code_points[ids])
            if not copied.all():
                return ids[~copied]
            values[ids] = -np.inf
        ids = self._near_top(scores + allowed)
        return ids if len(ids) else self._near_top(scores + self._masks.characters)

    def _near_top(self, values: FloatArray) -> Integers:
        top = values.max()
        if top == -np.inf:
            return np.empty(0, np.int64)
        ids = np.flatnonzero(values >= top - self._sampling.floor)
        order: Integers = ids[np.argsort(-values[ids])]
        return order

    def _allowed(self, row: Row) -> FloatArray:
        """What the cell to fill admits: a mask [V], see ``Masks``."""
        cell = row.cell
        if cell.free:
            return self._allowed_free(row)
        return self._masks.rhyme(row.rhyme, row.plan.rhymes) if cell.rhymes else self._masks.tone(cell.tone)

    def _allowed_free(self, row: Row) -> FloatArray:
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
