"""How many candidates there is time for."""

from __future__ import annotations

from collections.abc import Sequence

from engine.generation.plan import Plan

DECAY = 0.99
"""How much of what was measured before counts beside the newest step."""
ASSUMED_SECONDS = 1e-4
"""A character of a candidate, before anything was measured: two cores of today with 64 rows."""
EXPECTED_FREE = 60
"""Characters of a poem whose end the model decides, for the most part fewer."""


class Budget:
    """``seconds``: what writing a poem may take, None: whatever it takes; ``most``: candidates where there is time."""

    def __init__(self, most: int, seconds: float | None = None) -> None:
        self._most = most
        self._seconds = seconds
        self._spent = ASSUMED_SECONDS
        self._characters = 1.0

    def spent(self, seconds: float, characters: int) -> None:
        """A step fed so many characters, all candidates together."""
        self._spent = DECAY * self._spent + seconds
        self._characters = DECAY * self._characters + characters

    def candidates(self, options: Sequence[Plan], in_flight: int) -> int:
        """For a poem with one of these plans, while ``in_flight`` others are being written.

        By the square of how many there are: each has its part of the time, and so long a burst of any size has
        together less than twice the time of one; under steady load the poems in hand stay few.
        """
        if self._seconds is None:
            return self._most
        seconds = _characters(options) * self._spent / self._characters
        return max(1, min(self._most, int(self._seconds / (1 + in_flight) ** 2 / seconds)))


def _characters(options: Sequence[Plan]) -> int:
    """To be fed for a candidate: from the end of the opening on, and a quarter more for the second reading."""
    plan = options[0]
    free = min(EXPECTED_FREE, plan.limit) if plan.cells[-1].free else 0
    return max(1, (plan.asking - plan.opening - plan.branches + free) * 5 // 4)
