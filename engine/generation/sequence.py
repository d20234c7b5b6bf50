"""One poem being written: its position in the plan, its text so far, and which characters may not come next."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

from engine.contract.text import CLAUSE_MARKS
from engine.generation.plan import Plan
from engine.model.checkpoint import FloatArray
from engine.model.vocab import EOP, START


@dataclass(frozen=True)
class Reading:
    """The model after a text: its ``state`` [2 * layers, hidden], and ``log_probabilities`` [V] of the next id."""

    state: FloatArray
    log_probabilities: FloatArray


class Avoided(NamedTuple):
    """Characters that must not be chosen: in the ``first`` line in which any are, and in the ``later`` lines."""

    first: str = ""
    later: str = ""


NOTHING_AVOIDED = Avoided()


class TokenSequence:
    """Follows a plan character by character.

    ``text``: the poem so far, including marks; ``last``: what the model reads next; ``cell``: the next cell to fill.
    ``log_likelihood``: the sum, in nats, of the model's log-probabilities (without mask and temperature) of the
    ``chosen`` characters. ``draws``: seed of the random draws, by default ``seed``. ``fed``: characters that the model
    has read for it. ``reading``: what it starts from, by default the reading of START; after stopping at a branch, what
    others continue from. ``later``: seeds of the draws after each branch, for a sequence that does not stop there.
    ``avoided``: characters that must not be chosen.
    """

    def __init__(
        self,
        plan: Plan,
        seed: int,
        draws: int | None = None,
        later: Iterable[int] = (),
        avoided: Avoided = NOTHING_AVOIDED,
    ) -> None:
        self.plan = plan
        self.seed = seed
        self.draw_seed = seed if draws is None else draws
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
        self._avoided = avoided
        self._first_line = 0
        self.reading: Reading | None = None
        self._position = 0
        self.cell = plan.cells[0]
        self._advance()

    def branch(self, plan: Plan, seed: int, draws: int | None = None) -> TokenSequence:
        """A sequence that continues from the branch where this one stopped; ``plan`` must be the same up to there."""
        other = copy(self)
        other.plan, other.seed = plan, seed
        other.draw_seed = seed if draws is None else draws
        other.rhyme = self.rhyme if plan is self.plan else plan.rhyme
        other.earlier = list(self.earlier)
        other._position += 1
        other.cell = plan.cells[other._position]
        other.fed, other.done = 0, False
        return other

    @property
    def stopped(self) -> bool:
        """Whether it stopped at a branch, from which others may continue."""
        return self.done and self.cell.branch

    @property
    def ends_line(self) -> bool:
        """Whether the cell to fill is the last of its line."""
        return self.plan.ends[self._position]

    def banned(self) -> str:
        """Characters that must not come next: planned poems repeat no character, free poems repeat no line."""
        if self.cell.free:
            return "".join(line[-1] for line in self.earlier if line[:-1] == self.line)
        begins = not self.chosen or self._first_line == len(self.earlier)
        return self.plan.forced + self.text + (self._avoided.first if begins else self._avoided.later)

    def doubling(self) -> str:
        """The character that may be repeated immediately, doubled within a word (青青) at positions 1–2, 3–4 …"""
        within = len(self.line) % 2 == 1 and self.text[-2:-1] != self.text[-1:]
        return self.line[-1] if within and not self.cell.free else ""

    def take(self, character: str, log_probability: float | None = None) -> None:
        """Fill the cell with ``character``; ``log_probability``: if its likelihood counts."""
        cell = self.cell
        if log_probability is not None:
            if not self.chosen:
                self._first_line = len(self.earlier)
            self.log_likelihood += log_probability
            self.chosen += 1
        self.last = character
        if character == EOP:
            self.done = True
            return
        if cell.shown:
            self._show(character)
        if not cell.free:
            self._position += 1
            self._advance()
        elif self.chosen >= self.plan.limit:
            self.done = True

    def stop(self, reading: Reading) -> None:
        """Stop at a branch and keep the model's state and scores."""
        self.reading, self.done = reading, True

    def _advance(self) -> None:
        """Move to the current cell; if no more scores are needed, write the rest of the plan at once."""
        if self._position >= self.plan.cells_to_read:
            for cell in self.plan.cells[self._position :]:
                if cell.shown:
                    self._show(cell.forced)
            self.done = True
        else:
            self.cell = self.plan.cells[self._position]
            if self.cell.branch and (draws := next(self._later, None)) is not None:
                self.draw_seed = draws
                self._position += 1
                self.cell = self.plan.cells[self._position]

    def _show(self, character: str) -> None:
        self.text += character
        if character in CLAUSE_MARKS:
            self.earlier.append(self.line)
            self.line = ""
        else:
            self.line += character
