"""Decoding with Paddle, on CPU or GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.backends.base import Ids
from engine.checkpoint import Checkpoint, FloatArray
from engine.paddle_runtime import DeviceChoice, choose_device, import_paddle

BLOCK = {"cpu": 16, "gpu": 64}
"""Rows a matrix product. A product's rounding depends on its size, so every product has the same: rows are
padded up to blocks of this many. On CPUs 16 was found stable to the bit over several shapes and thread counts
where 8, 32 and 64 were not; 64 rows then take 38 ms a step instead of 21."""


class PaddleBackend:
    """``engine.backends.base.Backend`` over a checkpoint's weights, in float32.

    The cell is written out, one product a layer: faster than ``paddle.nn.LSTM`` for a single step.
    """

    def __init__(self, checkpoint: Checkpoint, device: DeviceChoice = "auto", threads: int | None = None) -> None:
        self._paddle = import_paddle(threads)
        self.device = choose_device(device, self._paddle)
        self.shape = checkpoint.shape
        self.vocabulary_size = len(checkpoint.vocabulary)
        self._block = BLOCK[self.device.split(":")[0]]
        self._take(checkpoint.weights)

    def start(self, rows: int) -> FloatArray:
        """Zeros [rows, 2 * layers, H]."""
        return np.zeros((rows, 2 * self.shape.num_layers, self.shape.hidden_dim), np.float32)

    def step(self, ids: Ids, state: FloatArray, scores: bool = True) -> tuple[FloatArray | None, FloatArray]:
        """ids [rows], state [rows, 2 * layers, H] -> scores [rows, V] or None, the next state."""
        rows = len(ids)
        if not rows:
            return (np.zeros((0, self.vocabulary_size), np.float32) if scores else None), state
        padding = -rows % self._block
        ids = np.pad(ids, (0, padding))
        state = np.pad(state, ((0, padding), (0, 0), (0, 0)))
        found = [
            self._step_block(ids[first : first + self._block], state[first : first + self._block], scores)
            for first in range(0, len(ids), self._block)
        ]
        next_state = np.concatenate([block for _, block in found])[:rows]  # [rows, 2L, H]
        if not scores:
            return None, next_state
        return np.concatenate([block for block, _ in found])[:rows], next_state  # [rows, V]

    def _step_block(self, ids: Ids, state: FloatArray, scores: bool) -> tuple[Any, FloatArray]:
        paddle = self._paddle
        with paddle.no_grad():
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
            next_state = paddle.stack(after, axis=1).numpy()  # [B, 2L, H]
            found = paddle.addmm(self._output_bias, x, self._output).numpy() if scores else None  # [B, V]
        return found, next_state

    def _take(self, weights: dict[str, FloatArray]) -> None:
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
