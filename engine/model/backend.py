"""The interface between decoding and the neural network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.model.checkpoint import FloatArray

Ids = npt.NDArray[np.int64]


class Backend(Protocol):
    """Feed these ids from this state; get the log-probabilities of the next id and the next state.

    Rows may change between steps: the caller selects and concatenates states along axis 0. A row's results depend only
    on its own ids and state, bit for bit, not on the other rows or their number.
    """

    @property
    def vocabulary_size(self) -> int:
        """V: the number of ids, including specials."""

    def start(self, rows: int) -> FloatArray:
        """The state before the first id: zeros [rows, 2 * layers, hidden]; h, then c, for each layer."""

    def step(self, ids: Ids, state: FloatArray, wanted: Ids | None = None) -> tuple[FloatArray, FloatArray]:
        """Feed ``ids`` [rows] from ``state``; return log-probabilities (natural logarithm) and the next state.

        Log-probabilities [wanted, V] are computed only for the rows with the indices ``wanted`` (None: all rows), since
        rows whose next id is fixed do not need the output layer.
        """


def log_softmax(scores: FloatArray) -> FloatArray:
    """Unnormalised scores [rows, V] -> log-probabilities [rows, V]."""
    below = scores - scores.max(axis=1, keepdims=True)
    log_probabilities: FloatArray = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    return log_probabilities
