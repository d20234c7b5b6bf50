from __future__ import annotations

import subprocess
import sys
from typing import Any, Literal

import numpy as np
import pytest

from engine.model import lstm
from engine.model.folder import ModelFolderError, Shape
from engine.model.lstm import PoemLSTM, paddle
from engine.model.paddle_backend import PaddleBackend
from engine.model.paddle_runtime import PaddleMissingError, choose_device, prepare_environment
from tests.support import tiny_corpus as tiny

AMD = "vendor_id\t: AuthenticAMD\nflags\t: fpu sse avx avx2"
INTEL = "vendor_id\t: GenuineIntel\nflags\t: fpu sse avx avx2"


def loaded(dropout: float = 0.0) -> PoemLSTM:
    model, checkpoint = PoemLSTM(len(tiny.checkpoint().vocabulary), tiny.SHAPE, dropout), tiny.checkpoint()
    model.load_weights(checkpoint.weights)
    return model


def test_weights_come_back_as_they_were_loaded() -> None:
    wanted, found = tiny.checkpoint().weights, loaded().weights()
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], tensor) for name, tensor in wanted.items())


def test_weights_that_do_not_fit_are_refused() -> None:
    model = PoemLSTM(len(tiny.checkpoint().vocabulary), Shape(8, 12, 2))
    with pytest.raises(ModelFolderError, match=r"lstm\.0\.weight_ih"):
        model.load_weights(tiny.checkpoint().weights)


def test_padding_does_not_change_the_loss() -> None:
    model, draw = loaded(), np.random.default_rng(0)
    pad = tiny.checkpoint().vocabulary.pad
    ids = draw.integers(0, 19, (3, 9))
    plain = float(model.loss(paddle.to_tensor(ids[:, :-1]), paddle.to_tensor(ids[:, 1:]), pad))
    wide = np.pad(ids, ((0, 0), (0, 7)), constant_values=pad)
    targets = wide[:, 1:].copy()
    padded = float(model.loss(paddle.to_tensor(wide[:, :-1]), paddle.to_tensor(targets), pad))
    assert padded == pytest.approx(plain, rel=1e-6)
    # and rows of different lengths weigh by their targets
    alone = [float(model.loss(paddle.to_tensor(r[None, :-1]), paddle.to_tensor(r[None, 1:]), pad)) for r in ids]
    assert np.mean(alone) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("chunk", [7, 512])
