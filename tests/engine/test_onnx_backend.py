"""The CPU decoder: close to the weights in float32, and the same for a row whatever the other rows are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from engine.model.backend import log_softmax
from engine.model.checkpoint import Checkpoint, FloatArray
from engine.model.decoder_graph import WEIGHT_MAX, ZERO_POINT, Graph
from engine.model.folder import ModelFolderError, Shape
from engine.model.onnx_backend import OnnxBackend
from engine.model.vocab import Vocabulary
from tests.support.tiny_model import VOCABULARY, checkpoint
from train.export.onnx_decoder import build_decoder, serialised

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


def float_log_probabilities(model: Checkpoint, ids: np.ndarray) -> FloatArray:
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
    return log_softmax(x @ model.weights["output.weight"] + model.weights["output.bias"])


def test_the_decoder_scores_as_the_weights_do() -> None:
    scores, _ = run(np.arange(40))
    exact = float_log_probabilities(MODEL, IDS)
    assert np.abs(scores - exact).mean() < 0.05 * exact.std()
    assert np.corrcoef(scores.ravel(), exact.ravel())[0, 1] > 0.99


def test_a_row_is_the_same_to_the_bit_alone_and_beside_any_others() -> None:
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
    weight = np.full((512, 8), sign, np.float32)
    graph = Graph()
    product = graph.product("x", weight)
    content = serialised(
        graph,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["rows", 512])],
        [helper.make_tensor_value_info(product, TensorProto.FLOAT, ["rows", 8])],
    )
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.array([[1] * 512, [255] * 512], np.uint8)  # -127 and 127 after the zero point
    exact = (x.astype(np.int64) - ZERO_POINT) @ np.full((512, 8), sign * WEIGHT_MAX, np.int64)
    (found,) = session.run(None, {"x": x})
    assert np.allclose(found, exact / WEIGHT_MAX / 127, rtol=1e-6)


def test_a_decoder_of_an_earlier_version_without_normalisation_gives_the_same() -> None:
    earlier = build_decoder(MODEL, normalised=False)
    assert earlier != DECODER
    old, new = (OnnxBackend(content, MODEL, threads=1) for content in (earlier, DECODER))
    given, after = old.step(IDS[0], old.start(40))
    wanted, state_after = new.step(IDS[0], new.start(40))
    assert np.allclose(given, wanted, atol=1e-5)
    assert np.array_equal(after, state_after)


def test_a_decoder_of_another_model_is_refused() -> None:
    other = replace(MODEL, vocabulary=Vocabulary(VOCABULARY.characters[:-1]))
    with pytest.raises(ModelFolderError, match="not a decoder of this model"):
        OnnxBackend(DECODER, other)
    with pytest.raises(ModelFolderError, match="cannot be loaded"):
        OnnxBackend(DECODER[:1000], MODEL)


def external(model: onnx.ModelProto) -> None:
    """The embedding comes from a file of the working directory: scores then tell what stands in it."""
    external_beside_its_content(model)
    model.graph.initializer[0].ClearField("raw_data")


def external_beside_its_content(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret"), ("offset", "0"), ("length", str(np.prod(tensor.dims)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["ids"], ["more"], then_branch=inner, else_branch=inner))


def operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Exp", ["scores"], ["more"]))


def custom_domain(model: onnx.ModelProto) -> None:
    model.graph.node[-1].domain = "com.microsoft"


def another_domain_offered(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Add", ["a", "a"], ["b"])
    model.functions.append(helper.make_function("own", "F", ["a"], ["b"], [node], model.opset_import))


def doubling(model: onnx.ModelProto) -> None:
    """Operators of the decoder alone, but sixty doublings of a constant: folded before anything is run."""
    name = "constant_0"
    for number in range(60):
        model.graph.node.append(helper.make_node("Concat", [name, name], [f"twice_{number}"], axis=0))
        name = f"twice_{number}"


def not_finite(model: onnx.ModelProto) -> None:
    [bias] = [each for each in model.graph.initializer if each.name == model.graph.node[-2].input[1]]
    bias.raw_data = np.full(bias.dims[0], np.nan, np.float32).tobytes()


def longer_than_it_is(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 10**12


@pytest.mark.parametrize(
    "change",
    [
        external,
        external_beside_its_content,
        subgraph,
        operator,
        custom_domain,
        another_domain_offered,
        function,
        doubling,
        not_finite,
        longer_than_it_is,
    ],
)
def test_a_graph_that_is_more_than_one_step_of_this_model_never_reaches_the_runtime(
    change: Callable[[onnx.ModelProto], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"123456:ABC" * 100_000)
    monkeypatch.chdir(tmp_path)

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("the runtime has read it")

    model = onnx.load_from_string(DECODER)
    change(model)
    monkeypatch.setattr(onnxruntime, "InferenceSession", reached)
    with pytest.raises(ModelFolderError, match=r"decoder\.onnx") as refused:
        OnnxBackend(model.SerializeToString(), MODEL)
    assert "the runtime has read it" not in str(refused.value)


@pytest.mark.parametrize("length", [0, 1, 10, len(DECODER) // 2, len(DECODER) - 1])
def test_a_decoder_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(ModelFolderError, match=r"decoder\.onnx"):
        OnnxBackend(DECODER[:length], MODEL)


def test_bytes_that_are_no_graph_are_refused_whatever_they_are() -> None:
    draw = np.random.default_rng(5)
    for _ in range(300):
        changed = bytearray(DECODER[:20_000])
        for place in draw.integers(0, 200, 3):
            changed[place] = draw.integers(0, 256)
        with pytest.raises(ModelFolderError, match=r"decoder\.onnx"):
            OnnxBackend(bytes(changed), MODEL)
