"""Alignment: a model becomes likelier to write what readers marked well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.contract.text import clauses
from engine.model import checkpoint as checkpoints
from engine.model.lstm import PoemLSTM, paddle
from tests.support.marked_poems import random_poems, write_marks
from tests.support.tiny_model import checkpoint, write_model
from train.__main__ import main
from train.readers import alignment
from train.readers.alignment import MarkedBatch, align
from train.readers.marks import MarkedPoem

TEXTS = [poem.text for poem in random_poems(8)]


def line_likelihoods(weights: dict[str, np.ndarray], poems: Sequence[MarkedPoem]) -> list[float]:
    """Of the chosen characters of each line, from the scores of all positions."""
    model = checkpoint()
    network = PoemLSTM(len(model.vocabulary), model.shape)
    network.load_weights(weights)
    batch = MarkedBatch.of(poems, model.vocabulary).batch
    scores = paddle.nn.functional.log_softmax(network(paddle.to_tensor(batch.ids))).numpy()  # [B, T, V]
    right = np.take_along_axis(scores, batch.targets[..., None], -1)[..., 0]  # [B, T]
    return [
        float(own[: len(poem.text)][np.array(poem.lines_chosen()) == line].sum())
        for own, poem in zip(right, poems, strict=True)
        for line in range(max(poem.lines_chosen()) + 1)
    ]


def likelihoods(weights: dict[str, np.ndarray], poems: Sequence[MarkedPoem]) -> np.ndarray:
    """Of the chosen characters of each 五绝."""
    return np.asarray(np.reshape(line_likelihoods(weights, poems), (len(poems), 3)).sum(axis=1))


def test_the_better_a_poem_was_marked_the_likelier_it_becomes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "OPTIMISATION", replace(alignment.OPTIMISATION, lr=0.01))
    poems = random_poems(64)
    monkeypatch.setattr(alignment, "TEXT_WEIGHT", 0.0)
    weights, _ = align(checkpoint(), poems, TEXTS, epochs=100, device="cpu")
    gained = likelihoods(weights, poems) - likelihoods(checkpoint().weights, poems)
    for first in range(0, len(poems), 8):
        marks, own = np.array([poem.mark for poem in poems[first : first + 8]]), gained[first : first + 8]
        np.testing.assert_allclose(own - own.mean(), alignment.NATS_PER_MARK * (marks - marks.mean()), atol=2)


def test_poems_of_the_corpus_become_likelier_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "OPTIMISATION", replace(alignment.OPTIMISATION, lr=0.01))
    poems, texts = random_poems(64), random_poems(72)[64:]

    def after() -> float:
        weights, _ = align(checkpoint(), poems, [poem.text for poem in texts], epochs=40, device="cpu")
        return float(likelihoods(weights, texts).mean())

    with_texts, before = after(), float(likelihoods(checkpoint().weights, texts).mean())
    monkeypatch.setattr(alignment, "TEXT_WEIGHT", 0.0)
    assert with_texts > max(before, after()) + 1


def test_the_better_a_line_was_marked_the_likelier_it_becomes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "OPTIMISATION", replace(alignment.OPTIMISATION, lr=0.01))
    monkeypatch.setattr(alignment, "TEXT_WEIGHT", 0.0)
    rng = np.random.default_rng(2)
    poems = [replace(poem, mark=3.0, line_marks=tuple(rng.integers(1, 6, 3).tolist())) for poem in random_poems(32)]
    weights, _ = align(checkpoint(), poems, TEXTS, epochs=150, device="cpu")
    gained = np.subtract(line_likelihoods(weights, poems), line_likelihoods(checkpoint().weights, poems))
    marks = np.array([poem.line_marks for poem in poems], float).reshape(4, 8, 3)
    centred = gained.reshape(4, 8, 3) - gained.reshape(4, 8, 3).mean(axis=1, keepdims=True)
    wanted = alignment.NATS_PER_LINE_MARK * (marks - marks.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(centred, wanted, atol=2)


def test_only_what_the_model_chose_counts() -> None:
    (poem, *_) = random_poems(8)
    acrostic = replace(poem, opening="")
    for each, chosen in (
        (poem, "".join(clauses(poem.text)[1:])),
        (acrostic, "".join(line[1:] for line in clauses(poem.text))),
    ):
        encoded = MarkedBatch.of([each], checkpoint().vocabulary)
        assert checkpoint().vocabulary.decode(encoded.batch.targets[encoded.spans >= 0]) == chosen


def test_only_comparisons_within_a_group_count_for_the_weights() -> None:
    poems = random_poems(64)
    shifted = [replace(poem, mark=poem.mark + int(poem.group) * 3.0) for poem in poems]
    first, second = (align(checkpoint(), each, TEXTS, epochs=2, device="cpu")[0] for each in (poems, shifted))
    for name, weight in first.items():
        np.testing.assert_allclose(weight, second[name], atol=1e-5)


def test_the_likelihoods_of_the_network_are_those_of_its_scores() -> None:
    model, poems = checkpoint(), random_poems(8)
    poems[2:4] = [replace(poem, opening="") for poem in poems[2:4]]
    network = PoemLSTM(len(model.vocabulary), model.shape)
    network.load_weights(model.weights)
    encoded = MarkedBatch.of(poems, model.vocabulary)
    parts = (encoded.batch.ids, encoded.batch.targets, encoded.spans)
    own = network.log_likelihoods(*map(paddle.to_tensor, parts)).numpy()
    np.testing.assert_allclose(own, line_likelihoods(model.weights, poems), rtol=1e-5)


def test_the_command_makes_a_model_folder_that_says_what_it_was_made_of(home: Path, tmp_path: Path) -> None:
    base, out, marks = write_model(tmp_path / "tiny"), tmp_path / "aligned", tmp_path / "marks.tsv"
    write_marks(marks, random_poems(80), lambda number: 1 + number % 5)
    arguments = ["align", str(base), "--out", str(out), "--version", "mine", "--marks", str(marks), "--epochs", "1"]
    assert main([*arguments, "--device", "cpu"], {"TRAIN_DIR": str(home)}) == 0
    made = checkpoints.load(out)
    assert made.version == "mine"
    assert made.card["training"]["aligned_with_marks"]["marked_poems"] == 80
    assert made.card["parent"]["version"] == "tiny-0"
    assert not np.array_equal(made.weights["output.weight"], checkpoints.load(base).weights["output.weight"])


def test_skipped_marks_are_learned_from_by_neither_weights_nor_preference(home: Path, tmp_path: Path) -> None:
    base, out, marks = write_model(tmp_path / "tiny"), tmp_path / "aligned", tmp_path / "marks.tsv"
    write_marks(marks, random_poems(120), lambda number: 1 + number % 5)
    arguments = ["align", str(base), "--out", str(out), "--version", "mine", "--marks", str(marks), "--epochs", "1"]
    assert main([*arguments, "--skip", "120"], {"TRAIN_DIR": str(home)}) == 2
    assert not out.exists()
    assert main([*arguments, "--skip", "64", "--device", "cpu"], {"TRAIN_DIR": str(home)}) == 0
    card = checkpoints.load(out).card
    assert card["training"]["aligned_with_marks"]["marked_poems"] == 56
    assert (card["preference"]["marked_poems"], card["preference"]["corrected_with"]) == (120, 56)


def test_marks_that_a_model_cannot_read_make_no_model(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, out = write_model(tmp_path / "tiny"), tmp_path / "aligned"
    assert main(["align", str(base), "--out", str(out), "--version", "mine"], {"TRAIN_DIR": str(home)}) == 2
    assert "does not know" in capsys.readouterr().err
    assert not out.exists()
