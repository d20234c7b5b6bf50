"""Builds the CPU decoder of a model folder as an ONNX file from ``engine.model.decoder_graph``."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.model.checkpoint import Checkpoint
from engine.model.decoder_graph import IR_VERSION, OPSET, Graph, decoder_graph


def build_decoder(checkpoint: Checkpoint, normalised: bool = True) -> bytes:
    """ids int64 [rows], state float32 [rows, 2L, H], wanted int64 [wanted] -> scores, next_state.

    ``normalised``: the scores are log-probabilities, as they were not in the decoders of earlier versions.
    """
    shape = checkpoint.shape
    state = ["rows", 2 * shape.num_layers, shape.hidden_dim]
    return serialised(
        decoder_graph(checkpoint, normalised),
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
    )


def serialised(graph: Graph, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> bytes:
    """``graph`` as a validated ONNX file."""
    nodes = [helper.make_node(n.kind, n.inputs, n.outputs, **dict(n.attributes)) for n in graph.nodes]
    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
