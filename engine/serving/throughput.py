"""Measures how fast a worker writes."""

from __future__ import annotations

import time

POEM_DECAY = 0.98
"""Weight of all earlier measurements relative to the newest poem."""


class Throughput:
    """Moving average of busy seconds per poem; idle time is not counted."""

    def __init__(self) -> None:
        self._since = 0.0
        self._busy = 0.0
        self._poems = 0.0

    def begin(self, *, idle: bool) -> None:
        """A poem is started. ``idle``: no other poem is in flight."""
        if idle:
            self._since = time.monotonic()

    def end(self) -> None:
        """A poem is finished."""
        now = time.monotonic()
        self._busy = POEM_DECAY * self._busy + now - self._since
        self._poems = POEM_DECAY * self._poems + 1
        self._since = now

    @property
    def seconds(self) -> float | None:
        """Seconds per poem; None: nothing has been written yet."""
        return self._busy / self._poems if self._poems else None
