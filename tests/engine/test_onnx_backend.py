"""The CPU decoder's laws: faithful to the weights, and a row is the same in any company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from engine.model.checkpoint import Checkpoint, FloatArray, ModelFolderError, Shape
from engine.model.onnx_backend import OnnxBackend
from engine.model.vocab import Vocabulary
from tests.support.tiny_model import VOCABULARY, checkpoint
from train.export.onnx_decoder import WEIGHT_MAX, ZERO_POINT, Graph, build_decoder

MODEL = checkpoint(3, Shape(32, 64, 3))
DECODER = build_decoder(MODEL)
IDS = np.random.default_rng(0).integers(0, len(VOCABULARY), (6, 40))


def backend() -> OnnxBackend:
    return OnnxBackend(DECODER, MODEL, threads=2)


def run(rows: np.ndarray) -> tuple[FloatArray, FloatArray]:
    decoder = backend()
    state = decoder.start(len(rows))
    for column in IDS[:-1]:
        _, state = decoder.step(column[rows], state)
    return decoder.step(IDS[-1][rows], state)


def float_scores(model: Checkpoint, ids: np.ndarray) -> FloatArray:
    """The same network in plain NumPy, float32: [rows, V] after all of ``ids`` [steps, rows]."""
    hidden = [np.zeros((ids.shape[1], model.shape.hidden_dim), np.float32) for _ in range(model.shape.num_layers)]
    cells = [h.copy() for h in hidden]
    for column in ids:
        x = model.weights["embedding.weight"][column]
        for layer in range(model.shape.num_layers):
            w = {name: model.weights[f"lstm.{layer}.{name}"] for name in ("weight_ih", "weight_hh", "bias")}
            gates = x @ w["weight_ih"].T + hidden[layer] @ w["weight_hh"].T + w["bias"]
            i, f, g, o = np.split(gates, 4, axis=1)
            cells[layer] = cells[layer] / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            x = hidden[layer] = np.tanh(cells[layer]) / (1 + np.exp(-o))
    found: FloatArray = x @ model.weights["output.weight"] + model.weights["output.bias"]
    return found


def test_the_decoder_scores_as_the_weights_do() -> None:
    scores, _ = run(np.arange(40))
    exact = float_scores(MODEL, IDS)
    assert np.abs(scores - exact).mean() < 0.05 * exact.std()
    assert np.corrcoef(scores.ravel(), exact.ravel())[0, 1] > 0.99


def test_a_row_is_the_same_to_the_bit_alone_and_in_any_company() -> None:
    scores, state = run(np.arange(40))
    draw = np.random.default_rng(1)
    for count in (1, 2, 7, 16, 33):
        rows = draw.permutation(40)[:count]
        alone, alone_state = run(rows)
        assert np.array_equal(alone, scores[rows])
        assert np.array_equal(alone_state, state[rows])


def test_scores_come_for_the_wanted_rows_and_state_for_all() -> None:
    decoder = backend()
    scores, state = decoder.step(IDS[0], decoder.start(40))
    for wanted in ([], [3], [7, 2, 30]):
        some, after = decoder.step(IDS[0], decoder.start(40), np.array(wanted, np.int64))
        assert np.array_equal(some, scores[wanted])
        assert np.array_equal(after, state)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_product_of_extremes_is_exact(sign: int) -> None:
    """Largest weights against largest activations, where 16-bit pair sums would overflow without the margin."""
    import onnx
    from onnx import TensorProto, helper

    weight = np.full((512, 8), sign, np.float32)
    graph = Graph()
    product = graph.product("x", weight)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "product",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, ["rows", 512])],
            [helper.make_tensor_value_info(product, TensorProto.FLOAT, ["rows", 8])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.array([[1] * 512, [255] * 512], np.uint8)  # -127 and 127 after the zero point
    exact = (x.astype(np.int64) - ZERO_POINT) @ np.full((512, 8), sign * WEIGHT_MAX, np.int64)
    (found,) = session.run(None, {"x": x})
    assert np.allclose(found, exact / WEIGHT_MAX / 127, rtol=1e-6)


def test_a_decoder_of_another_model_is_refused() -> None:
    other = replace(MODEL, vocabulary=Vocabulary(VOCABULARY.characters[:-1]))
    with pytest.raises(ModelFolderError, match="not a decoder of this model"):
        OnnxBackend(DECODER, other)
    with pytest.raises(ModelFolderError, match="cannot be loaded"):
        OnnxBackend(DECODER[:1000], MODEL)
