"""What the training loop reports, and how it is told to stop. Imports nothing heavy."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Event = Literal["step", "validation", "sample", "checkpoint"]


class TrainingError(Exception):
    """Training cannot continue; the message says what to change. The last checkpoint is intact."""


@dataclass(frozen=True)
class Progress:
    """A report, made after every step and at each event."""

    event: Event
    step: int
    epoch: float
    tokens: int
    part: float  # of the whole run, 0 to 1
    loss: float  # nats per token, moving average
    tokens_per_second: float
    seconds_left: float
    validation: float | None  # the last perplexity on the validation poems
    sample: str = ""


def throttled(report: Callable[[Progress], None], seconds: float) -> Callable[[Progress], None]:
    """``report`` without the steps and samples that follow the last report within ``seconds``."""
    last = -math.inf

    def report_unless_recent(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if progress.event not in ("step", "sample") or now - last >= seconds:
            last = now
            report(progress)

    return report_unless_recent


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turns SIGTERM and Ctrl-C into a flag that the training loop polls, so that it ends with a checkpoint."""
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
