"""What the training loop says to whoever watches it. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Event = Literal["step", "validation", "sample", "checkpoint"]


class TrainingError(Exception):
    """Training cannot go on; the message says what to change. The last checkpoint stands."""


@dataclass(frozen=True)
class Progress:
    """What a watcher is told, after every step and at each event."""

    event: Event
    step: int
    epoch: float
    tokens: int
    part: float  # of the whole run, 0 to 1
    loss: float  # nats a token, a moving mean
    tokens_per_second: float
    seconds_left: float
    validation: float | None  # the last perplexity on the validation poems
    sample: str = ""
