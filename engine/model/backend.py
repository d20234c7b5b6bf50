"""The interface between decoding and the neural network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.model.checkpoint import FloatArray

Ids = npt.NDArray[np.int64]


class Backend(Protocol):
    """Feed these ids from this state; get the log-probabilities of the next id and the next state.

    Rows may change between steps: the caller cuts and joins states along axis 0. What a row gets depends on
    its own ids and state alone, never on the rows beside it or on how many there are, to the bit.
    """

    @property
    def vocabulary_size(self) -> int:
        """V: the number of ids, including specials."""

    def start(self, rows: int) -> FloatArray:
        """The state before the first id: zeros [rows, 2 * layers, hidden]; h, then c, for each layer."""

    def step(self, ids: Ids, state: FloatArray, wanted: Ids | None = None) -> tuple[FloatArray, FloatArray]:
        """Feed ``ids`` [rows] from ``state``; return log-probabilities (natural logarithm) and the next state.

        Log-probabilities [wanted, V] are computed for the rows that ``wanted`` names, for all where it is None: where
        the next id is fixed anyway, the output layer is saved.
        """


def log_softmax(scores: FloatArray) -> FloatArray:
    """Unnormalised scores [rows, V] -> log-probabilities [rows, V]."""
    below = scores - scores.max(axis=1, keepdims=True)
    log_probabilities: FloatArray = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    return log_probabilities
