"""Decides how many candidates there is time for."""

from __future__ import annotations

from collections.abc import Sequence

from engine.generation.plan import Plan

STEP_DECAY = 0.99
"""Weight of all earlier measurements relative to the newest step."""
ASSUMED_SECONDS = 1e-4
"""Per character of a candidate, before anything was measured: two current cores with 64 sequences."""
EXPECTED_FREE_CHARACTERS = 60
"""Assumed length of a poem whose end the model decides; most are shorter."""


class Budget:
    """``seconds``: time limit for writing a poem, None: no limit; ``most``: maximum number of candidates."""

    def __init__(self, most: int, seconds: float | None = None) -> None:
        self._most = most
        self._seconds = seconds
        self._spent = ASSUMED_SECONDS
        self._characters = 1.0

    def record(self, seconds: float, characters: int) -> None:
        """Record a step: the characters it fed to the model, and the seconds it took."""
        self._spent = STEP_DECAY * self._spent + seconds
        self._characters = STEP_DECAY * self._characters + characters

    def candidates(self, options: Sequence[Plan], in_flight: int) -> int:
        """For a poem with one of these plans, while ``in_flight`` others are being written.

        The time per poem falls with the cube of their number, so that a burst of any size takes together less than
        twice the time of one poem, and few poems are in flight under steady load.
        """
        if self._seconds is None:
            return self._most
        seconds = _characters(options) * self._spent / self._characters
        return max(1, min(self._most, int(self._seconds / (1 + in_flight) ** 3 / seconds)))


def _characters(options: Sequence[Plan]) -> int:
    """Characters to feed per candidate: those after the opening."""
    plan = options[0]
    free = min(EXPECTED_FREE_CHARACTERS, plan.limit) if plan.cells[-1].free else 0
    return max(1, plan.cells_to_read - plan.opening - plan.branches + free)
