"""What the training loop reports. Imports nothing heavy."""

from __future__ import annotations

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
