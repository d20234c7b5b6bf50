"""One poem in the making: where its plan stands, what is written, what may not come again."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass

from engine.contract.text import CLAUSE_MARKS
from engine.generation.plan import Plan
from engine.model.checkpoint import FloatArray
from engine.model.vocab import EOP, START


@dataclass(frozen=True)
class Reading:
    """The model after a text: its ``state`` [2 * layers, hidden], and ``log_probabilities`` [V] of the next id."""

    state: FloatArray
    log_probabilities: FloatArray


class TokenSequence:
    """Follows a plan character by character.

    ``text``: what is shown so far, marks included; ``last``: what the model reads next; ``cell``: what is filled
    next. ``log_likelihood``: the sum, in nats, of the model's own log-probabilities (no mask, no temperature) of the
    ``chosen`` characters. ``draws`` alone decides what is drawn, by default ``seed``. ``fed``: characters that the
    model has read for it. ``reading``: what it begins with, START's where it is None; where it stopped at a branch,
    what others go on from. ``later``: what is drawn by after each branch, of a row that goes on by itself and does
    not stop there.
    """

    def __init__(self, plan: Plan, seed: int, draws: int | None = None, later: Iterable[int] = ()) -> None:
        self.plan = plan
        self.seed = seed
        self.draws = seed if draws is None else draws
        self.text = ""
        self.last = START
        self.line = ""
        self.earlier: list[str] = []
        self.rhyme = plan.rhyme
        self.log_likelihood = 0.0
        self.chosen = 0
        self.fed = 0
        self.done = False
        self._later = iter(later)
        self.reading: Reading | None = None
        self._at = 0
        self.cell = plan.cells[0]
        self._taken = set(plan.forced)
        self._close()

    def branch(self, plan: Plan, seed: int, draws: int | None = None) -> TokenSequence:
        """Another that goes on from the branch where this one stopped, by a ``plan`` that is the same up to there."""
        other = copy(self)
        other.plan, other.seed = plan, seed
        other.draws = seed if draws is None else draws
        other.rhyme = self.rhyme if plan is self.plan else plan.rhyme
        other.earlier = list(self.earlier)
        other._taken = {*plan.forced, *self.text}
        other._at += 1
        other.cell = plan.cells[other._at]
        other.fed, other.done = 0, False
        return other

    @property
    def stopped(self) -> bool:
        """Whether it stands at a branch and others may go on from it."""
        return self.done and self.cell.branch

    @property
    def ends_line(self) -> bool:
        """Whether the cell to fill is the last of its line."""
        return self.plan.ends[self._at]

    def banned(self) -> set[str]:
        """Characters that must not come next: in a planned poem none comes twice, in a free one no line does."""
        if self.cell.free:
            return {line[-1] for line in self.earlier if line[:-1] == self.line}
        return self._taken

    def doubling(self) -> str:
        """The character that may come again at once, doubled within a word (青青), which begins at an odd place."""
        within = len(self.line) % 2 == 1 and self.text[-2:-1] != self.text[-1:]
        return self.line[-1] if within and not self.cell.free else ""

    def take(self, character: str, log_probability: float | None = None) -> None:
        """Fill the cell with ``character``; a probability where the model's word for it counts."""
        cell = self.cell
        if log_probability is not None:
            self.log_likelihood += log_probability
            self.chosen += 1
        self.last = character
        if character == EOP:
            self.done = True
            return
        if cell.shown:
            self._show(character)
        if not cell.free:
            self._at += 1
            self._close()
        elif self.chosen >= self.plan.limit:
            self.done = True

    def stop(self, reading: Reading) -> None:
        """Keep what the model says at a branch."""
        self.reading, self.done = reading, True

    def _close(self) -> None:
        """Where the model is asked no more, the rest of the plan is written at once."""
        if self._at >= self.plan.asking:
            for cell in self.plan.cells[self._at :]:
                if cell.shown:
                    self._show(cell.forced)
            self.done = True
        else:
            self.cell = self.plan.cells[self._at]
            if self.cell.branch and (draws := next(self._later, None)) is not None:
                self.draws = draws
                self._at += 1
                self.cell = self.plan.cells[self._at]

    def _show(self, character: str) -> None:
        self.text += character
        if character in CLAUSE_MARKS:
            self.earlier.append(self.line)
            self.line = ""
        else:
            self.line += character
            self._taken.add(character)
