"""One request on its way to a poem: its candidates, their second reading, the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from engine.contract import Poem, PoemRequest
from engine.contract.outline import Outline
from engine.contract.script import Script
from engine.contract.text import CLAUSE_MARKS, CLOSING_MARKS, clauses
from engine.generation.plan import Cell, Plan
from engine.generation.ranker import Ranker
from engine.generation.sequence import Row

SEEDS = 2**31
"""Seeds are drawn below this; a request may name any."""


class Draft:
    """``rows``: those to be written next. First the candidates, each by a plan of ``options`` that its seed picks;
    then, if they are several, each of their lines once more by itself, to see what it owes to what stands before it.
    """

    def __init__(self, request: PoemRequest, outline: Outline, options: Sequence[Plan], seed: int, count: int) -> None:
        self.request = request
        self.outline = outline
        seeds = [seed, *(_other_seed(seed, i) for i in range(1, count))]
        self.candidates = [Row(options[_other_seed(s, 0) % len(options)], s, judged=count > 1) for s in seeds]
        self.rows = self.candidates
        self._alone: list[list[Row]] = []

    @property
    def written(self) -> bool:
        """Whether all of ``rows`` are finished."""
        return all(row.done for row in self.rows)

    @property
    def characters(self) -> int:
        """How many were fed to the model so far, over all candidates and readings."""
        return sum(row.fed for rows in (self.candidates, *self._alone) for row in rows)

    def read_again(self) -> bool:
        """Turn to the second reading; False where there is none to come."""
        if self._alone or len(self.candidates) == 1:
            return False
        self._alone = [[Row(line, 0) for line in _lines_alone(row)] for row in self.candidates]
        self.rows = [line for lines in self._alone for line in lines]
        return bool(self.rows)

    def poem(self, ranker: Ranker, script: Script, model: str) -> Poem:
        """The best candidate, in the script of the request and with its text as it was typed."""
        row = (
            self.candidates[0] if len(self.candidates) == 1 else self._best(ranker, script.simplify(self.outline.theme))
        )
        traditional = script.is_traditional("".join((*self.outline.given, self.outline.theme)))
        text = _as_written(script.traditional(row.text) if traditional else row.text, self.outline)
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

    def _best(self, ranker: Ranker, theme: str) -> Row:
        scores = [
            ranker.score(clauses(row.text), self.outline.form, _mean([row]), _mean(alone), theme)
            for row, alone in zip(self.candidates, self._alone, strict=True)
        ]
        return self.candidates[int(np.argmax(scores))]


def _other_seed(seed: int, number: int) -> int:
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


def _as_written(text: str, shape: Outline) -> str:
    """Put the given characters back exactly as they were typed, line by line."""
    given = iter(shape.given)
    written, begins = [], True
    rest = ""
    for character in text:
        if begins:
            rest = next(given, "")
        begins = character in CLAUSE_MARKS
        written.append(rest[0] if rest and not begins else character)
        rest = rest[1:] if not begins else ""
    return "".join(written)


def _couplets(text: str) -> str:
    """A row ends where a sentence does."""
    rows = "".join(character + "\n" if character in CLOSING_MARKS else character for character in text)
    return rows.strip("\n")
