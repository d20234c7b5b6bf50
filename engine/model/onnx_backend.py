"""Decoding on a CPU with ONNX Runtime in int8, without Paddle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

# Before the import: ONNX Runtime sends usage data home and keeps a device id in the home folder unless this is set by
# then; its disable_telemetry_events() comes too late. Nothing else in the project imports it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

from engine.model.backend import Ids, log_softmax
from engine.model.checkpoint import Checkpoint, FloatArray
from engine.model.cpu import available_cores
from engine.model.decoder_graph import decoder_graph
from engine.model.folder import ModelFolderError
from engine.model.onnx_reader import read_graph

DECODER = "decoder.onnx"
SINGLE_THREAD_ROWS = 2
"""Up to this many rows one thread is faster than waking others."""


class OnnxBackend:
    """``engine.model.backend.Backend`` over the CPU decoder of a model folder (see ``train.export.onnx_decoder``)."""

    def __init__(self, decoder: bytes, checkpoint: Checkpoint, threads: int | None = None) -> None:
        """``threads`` None: all available cores.

        ModelFolderError: ``decoder`` is not an ONNX graph, or that of another model.
        """
        threads = threads or available_cores()
        self._normalised = _is_normalised(decoder, checkpoint)
        try:
            self._alone = _session(decoder, 1)
            self._together = self._alone if threads == 1 else _session(decoder, threads)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise ModelFolderError(f"{DECODER} cannot be loaded: {error}") from error
        self.shape = checkpoint.shape
        self.vocabulary_size = len(checkpoint.vocabulary)
        self._state = (2 * self.shape.num_layers, self.shape.hidden_dim)
        signature = {part.name: part.shape[1:] for part in [*self._alone.get_inputs(), *self._alone.get_outputs()]}
        state = list(self._state)
        expected = {"ids": [], "state": state, "wanted": [], "scores": [self.vocabulary_size], "next_state": state}
        if signature != expected:
            raise ModelFolderError(f"{DECODER} is not a decoder of this model: it takes and gives {signature}")
        self._only_needed = onnxruntime.RunOptions()
        self._only_needed.only_execute_path_to_fetches = True

    def start(self, rows: int) -> FloatArray:
        """Zeros [rows, 2 * layers, H]."""
        return np.zeros((rows, *self._state), np.float32)

    def step(self, ids: Ids, state: FloatArray, wanted: Ids | None = None) -> tuple[FloatArray, FloatArray]:
        """ids [rows], state [rows, 2 * layers, H] -> log-probabilities [wanted, V], the next state."""
        wanted = np.arange(len(ids)) if wanted is None else wanted
        session = self._alone if len(ids) <= SINGLE_THREAD_ROWS else self._together
        feed = {"ids": ids, "state": state, "wanted": wanted}
        if not len(wanted):
            (after,) = session.run(["next_state"], feed, self._only_needed)
            return np.zeros((0, self.vocabulary_size), np.float32), after
        after, scores = session.run(["next_state", "scores"], feed, self._only_needed)
        return scores if self._normalised else log_softmax(scores), after


def _is_normalised(decoder: bytes, checkpoint: Checkpoint) -> bool:
    """Whether the graph, which must be a decoder of this model, gives log-probabilities.

    This is checked before the runtime reads it: a graph can name files of this machine, and run more than one step of
    an LSTM. ModelFolderError: it is another graph.
    """
    try:
        nodes, constants = read_graph(decoder)
    except ValueError as error:
        raise ModelFolderError(f"{DECODER} cannot be loaded: {error}") from error
    wanted = decoder_graph(checkpoint)
    normalised = nodes == wanted.nodes
    known = normalised or nodes == decoder_graph(checkpoint, normalised=False).nodes
    if not known or _sizes(constants) != _sizes(wanted.constants):
        raise ModelFolderError(f"{DECODER} is not a decoder of this model: its operators or constants differ")
    return normalised


def _sizes(constants: Mapping[str, npt.NDArray[Any]]) -> dict[str, object]:
    return {name: (value.shape, value.dtype) for name, value in constants.items()}


def _session(decoder: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads would take CPU time from other workers on the host.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(decoder, options, providers=["CPUExecutionProvider"])