def test_the_loss_in_chunks_is_the_cross_entropy_and_has_its_gradients(
    monkeypatch: pytest.MonkeyPatch, chunk: int, reduction: Literal["mean", "sum"]
) -> None:
    monkeypatch.setattr(lstm, "CHUNK_POSITIONS", chunk)
    model, pad = loaded(), tiny.checkpoint().vocabulary.pad
    ids = np.random.default_rng(0).integers(0, 19, (4, 9))
    ids[1, 5:] = ids[3, 3:] = pad
    x, y = paddle.to_tensor(ids[:, :-1]), paddle.to_tensor(ids[:, 1:])

    def gradients(loss: Any) -> dict[str, np.ndarray]:
        (3 * loss).backward()  # as where a process's share of a batch is weighted
        found = {name: weight.grad.numpy() for name, weight in model.named_weights().items()}
        model.clear_gradients()
        return found

    scores, wanted = model(x).reshape([-1, model.vocabulary_size]), y.flatten()
    whole = paddle.nn.functional.cross_entropy(scores, wanted, reduction=reduction, ignore_index=pad)
    chunked = model.loss(x, y, pad, reduction)
    with paddle.no_grad():
        assert float(model.loss(x, y, pad, reduction)) == pytest.approx(float(whole), rel=1e-6)
    assert float(chunked) == pytest.approx(float(whole), rel=1e-6)
    expected, found = gradients(whole), gradients(chunked)
    assert all(np.allclose(found[name], expected[name], rtol=1e-4, atol=1e-5) for name in expected)


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("chunk", [7, 512])
def test_with_a_teacher_the_gradients_lead_to_the_mixture_and_the_nats_are_those_of_the_text(
    monkeypatch: pytest.MonkeyPatch, chunk: int, share: float
) -> None:
    monkeypatch.setattr(lstm, "CHUNK_POSITIONS", chunk)
    model, pad = loaded(), tiny.checkpoint().vocabulary.pad
    other = Shape(embedding_dim=5, hidden_dim=12, num_layers=1)
    teacher = PoemLSTM(model.vocabulary_size, other, dropout=0.5)
    teacher.load_weights(tiny.checkpoint(other, seed=1).weights)
    teacher.eval()
    ids = np.random.default_rng(0).integers(0, 19, (4, 9))
    ids[1, 5:] = ids[3, 3:] = pad
    x, y = paddle.to_tensor(ids[:, :-1]), paddle.to_tensor(ids[:, 1:])
    text = model.loss(x, y, pad)

    def gradients(loss: Any) -> dict[str, np.ndarray]:
        (3 * loss).backward()
        found = {name: weight.grad.numpy() for name, weight in model.named_weights().items()}
        model.clear_gradients()
        return found

    with paddle.no_grad():
        taught = paddle.nn.functional.softmax(teacher(x))  # [B, T, V]
        wanted = share * taught + (1 - share) * paddle.nn.functional.one_hot(y, model.vocabulary_size)
        counted = (y != pad).astype("float32")  # [B, T]
    costs = -(wanted * paddle.nn.functional.log_softmax(model(x))).sum(-1)  # [B, T]
    expected = gradients((costs * counted).sum() / counted.sum())
    chunked = model.loss(x, y, pad, teacher=teacher, share=share)
    assert float(chunked) == float(text)
    found = gradients(chunked)
    assert all(np.allclose(found[name], expected[name], rtol=1e-4, atol=1e-5) for name in expected)
    assert all(weight.grad is None for weight in teacher.parameters())


@pytest.mark.parametrize(("training", "taught"), [(True, False), (True, True), (False, False)])
def test_no_more_scores_are_held_at_once_than_a_chunk_has(
    monkeypatch: pytest.MonkeyPatch, training: bool, taught: bool
) -> None:
    rows: list[int] = []
    name = "softmax_" if training else "cross_entropy"
    of_paddle = getattr(paddle.nn.functional, name)

    def noted(scores: Any, *others: Any, **settings: Any) -> Any:
        rows.append(len(scores))
        return of_paddle(scores, *others, **settings)

    monkeypatch.setattr(lstm, "CHUNK_POSITIONS", 10)
    monkeypatch.setattr(paddle.nn.functional, name, noted)
    ids = paddle.to_tensor(np.random.default_rng(0).integers(0, 19, (4, 8)))
    with paddle.set_grad_enabled(training):
        loaded().loss(ids, ids, tiny.checkpoint().vocabulary.pad, teacher=loaded() if taught else None)
    assert rows == [count for count in (10, 10, 10, 2) for _ in range(1 + taught)]


def test_a_probability_of_0_costs_a_finite_loss() -> None:
    hidden, weight = paddle.to_tensor([[1.0]]), paddle.to_tensor([[0.0, 500.0]])
    hidden.stop_gradient = False
    nats = lstm.OutputLoss.apply(hidden, weight, paddle.zeros([2]), paddle.to_tensor([0]))
    assert 60 < float(nats) < 90
    broken = lstm.OutputLoss.apply(hidden, weight * np.inf, paddle.zeros([2]), paddle.to_tensor([0]))
    assert np.isnan(float(broken)), "weights that are no numbers must not look like a loss"


def test_dropout_acts_in_training_alone() -> None:
    model, ids = loaded(dropout=0.5), paddle.to_tensor(np.zeros((2, 5), np.int64))
    with paddle.no_grad():
        model.train()
        assert not np.array_equal(model(ids).numpy(), model(ids).numpy())
        model.eval()
        assert np.array_equal(model(ids).numpy(), model(ids).numpy())


