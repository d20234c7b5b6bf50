"""One poem being written: its position in the plan, its text so far, and which characters may not come next."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.contract.text import CLAUSE_MARKS
from engine.generation.plan import Plan
from engine.model.checkpoint import FloatArray
from engine.model.vocab import EOP, START


@dataclass(frozen=True)
class Reading:
    """The model after a text: its ``state`` [2 * layers, hidden], and ``log_probabilities`` [V] of the next id."""

    state: FloatArray
    log_probabilities: FloatArray


class StateSum(NamedTuple):
    """The sum ``total`` [hidden] of the model's ``states`` after so many characters."""

    total: FloatArray
    states: int


class Avoided(NamedTuple):
    """Characters that must not be chosen: in the ``first`` line in which any are, and in the ``later`` lines."""

    first: str = ""
    later: str = ""


NOTHING_AVOIDED = Avoided()


class TokenSequence:
    """Follows a plan character by character.

    ``text``: the poem so far, including marks; ``last``: what the model reads next; ``cell``: the next cell to fill.
    ``likelihoods``: by line, the model's log-probabilities (in nats, without mask and temperature) of the ``chosen``
    characters; ``rhyme_likelihoods``: those of the rhyme words among them. ``draw_seed``: that of the random draws, by
    default ``seed``. ``fed``: characters that the model has read for it. ``reading``: what it starts from, by default
    the reading of START; after stopping at a branch, what others continue from. ``later``: seeds of the draws after
    each branch, for a sequence that does not stop there.
    ``avoided``: characters that must not be chosen.
    """

    def __init__(
        self,
        plan: Plan,
        seed: int,
        draw_seed: int | None = None,
        later: Iterable[int] = (),
        avoided: Avoided = NOTHING_AVOIDED,
    ) -> None:
        self.plan = plan
        self.seed = seed
        self.draw_seed = seed if draw_seed is None else draw_seed
        self.text = ""
        self.last = START
        self.line = ""
        self.earlier: list[str] = []
        self.rhyme = plan.rhyme
        self.likelihoods: dict[int, list[float]] = {}
        self.rhyme_likelihoods: list[float] = []
        self.chosen = 0
        self._state_sums: dict[int, StateSum] = {}
        self._line_of_last = 0
        self.fed = 0
        self.done = False
        self._later = iter(later)
        self._avoided = avoided
        self.reading: Reading | None = None
        self._position = 0
        self.cell = plan.cells[0]
        self._advance()

    def branch(self, plan: Plan, seed: int, draw_seed: int | None = None) -> TokenSequence:
        """A sequence that continues from the branch where this one stopped; ``plan`` must be the same up to there."""
        other = copy(self)
        other.plan, other.seed = plan, seed
        other.draw_seed = seed if draw_seed is None else draw_seed
        other.rhyme = self.rhyme if plan is self.plan else plan.rhyme
        other.earlier = list(self.earlier)
        other.likelihoods = {line: list(own) for line, own in self.likelihoods.items()}
        other.rhyme_likelihoods = list(self.rhyme_likelihoods)
        other._state_sums = dict(self._state_sums)
        other._position += 1
        other.cell = plan.cells[other._position]
        other.fed, other.done = 0, False
        return other

    @property
    def lines(self) -> list[str]:
        """The lines so far, without marks."""
        return [*self.earlier, self.line] if self.line else self.earlier

    @property
    def mean_states(self) -> FloatArray:
        """[2, hidden]: the mean of the top layer's states after all characters read since the first choice, and after
        those of the last line. Zeros if nothing was chosen or read."""
        sums = list(self._state_sums.values())
        if not sums:
            return np.zeros((2, 1), np.float32)
        total, last = sum(line.total for line in sums), sums[-1]
        return np.stack([total / sum(line.states for line in sums), last.total / last.states])

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
        begins = not self.chosen or min(self.likelihoods) == len(self.earlier)
        return self.plan.forced + self.text + (self._avoided.first if begins else self._avoided.later)

    def doubling(self) -> str:
        """The character that may be repeated immediately, doubled within a word (青青) at positions 1–2, 3–4 …"""
        within = len(self.line) % 2 == 1 and self.text[-2:-1] != self.text[-1:]
        return self.line[-1] if within and not self.cell.free else ""

    def take(self, character: str, log_probability: float | None = None) -> None:
        """Fill the cell with ``character``; ``log_probability``: if its likelihood counts."""
        cell = self.cell
        self._line_of_last = len(self.earlier)
        if log_probability is not None:
            self.chosen += 1
            self.likelihoods.setdefault(len(self.earlier), []).append(log_probability)
            if cell.rhymes:
                self.rhyme_likelihoods.append(log_probability)
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

    def was_read(self, state: FloatArray) -> None:
        """Note that the model has read ``last``; ``state`` [hidden]: its top layer's state afterwards."""
        self.fed += 1
        if self.chosen:
            total, states = self._state_sums.get(self._line_of_last, (0.0, 0))
            self._state_sums[self._line_of_last] = StateSum(total + state, states + 1)

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
            if self.cell.branch and (draw_seed := next(self._later, None)) is not None:
                self.draw_seed = draw_seed
                self._position += 1
                self.cell = self.plan.cells[self._position]

    def _show(self, character: str) -> None:
        self.text += character
        if character in CLAUSE_MARKS:
            self.earlier.append(self.line)
            self.line = ""
        else:
            self.line += character
