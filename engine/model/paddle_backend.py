"""Decoding with Paddle, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.model.backend import Ids
from engine.model.checkpoint import Checkpoint, FloatArray
from engine.model.paddle_runtime import DeviceChoice, choose_device, import_paddle

BLOCK_ROWS = {"cpu": 16, "gpu": 64}
"""Rows per matrix product. Rounding depends on the size of a product, so all have the same: rows are padded to blocks
of this size. On CPUs 16 gave identical bits over several shapes and thread counts, where 8, 32 and 64 did not; 64 rows
then take 38 ms per step instead of 21."""


class PaddleBackend:
    """``engine.model.backend.Backend`` over a checkpoint's weights, in float32.

    The LSTM cell is written out with one product per layer, which is faster than ``paddle.nn.LSTM`` for single steps.
    """

    def __init__(self, checkpoint: Checkpoint, device: DeviceChoice = "auto", threads: int | None = None) -> None:
        self._paddle = import_paddle(threads)
        self.device = choose_device(device, self._paddle)
        self.shape = checkpoint.shape
        self.vocabulary_size = len(checkpoint.vocabulary)
        self._state_shape = (2 * self.shape.num_layers, self.shape.hidden_dim)
        self._block = BLOCK_ROWS[self.device.split(":")[0]]
        self._load_weights(checkpoint.weights)

    def start(self, rows: int) -> FloatArray:
        """Zeros [rows, 2 * layers, H]."""
        return np.zeros((rows, *self._state_shape), np.float32)

    def step(self, ids: Ids, state: FloatArray, wanted: Ids | None = None) -> tuple[FloatArray, FloatArray]:
        """ids [rows], state [rows, 2 * layers, H] -> log-probabilities [wanted, V], the next state."""
        with self._paddle.no_grad():
            after = self._blockwise(self._step_block, self._state_shape, ids, state)  # [rows, 2L, H]
            top = after[:, -2]  # [rows, H] the output of the highest layer
            scores = self._blockwise(self._score_block, (self.vocabulary_size,), top if wanted is None else top[wanted])
        return scores, after

    def _blockwise(self, block: Callable[..., FloatArray], shape: tuple[int, ...], *rows: Any) -> FloatArray:
        """Apply ``block`` to one block of rows at a time, the last padded with zeros."""
        count = len(rows[0])
        if not count:
            return np.zeros((0, *shape), np.float32)
        padded = [np.pad(part, ((0, -count % self._block), *((0, 0),) * (part.ndim - 1))) for part in rows]
        blocks = [block(*(part[i : i + self._block] for part in padded)) for i in range(0, count, self._block)]
        return np.concatenate(blocks)[:count]

    def _step_block(self, ids: Ids, state: FloatArray) -> FloatArray:
        paddle = self._paddle
        x = paddle.nn.functional.embedding(paddle.to_tensor(ids), self._embedding)  # [B, E]
        parts = paddle.unbind(paddle.to_tensor(state), axis=1)  # 2L of [B, H]
        after = []
        for layer, (weight, bias) in enumerate(self._layers):
            hidden, cell = parts[2 * layer], parts[2 * layer + 1]  # [B, H]
            gates = paddle.addmm(bias, paddle.concat([x, hidden], axis=1), weight)  # [B, 4H]
            i, f, g, o = paddle.split(gates, 4, axis=1)  # [B, H]
            sigmoid = paddle.nn.functional.sigmoid
            cell = sigmoid(f) * cell + sigmoid(i) * paddle.tanh(g)  # [B, H]
            x = sigmoid(o) * paddle.tanh(cell)  # [B, H]
            after += [x, cell]
        next_state: FloatArray = paddle.stack(after, axis=1).numpy()  # [B, 2L, H]
        return next_state

    def _score_block(self, top: FloatArray) -> FloatArray:
        paddle = self._paddle
        scores = paddle.addmm(self._output_bias, paddle.to_tensor(top), self._output)  # [B, V]
        log_probabilities: FloatArray = paddle.nn.functional.log_softmax(scores, axis=1).numpy()  # [B, V]
        return log_probabilities

    def _load_weights(self, weights: dict[str, FloatArray]) -> None:
        tensor = self._paddle.to_tensor
        self._embedding = tensor(weights["embedding.weight"])  # [V, E]
        self._layers = []
        for layer in range(self.shape.num_layers):
            both = [weights[f"lstm.{layer}.weight_ih"], weights[f"lstm.{layer}.weight_hh"]]
            weight = np.ascontiguousarray(np.concatenate(both, axis=1).T)  # [E + H or 2H, 4H]
            bias = weights[f"lstm.{layer}.bias"]  # [4H]
            self._layers.append((tensor(weight), tensor(np.tile(bias, (self._block, 1)))))
        self._output = tensor(weights["output.weight"])  # [H, V]
        self._output_bias = tensor(np.tile(weights["output.bias"], (self._block, 1)))  # [B, V]
