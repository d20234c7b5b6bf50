"""One request on its way to a poem: its candidates, their second reading, the best of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from hashlib import sha256

from engine.contract import Poem, PoemRequest
from engine.contract.outline import Outline
from engine.contract.script import Script
from engine.contract.text import CLAUSE_MARKS, CLOSING_MARKS, clauses
from engine.generation.plan import Cell, Plan, opening_of
from engine.generation.ranker import Ranker
from engine.generation.sequence import Row

SEEDS = 2**31
"""Seeds are drawn below this; a request may name any."""
SECOND_READING, FEWEST_READ_AGAIN = 0.25, 8
"""The share of the candidates that is read a second time, and how many are in any case."""


class Draft:
    """``rows``: those to be written next. Several candidates go through three stages: what stands before the first
    choice is read once for all of them; they are written, each by a plan of ``options`` that its seed picks; and
    ``second_reading`` of them, the best so far, have each line read once more by itself, to see what it owes to what
    stands before it.
    """

    def __init__(
        self,
        request: PoemRequest,
        outline: Outline,
        options: Sequence[Plan],
        seeds: Sequence[int],
        ranker: Ranker,
        script: Script,
        second_reading: float = SECOND_READING,
    ) -> None:
        self.request = request
        self.outline = outline
        self.rows: list[Row] = []
        self.candidates: list[Row] = []
        self.characters = 0
        """How many were fed to the model, in the stages that are over."""
        self._options = options
        self._seeds = seeds
        self._ranker = ranker
        self._script = script
        self._theme = script.simplify(outline.theme)
        self.read_again = False
        """Whether ``rows`` are the lines of the second reading."""
        self._second_reading = second_reading
        self._chosen: Row | None = None
        self._stages = self._written() if len(seeds) == 1 else self._chosen_from_several()
        self.go_on()

    @property
    def written(self) -> bool:
        """Whether all of ``rows`` are finished."""
        return all(row.done for row in self.rows)

    def go_on(self) -> bool:
        """Turn to the next stage; False: there is none, the poem is there."""
        self.characters += sum(row.fed for row in self.rows)
        rows = next(self._stages, [])
        self.rows = rows or self.rows
        return bool(rows)

    def _written(self) -> Iterator[list[Row]]:
        self.candidates = [Row(self._plan(seed), seed, judged=False) for seed in self._seeds]
        yield self.candidates
        self._chosen = self.candidates[0]

    def _chosen_from_several(self) -> Iterator[list[Row]]:
        opening = opening_of(self._options)
        if opening is None:
            self.candidates = [Row(self._plan(seed), seed) for seed in self._seeds]
        else:
            read = Row(opening, 0, judged=False)
            yield [read]
            self.candidates = [read.branch(self._plan(seed), seed) for seed in self._seeds]
        yield self.candidates
        best = self._best(self.candidates)
        alone = {row: [Row(line, 0) for line in _lines_alone(row)] for row in best}
        self.read_again = True
        yield [line for lines in alone.values() for line in lines]
        self._chosen = max(best, key=lambda row: self._score(row, alone[row]))

    def _plan(self, seed: int) -> Plan:
        return self._options[other_seed(seed, 0) % len(self._options)]

    def _best(self, rows: list[Row]) -> list[Row]:
        """Those that have a second reading, in the order that they came in."""
        count = max(FEWEST_READ_AGAIN, math.ceil(self._second_reading * len(rows)))
        if count >= len(rows):
            return rows
        ranked = sorted(range(len(rows)), key=lambda i: -self._score(rows[i]))
        return [rows[i] for i in sorted(ranked[:count])]

    def _score(self, row: Row, alone: Sequence[Row] | None = None) -> float:
        """``alone``: its lines by themselves; None before the second reading."""
        given = _mean([row])
        owed = given - _mean(alone) if alone is not None else 0.0
        return self._ranker.score(clauses(row.text), self.outline.form, given, given - owed, self._theme)

    def poem(self, model: str) -> Poem:
        """The best candidate, in the script of the request and with its text as it was typed; after the last stage."""
        row = self._chosen or self.candidates[0]
        traditional = self._script.is_traditional("".join((*self.outline.given, self.outline.theme)))
        text = _as_written(row.text, self._script.traditional(row.text) if traditional else row.text, self.outline)
        return Poem(
            mode=self.request.mode,
            text=_couplets(text),
            lines=tuple(clauses(text)),
            form=self.outline.form,
            seed=row.seed,
            candidates=len(self.candidates),
            model=model,
            rhyme=row.rhyme,
            template=row.plan.template,
            mood=self.request.mood,
        )


def seeds_of(seed: int, count: int) -> list[int]:
    """The seeds of ``count`` candidates, ``seed`` itself the first."""
    return [seed, *(other_seed(seed, i) for i in range(1, count))]


def other_seed(seed: int, number: int) -> int:
    """A seed for candidate ``number`` that has nothing to do with the seeds next to ``seed``."""
    return int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:4]) % SEEDS


def _mean(rows: Sequence[Row]) -> float:
    """Log-likelihood a chosen character."""
    return sum(row.log_likelihood for row in rows) / max(1, sum(row.chosen for row in rows))


def _lines_alone(row: Row) -> list[Plan]:
    """A plan for each line in which ``row`` chose: that line after nothing but the start, what was chosen scored."""
    shown = [cell for cell in row.plan.cells if cell.shown]
    lines: list[list[Cell]] = [[]]
    for place, character in enumerate(row.text):
        forced = shown[min(place, len(shown) - 1)].forced
        lines[-1].append(Cell(character, scored=not forced))
        if character in CLAUSE_MARKS:
            lines.append([])
    return [Plan(tuple(cells), row.plan.form) for cells in lines if any(cell.scored for cell in cells)]


def _as_written(plain: str, text: str, shape: Outline) -> str:
    """Put the given characters back exactly as they were typed, line by line.

    ``text`` is ``plain`` in the script of the answer; a character that is doubled is spelled alike both times.
    """
    given = iter(shape.given)
    written: list[str] = []
    begins, rest = True, ""
    for i, character in enumerate(text):
        if begins:
            rest = next(given, "")
        begins = character in CLAUSE_MARKS
        if rest and not begins:
            written.append(rest[0])
            rest = rest[1:]
        else:
            written.append(written[-1] if i and plain[i] == plain[i - 1] else character)
    return "".join(written)


def _couplets(text: str) -> str:
    """A row ends where a sentence does."""
    rows = "".join(character + "\n" if character in CLOSING_MARKS else character for character in text)
    return rows.strip("\n")
