"""Runs many plans over a backend at once. It knows cells, not forms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.generation.allowed import AllowedIds
from engine.generation.corpus_lines import LineIndex
from engine.generation.sampler import Sampler
from engine.generation.sequence import Reading, TokenSequence
from engine.model.backend import Backend
from engine.model.checkpoint import FloatArray
from engine.model.vocab import Vocabulary


class Decoder:
    """The sequences in flight and the model's state for each; a finished sequence leaves at once."""

    def __init__(self, backend: Backend, vocabulary: Vocabulary, allowed_ids: AllowedIds, lines: LineIndex) -> None:
        self._backend = backend
        self._vocabulary = vocabulary
        self._allowed_ids = allowed_ids
        self._sampler = Sampler(vocabulary, allowed_ids, lines)
        self._rows: list[TokenSequence] = []
        self._added: list[TokenSequence] = []
        self._state = backend.start(0)  # [rows, 2 * layers, hidden]
        log_probabilities, state = backend.step(np.array([vocabulary.start]), backend.start(1))
        self._start = Reading(state[0], log_probabilities[0])

    def __len__(self) -> int:
        return len(self._rows) + len(self._added)

    def add(self, rows: Sequence[TokenSequence]) -> None:
        """Add rows that start with the next step."""
        self._added += rows

    def clear(self) -> None:
        """Drop all rows."""
        self._rows, self._added, self._state = [], [], self._backend.start(0)

    def step(self) -> list[TokenSequence]:
        """Fill the first cell of added rows from what was read before it; then feed one character to every row and fill
        its next cell. Returns the finished rows."""
        finished = []
        if self._added:
            self._start_added()
            finished = self._remove_finished()
        if self._rows:
            self._feed()
            finished += self._remove_finished()
        return finished

    def _remove_finished(self) -> list[TokenSequence]:
        finished = [row for row in self._rows if row.done]
        if finished:
            kept = [i for i, row in enumerate(self._rows) if not row.done]
            self._rows = [self._rows[i] for i in kept]
            self._state = self._state[kept]
        return finished

    def _feed(self) -> None:
        scored_at = [i for i, row in enumerate(self._rows) if row.cell.needs_scores]
        ids = np.array(self._vocabulary.encode(row.last for row in self._rows), np.int64)  # [rows]
        log_probabilities, self._state = self._backend.step(ids, self._state, np.array(scored_at, np.int64))
        scored = [self._rows[i] for i in scored_at]
        for row, state in zip(self._rows, self._state[:, -2], strict=True):  # the top layer's h, [hidden]
            row.was_read(state)
            if not row.cell.needs_scores:
                row.take(row.cell.forced)
        for i, row, own in zip(scored_at, scored, log_probabilities, strict=True):
            if row.cell.branch:
                row.stop(Reading(self._state[i].copy(), own.copy()))
        if scored:
            self._fill(scored, log_probabilities)

    def _start_added(self) -> None:
        rows, self._added = self._added, []
        readings = [row.reading or self._start for row in rows]
        scored = []
        for row, reading in zip(rows, readings, strict=True):
            if row.done:
                continue
            if row.cell.needs_scores:
                scored.append((row, reading.log_probabilities))
            else:
                row.take(row.cell.forced)
        if scored:
            self._fill([row for row, _ in scored], np.stack([own for _, own in scored]))
        self._state = np.concatenate([self._state, np.stack([reading.state for reading in readings])])
        self._rows += rows

    def _fill(self, rows: list[TokenSequence], log_probabilities: FloatArray) -> None:
        """``log_probabilities`` [rows, V]: score forced characters and choose the others; finished rows are
        skipped."""
        ids = np.array([self._vocabulary.id(row.cell.forced) for row in rows])
        choosing = [i for i, row in enumerate(rows) if not row.cell.forced and not row.done]
        if choosing:
            own = log_probabilities if len(choosing) == len(rows) else log_probabilities[choosing]
            ids[choosing] = self._sampler.draw([rows[i] for i in choosing], own)
        likelihoods = log_probabilities[np.arange(len(rows)), ids]
        for row, drawn, likelihood in zip(rows, ids.tolist(), likelihoods.tolist(), strict=True):
            if row.done:
                continue
            cell = row.cell
            character = cell.forced or self._vocabulary.decode([drawn])
            row.take(character, likelihood)
            if cell.rhymes and row.rhyme is None:
                row.rhyme = self._allowed_ids.group_of(character)
