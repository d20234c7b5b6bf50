"""Samples the next character from the allowed logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from engine.contract.text import CLOSING_MARKS
from engine.generation.allowed import AllowedIds
from engine.generation.corpus_lines import LineIndex
from engine.generation.sequence import TokenSequence
from engine.model.checkpoint import FloatArray
from engine.model.vocab import Vocabulary

MAX_FREE_LINE_CHARACTERS, MIN_FREE_LINES = 16, 4
"""In a free poem: maximum length of a line; minimum number of lines."""
TEMPERATURE, TOP_P, MAX_NATS_BELOW_BEST = 0.5, 0.9, 5.0
"""The scores are divided by the temperature. Nucleus sampling (Holtzman et al. 2020) keeps the likeliest allowed
characters up to the probability mass ``TOP_P``; none of them is further below the best, in nats, than
the last constant."""

Numbers = npt.NDArray[np.uint64]
ALL_BITS = 2**64 - 1
MIN_BATCH_ROWS = 4
"""From this many rows on, operating on all of them at once is faster than row by row."""
NO_ID = -1
"""Returned if nothing is allowed."""


class Sampler:
    """Samples for all rows of a step at once; a row's result does not depend on the others, bit for bit."""

    def __init__(self, vocabulary: Vocabulary, allowed_ids: AllowedIds, lines: LineIndex) -> None:
        self._vocabulary = vocabulary
        self._allowed_ids = allowed_ids
        self._lines = lines

    def draw(self, rows: Sequence[TokenSequence], log_probabilities: FloatArray) -> list[int]:
        """For each row, one id that its cell allows, sampled by the model's ``log_probabilities`` [rows, V]."""
        if len(rows) < MIN_BATCH_ROWS:
            return [self._draw_one(*each) for each in zip(rows, log_probabilities, strict=True)]
        chosen = self._draw_batch(rows, log_probabilities)
        for i, row in enumerate(rows):
            if chosen[i] == NO_ID or self._copies(row, chosen[i]):
                chosen[i] = self._draw_one(row, log_probabilities[i])
        return chosen

    def _draw_one(self, row: TokenSequence, log_probabilities: FloatArray) -> int:
        """An id that completes no corpus line. If there is none, bans are dropped first, then the cell's tone and
        rhyme."""
        own_set, any_character, copies = self._allowed_set(row), self._allowed_ids.characters, list[int]()
        banned, chance = self._banned(row, log_probabilities), uniform(row.draw_seed, row.chosen)
        for allowed, characters in ((own_set, banned), (own_set, ""), (any_character, "")):
            ids, positions = self._allowed_ids.ids[allowed], self._allowed_ids.positions[allowed]
            pool = log_probabilities.take(ids)
            pool[-1] = -np.inf
            pool[positions.take(self._vocabulary.ids_of(characters))] = -np.inf
            pool[positions[copies]] = -np.inf
            while (position := _sample(pool, chance)) != NO_ID:
                if not self._copies(row, drawn := int(ids[position])):
                    return drawn
                copies.append(drawn)
                pool[position] = -np.inf
        return int(self._allowed_ids.ids[any_character][0])

    def _banned(self, row: TokenSequence, log_probabilities: FloatArray) -> str:
        """What must not come next. A doubling is allowed only if it is the model's first choice."""
        banned = row.banned()
        if row.doubling() and log_probabilities.argmax() == self._vocabulary.id(row.last):
            return banned.replace(row.last, "")
        return banned

    def _draw_batch(self, rows: Sequence[TokenSequence], log_probabilities: FloatArray) -> list[int]:
        """What ``_draw_one`` draws for each row, before the corpus check; ``NO_ID`` if nothing is allowed."""
        sets = [self._allowed_set(row) for row in rows]
        pools = self._pools(sets, log_probabilities)
        banned = [self._banned(*each) for each in zip(rows, log_probabilities, strict=True)]
        counts = [len(characters) for characters in banned]
        ids = self._vocabulary.ids_of("".join(banned))
        banned_at = self._allowed_ids.positions[np.repeat(sets, counts), ids]
        pools[np.arange(len(rows)).repeat(counts), banned_at] = -np.inf
        seeds, numbers = np.array([(row.draw_seed, row.chosen) for row in rows], np.uint64).T
        positions = _sample_batch(pools, uniform(seeds, numbers).astype(np.float32))
        return [
            NO_ID if position == NO_ID else int(self._allowed_ids.ids[allowed][position])
            for allowed, position in zip(sets, positions, strict=True)
        ]

    def _pools(self, sets: Sequence[int], log_probabilities: FloatArray) -> FloatArray:
        """The log-probabilities of each row's allowed ids, in their order, padded with minus infinity: [rows, most]."""
        rows_of: dict[int, list[int]] = {}
        for row, allowed in enumerate(sets):
            rows_of.setdefault(allowed, []).append(row)
        if len(rows_of) == 1:
            pools = log_probabilities.take(self._allowed_ids.ids[sets[0]], axis=1)
            pools[:, -1] = -np.inf
            return pools
        most = max(len(self._allowed_ids.ids[allowed]) for allowed in rows_of)
        pools = np.full((len(sets), most), -np.inf, np.float32)
        for allowed, rows in rows_of.items():
            ids = self._allowed_ids.ids[allowed][:-1]
            pools[rows, : len(ids)] = log_probabilities[rows].take(ids, axis=1)
        return pools

    def _copies(self, row: TokenSequence, drawn: int) -> bool:
        """Whether this character would complete a line of the corpus."""
        may_complete = row.ends_line or (row.cell.free and len(row.line) >= 2)
        return may_complete and row.line + self._vocabulary.decode([drawn]) in self._lines

    def _allowed_set(self, row: TokenSequence) -> int:
        """The number of the set that the cell to fill allows."""
        cell = row.cell
        if cell.free:
            return self._allowed_free_set(row)
        if cell.rhymes:
            return self._allowed_ids.rhyme(row.rhyme, row.plan.rhyme_count)
        return self._allowed_ids.tones[cell.tone]

    def _allowed_free_set(self, row: TokenSequence) -> int:
        """Marks only after characters, the end only after a closing mark; the limit forces the end of the poem."""
        allowed_ids, left = self._allowed_ids, row.plan.limit - row.chosen
        if row.line:
            if left == 1 or len(row.line) >= MAX_FREE_LINE_CHARACTERS:
                return allowed_ids.closing if left <= 2 else allowed_ids.marks
            return allowed_ids.characters_or_closing if left <= 2 else allowed_ids.characters_or_marks
        if left == 1:
            return allowed_ids.end
        may_end = len(row.earlier) >= MIN_FREE_LINES and row.chosen > 0 and row.text[-1] in CLOSING_MARKS
        return allowed_ids.characters_or_end if may_end else allowed_ids.characters


