"""Builds the CPU decoder of a model folder: one step of the LSTM in int8, as an ONNX graph.

An LSTM's output is a sigmoid times a tanh and never leaves (-1, 1), so its activations need no measured
scale: 1/127 fits for good, and a row's scores cannot depend on the rows beside it. Weights have one scale a
column and stay within ±63: processors without VNNI add products of 8 bits in pairs of 16 bits, which wider
weights overflow.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.model.checkpoint import Checkpoint, FloatArray

ACTIVATION_SCALE, ZERO_POINT, WEIGHT_MAX = 1 / 127, 128, 63
OPSET, IR_VERSION = 17, 8


class Graph:
    """Nodes and constants in the order they are added; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: npt.ArrayLike) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: int) -> list[str]:
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
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
        return self.one("Mul", self.one("Cast", sums, to=TensorProto.FLOAT), back)


def build_decoder(checkpoint: Checkpoint) -> bytes:
    """The graph: ids int64 [rows], state float32 [rows, 2L, H], wanted int64 [wanted] -> scores, next_state.

    ``wanted`` names the rows whose scores [wanted, V] are computed; next_state [rows, 2L, H] is every row's.
    """
    weights, shape = checkpoint.weights, checkpoint.shape
    graph = Graph()
    embedding = weights["embedding.weight"]  # [V, E]
    largest = float(np.abs(embedding).max())
    held = np.rint(embedding / largest / ACTIVATION_SCALE) + ZERO_POINT
    below = graph.one("Gather", graph.constant(held.astype(np.uint8)), "ids", axis=0)  # [rows, E]
    parts = graph.add("Split", "state", axis=1, outputs=2 * shape.num_layers)  # of [rows, 1, H]
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
    graph.nodes.append(helper.make_node("Concat", after, ["next_state"], axis=1))
    read = graph.one("Gather", below, "wanted", axis=0)  # [wanted, H]
    scores = graph.product(read, weights["output.weight"])
    graph.nodes.append(helper.make_node("Add", [scores, graph.constant(weights["output.bias"])], ["scores"]))
    state = ["rows", 2 * shape.num_layers, shape.hidden_dim]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "one step of the LSTM",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT64, ["rows"]),
                helper.make_tensor_value_info("state", TensorProto.FLOAT, state),
                helper.make_tensor_value_info("wanted", TensorProto.INT64, ["wanted"]),
            ],
            [
                helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["wanted", len(checkpoint.vocabulary)]),
                helper.make_tensor_value_info("next_state", TensorProto.FLOAT, state),
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
