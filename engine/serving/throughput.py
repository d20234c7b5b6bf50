"""How fast a worker writes."""

from __future__ import annotations

import time

DECAY = 0.98
"""How much of what was measured before counts beside the newest poem."""


class Throughput:
    """Seconds of work a poem, over the poems of late. Time with empty hands does not count."""

    def __init__(self) -> None:
        self._since = 0.0
        self._busy = 0.0
        self._poems = 0.0

    def begin(self, *, idle: bool) -> None:
        """A poem is begun; ``idle``: with nothing else in hand."""
        if idle:
            self._since = time.monotonic()

    def end(self) -> None:
        """A poem is finished."""
        now = time.monotonic()
        self._busy = DECAY * self._busy + now - self._since
        self._poems = DECAY * self._poems + 1
        self._since = now

    @property
    def seconds(self) -> float | None:
        """None: nothing was written yet."""
        return self._busy / self._poems if self._poems else None