def _sample(pool: FloatArray, chance: float) -> int:
    """One index of ``pool`` [n], by the random number ``chance``, among the likeliest that make up ``TOP_P``; ``NO_ID``
    if none is left."""
    top = pool.max()
    if top == -np.inf:
        return NO_ID
    near = (pool >= top - MAX_NATS_BELOW_BEST).nonzero()[0]  # [k]
    below = top - pool.take(near)
    ordered = np.sort(below)
    reached = np.exp(ordered / -TEMPERATURE).cumsum()
    last = reached.searchsorted(TOP_P * reached[-1])
    position = min(reached.searchsorted(chance * reached[last], side="right"), last)
    rank = position - ordered.searchsorted(ordered[position])  # among equals, which are in the order of their ids
    return int(near[(below == ordered[position]).nonzero()[0][rank]])


def _sample_batch(pool: FloatArray, chances: FloatArray) -> list[int]:
    """``_sample`` for each row of ``pool`` [rows, n] and ``chances`` [rows], bit for bit."""
    top = pool.max(axis=1)
    near = pool >= np.where(top == -np.inf, np.inf, top - MAX_NATS_BELOW_BEST)[:, None].astype(np.float32)
    flat = near.ravel().nonzero()[0]  # [hits], row by row
    each = np.arange(len(pool))
    starts = flat.searchsorted(each * pool.shape[1])
    sizes = np.diff(starts, append=len(flat))
    most = sizes.max()
    if not most:
        return [NO_ID] * len(pool)
    below = top.repeat(sizes) - pool.ravel().take(flat)
    ordered = np.full((len(pool), most), np.inf, np.float32)
    ordered[np.arange(most) < sizes[:, None]] = below
    ordered.sort(axis=1)
    reached = np.exp(ordered / -TEMPERATURE).cumsum(axis=1)
    last = (reached >= TOP_P * reached[:, -1:]).argmax(axis=1)
    drawn = chances * reached[each, last]  # [rows]
    position = np.minimum((reached <= drawn[:, None]).sum(axis=1), last)
    value = ordered[each, position]
    rank = position - (ordered == value[:, None]).argmax(axis=1)  # among equals, which are in the order of their ids
    equals = (below == value.repeat(sizes)).nonzero()[0]
    chosen = flat.take(equals.take(equals.searchsorted(starts) + rank, mode="clip")) - each * pool.shape[1]
    chosen[sizes == 0] = NO_ID
    indices: list[int] = chosen.tolist()
    return indices


@overload
def uniform(seed: int, number: int) -> float: ...
@overload
def uniform(seed: int | Numbers, number: Numbers) -> npt.NDArray[np.floating]: ...
def uniform(seed: int | Numbers, number: int | Numbers) -> float | npt.NDArray[np.floating]:
    """The number in [0, 1) at position ``number`` of the sequence of ``seed`` (SplitMix64, Steele et al. 2014).

    It has 24 bits, which float32 holds exactly.
    """
    bits = seed + (number + 1) * 0x9E3779B97F4A7C15 & ALL_BITS
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & ALL_BITS
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & ALL_BITS
    return ((bits ^ bits >> 31) >> 40) * 2.0**-24
