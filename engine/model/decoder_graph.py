"""The computation of the CPU decoder: one LSTM step in int8, as ONNX nodes and constants.

``train.export.onnx_decoder`` writes this graph, and the backend accepts no other.

An LSTM's output is a sigmoid times a tanh and never leaves (-1, 1), so its activations need no measured
scale: 1/127 always fits, and a row's scores cannot depend on the other rows. Weights have one scale per column and
stay within ±63: processors without VNNI add pairs of 8-bit products in 16 bits, which larger weights would overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.model.checkpoint import Checkpoint, FloatArray

ACTIVATION_SCALE, ZERO_POINT, WEIGHT_MAX = 1 / 127, 128, 63
OPSET, IR_VERSION = 17, 8
FLOAT = 1
"""ONNX's number for float32, which the products are cast to."""


@dataclass(frozen=True)
class Node:
    """An operator of the default ONNX domain; ``attributes``: integers by name."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[tuple[str, int], ...] = ()


class Graph:
    """Nodes and constants in order of addition; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def constant(self, value: npt.ArrayLike) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: int) -> tuple[str, ...]:
        names = tuple(f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs))
        self.nodes.append(Node(kind, inputs, names, tuple(sorted(attributes.items()))))
        return names

    def one(self, kind: str, *inputs: str, **attributes: int) -> str:
        return self.add(kind, *inputs, outputs=1, **attributes)[0]

    def quantised(self, values: str) -> str:
        """[rows, n] in (-1, 1) -> uint8."""
        scale, zero = self.constant(np.float32(ACTIVATION_SCALE)), self.constant(np.uint8(ZERO_POINT))
        return self.one("QuantizeLinear", values, scale, zero)

    def product(self, quantised: str, weight: FloatArray) -> str:
        """uint8 [rows, n] times float [n, m], held in int8 -> float [rows, m]."""
        scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / WEIGHT_MAX  # [m]
        held = self.constant(np.rint(weight / scale).astype(np.int8))
        sums = self.one("MatMulInteger", quantised, held, self.constant(np.uint8(ZERO_POINT)))
        back = self.constant((scale * ACTIVATION_SCALE).astype(np.float32))
        return self.one("Mul", self.one("Cast", sums, to=FLOAT), back)


def decoder_graph(checkpoint: Checkpoint, normalised: bool = True) -> Graph:
    """From ids int64 [rows], state float32 [rows, 2L, H], wanted int64 [wanted] to scores and next_state.

    ``wanted``: the rows whose scores [wanted, V] are computed; next_state [rows, 2L, H] is for all rows.
    ``normalised``: the scores are log-probabilities; in the graphs of earlier versions they were not.
    """
    weights, shape = checkpoint.weights, checkpoint.shape
    graph = Graph()
    embedding = weights["embedding.weight"]  # [V, E]
    largest = max(float(np.abs(embedding).max()), 1e-12)
    held = np.rint(embedding / largest / ACTIVATION_SCALE) + ZERO_POINT
    below = graph.one("Gather", graph.constant(held.astype(np.uint8)), "ids", axis=0)  # [rows, E]
    parts = list(graph.add("Split", "state", axis=1, outputs=2 * shape.num_layers))  # of [rows, 1, H]
    first = graph.constant(np.array([1], np.int64))
    parts = [graph.one("Squeeze", part, first) for part in parts]  # of [rows, H]
    after: list[str] = []
    for layer in range(shape.num_layers):
        hidden, cell = graph.quantised(parts[2 * layer]), parts[2 * layer + 1]
        from_below = weights[f"lstm.{layer}.weight_ih"].T * (largest if layer == 0 else 1.0)  # [n, 4H]
        from_before = weights[f"lstm.{layer}.weight_hh"].T  # [H, 4H]
        if layer == 0:  # the embedding's range is folded in, so the two need scales of their own
            gates = graph.one("Add", graph.product(below, from_below), graph.product(hidden, from_before))
        else:
            both = graph.one("Concat", below, hidden, axis=1)  # [rows, 2H]
            gates = graph.product(both, np.concatenate([from_below, from_before]))
        gates = graph.one("Add", gates, graph.constant(weights[f"lstm.{layer}.bias"]))  # [rows, 4H]
        i, f, g, o = graph.add("Split", gates, axis=1, outputs=4)  # of [rows, H]
        kept = graph.one("Mul", graph.one("Sigmoid", f), cell)
        new = graph.one("Mul", graph.one("Sigmoid", i), graph.one("Tanh", g))
        cell = graph.one("Add", kept, new)
        output = graph.one("Mul", graph.one("Sigmoid", o), graph.one("Tanh", cell))
        below = graph.quantised(output)
        after += [graph.one("Unsqueeze", output, first), graph.one("Unsqueeze", cell, first)]
    graph.nodes.append(Node("Concat", tuple(after), ("next_state",), (("axis", 1),)))
    read = graph.one("Gather", below, "wanted", axis=0)  # [wanted, H]
    scores = graph.product(read, weights["output.weight"])
    bias = graph.constant(weights["output.bias"])
    if normalised:
        scores = graph.one("Add", scores, bias)
        graph.nodes.append(Node("LogSoftmax", (scores,), ("scores",), (("axis", 1),)))
    else:
        graph.nodes.append(Node("Add", (scores, bias), ("scores",)))
    return graph
