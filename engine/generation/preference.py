"""What readers prefer: a linear model of the marks that they gave to poems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from engine.contract.codec import loads_object
from engine.model.checkpoint import FloatArray


@dataclass(frozen=True)
class Features:
    """What a candidate's score is computed from. Likelihoods are natural logarithms, means per character.

    ``fluency``: of all characters that the model chose; ``rhyme``: of the rhyme words among them, minus ``fluency``, 0
    if there are none; ``last_line``: of those in the last line, minus ``fluency``. ``association``: how strongly the
    characters of each line are associated in the training corpus with those of the lines above, the mean over lines, in
    nats; ``opening_association``: with those of the first line. ``subject``: how close the subject of each line is to
    that of the first, the mean cosine over lines. ``attested_endings``: the share of the lines in which something was
    chosen that end as lines of the corpus do; ``attested_last_ending``: whether the last one does.
    """

    fluency: float = 0.0
    rhyme: float = 0.0
    last_line: float = 0.0
    association: float = 0.0
    opening_association: float = 0.0
    subject: float = 0.0
    attested_endings: float = 0.0
    attested_last_ending: float = 0.0

    def vector(self) -> FloatArray:
        """[8], in the order of ``NAMES``."""
        return np.array([getattr(self, name) for name in NAMES], np.float32)


NAMES = tuple(part.name for part in fields(Features))


@dataclass(frozen=True)
class Preference:
    """A linear model of readers' marks; only differences of its scores mean anything.

    ``weights``: of the ``Features``, zero where none is given; ``states`` [2, hidden]: weights of the mean state of
    the model's top layer while it read the poem, and while it read the last line; empty if states do not count.
    """

    weights: Mapping[str, float]
    states: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def score(self, features: Features, mean_states: FloatArray) -> float:
        """``mean_states`` [2, hidden]."""
        score = sum(weight * float(getattr(features, name)) for name, weight in self.weights.items())
        return score + float((self.states * mean_states).sum()) if self.states.size else score

    @classmethod
    def from_bytes(cls, content: bytes, hidden: int) -> Preference:
        """Read what ``to_bytes`` gave for a model of that size. ValueError: it is something else."""
        parts = loads_object(content)
        weights = {name: float(weight) for name, weight in parts["weights"].items()}
        if unknown := sorted(set(weights) - set(NAMES)):
            raise ValueError(f"{unknown[0]} is not a feature")
        states = np.array(parts["states"], np.float32)
        if states.size and states.shape != (2, hidden):
            raise ValueError(f"'states' are not twice {hidden} numbers")
        if not np.isfinite([*weights.values(), *states.flat]).all():
            raise ValueError("a weight is not a finite number")
        return cls(weights, states)

    def to_bytes(self) -> bytes:
        weights = {name: round(weight, 6) for name, weight in self.weights.items()}
        states = [[round(weight, 6) for weight in row] for row in self.states.tolist()]
        return json.dumps({"weights": weights, "states": states}).encode()


BY_HAND = Preference({"fluency": 1.0, "association": 1.5, "opening_association": 1.5})
"""For models without a learned preference. Readers preferred these weights in duels, then beside a further term."""