def test_only_named_weights_are_trained() -> None:
    model = loaded()
    before = model.weights()
    adam = paddle.optimizer.Adam(0.01, parameters=list(model.named_weights().values()))
    ids = np.arange(20).reshape(2, 10)
    model.loss(paddle.to_tensor(ids[:, :-1]), paddle.to_tensor(ids[:, 1:]), 99).backward()
    adam.step()
    assert all(not np.array_equal(tensor, before[name]) for name, tensor in model.weights().items())
    assert not any(np.any(getattr(model.lstm, f"bias_hh_l{layer}").numpy()) for layer in range(2))


def test_careful_first_weights_are_what_they_say() -> None:
    paddle.seed(0)
    weights = PoemLSTM(500, Shape(32, 48, 2)).weights()
    gate = weights["lstm.1.weight_hh"][48:96]
    assert np.allclose(gate @ gate.T, np.eye(48), atol=1e-5)
    assert weights["embedding.weight"].std() == pytest.approx(1.0, rel=0.05)
    assert list(weights["lstm.0.bias"]) == [0.0] * 48 + [1.0] * 48 + [0.0] * 96


def test_the_backend_scores_as_the_model_does() -> None:
    checkpoint, model = tiny.checkpoint(), loaded()
    model.eval()
    ids = np.random.default_rng(1).integers(0, len(checkpoint.vocabulary), (5, 7))
    with paddle.no_grad():
        wanted = paddle.nn.functional.log_softmax(model(paddle.to_tensor(ids))).numpy()
    backend = PaddleBackend(checkpoint, "cpu")
    state = backend.start(5)
    for place, column in enumerate(ids.T):
        scores, state = backend.step(column, state)
        assert np.allclose(scores, wanted[:, place], atol=1e-5)


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    checkpoint, draw = tiny.checkpoint(), np.random.default_rng(2)
    backend = PaddleBackend(checkpoint, "cpu")
    rows = 40
    ids = draw.integers(0, len(checkpoint.vocabulary), (3, rows))

    def run(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        state = backend.start(len(chosen))
        for column in ids[:-1]:
            _, state = backend.step(column[chosen], state, np.zeros(0, np.int64))
        return backend.step(ids[-1][chosen], state)

    scores, state = run(np.arange(rows))
    for count in (1, 2, 7, 16, 17, 33):
        chosen = draw.permutation(rows)[:count]
        alone, alone_state = run(chosen)
        assert np.array_equal(alone, scores[chosen])
        assert np.array_equal(alone_state, state[chosen])


def test_no_rows_are_no_rows() -> None:
    backend = PaddleBackend(tiny.checkpoint(), "cpu")
    scores, state = backend.step(np.zeros(0, np.int64), backend.start(0))
    assert (scores.shape, state.shape) == ((0, len(tiny.checkpoint().vocabulary)), (0, 4, 16))


@pytest.mark.parametrize(("cpu", "kind"), [(AMD, "5"), (AMD.replace("avx2", ""), None), (INTEL, None), ("", None)])
def test_the_fast_path_of_mkl_is_asked_for_where_it_applies(cpu: str, kind: str | None) -> None:
    environment: dict[str, str] = {}
    prepare_environment(environment, cpu, threads=6)
    assert environment.get("MKL_DEBUG_CPU_TYPE") == kind
    assert environment["OMP_NUM_THREADS"] == "6"


def test_what_the_user_has_set_stays() -> None:
    environment = {"OMP_NUM_THREADS": "3", "MKL_DEBUG_CPU_TYPE": "4"}
    prepare_environment(environment, AMD, threads=6)
    assert environment == {"OMP_NUM_THREADS": "3", "MKL_DEBUG_CPU_TYPE": "4"}


def test_a_program_keeps_its_signal_handlers_when_paddle_comes() -> None:
    program = (
        "import os, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "from engine.model.paddle_runtime import import_paddle\nimport_paddle()\nos.kill(os.getpid(), signal.SIGTERM)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (7, "")


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if paddle.is_compiled_with_cuda():
        pytest.skip("this is Paddle's GPU build")
    with pytest.raises(PaddleMissingError, match="--device cpu"):
        choose_device("gpu", paddle)
