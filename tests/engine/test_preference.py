"""The linear model of readers' marks, and what it reads in a poem."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.contract import PoemRequest
from engine.generation.poet import ENDINGS, LINES, PREFERENCE, PROSODY, Poet, _backend
from engine.generation.preference import BY_HAND, Features, Preference
from engine.model import checkpoint
from engine.model.folder import VOCABULARY, WEIGHTS, ModelFolder, ModelFolderError
from engine.model.onnx_backend import DECODER
from tests.support.tiny_model import write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


def with_part(folder: Path, out: Path, name: str, content: bytes) -> Path:
    model = ModelFolder.read(folder)
    written_by_save = (WEIGHTS, VOCABULARY)
    parts = {other: part for other, part in model.parts.items() if other not in written_by_save}
    checkpoint.save(out, checkpoint.load(folder), {**parts, name: content})
    return out


def test_a_score_is_the_weighted_sum_of_features_and_mean_state() -> None:
    preference = Preference({"fluency": 2.0, "rhyme": 1.0}, np.array([[1, -1], [0, 2]], np.float32))
    features = Features(fluency=-3.0, rhyme=-1.0, association=9.0)
    states = np.array([[0.5, 0.25], [8, 0.125]], np.float32)
    assert preference.score(features, states) == pytest.approx(-6 - 1 + 0.25 + 0.25)
    assert Preference({"rhyme": 1.0}).score(features, states) == -1


def test_a_preference_survives_being_written_and_read() -> None:
    preference = Preference({"fluency": 0.25, "association": -0.5}, np.array([[0.125, -2], [0, 1]], np.float32))
    again = Preference.from_bytes(preference.to_bytes(), 2)
    assert again.weights == preference.weights
    assert again.states.tolist() == preference.states.tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        json.dumps({"weights": {"fluent": 1}, "states": "zeros"}).encode(),
        json.dumps({"weights": {"fluency": 1}, "states": [0]}).encode(),
        b'{"weights": {"fluency": 1}, "states": [[0], [NaN]]}',
        b'{"weights": {"fluency": 1e999}, "states": "zeros"}',
    ],
)
def test_a_part_that_is_no_preference_of_the_model_is_named(folder: Path, tmp_path: Path, content: bytes) -> None:
    hidden = checkpoint.load(folder).shape.hidden_dim
    padded = content.replace(b'"zeros"', json.dumps([[0] * hidden] * 2).encode())
    broken = with_part(folder, tmp_path / "broken", PREFERENCE, padded)
    with pytest.raises(ModelFolderError, match=f"{PREFERENCE} is not a preference of this model"):
        Poet.load(broken, device="cpu")


def test_endings_that_are_no_index_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=f"{ENDINGS} is not an index of endings"):
        Poet.load(with_part(folder, tmp_path / "broken", ENDINGS, b"123"), device="cpu")


def test_the_mean_states_are_the_top_layers_from_the_first_chosen_character_on_and_in_the_last_line(
    folder: Path,
) -> None:
    poet = Poet.load(folder, device="cpu", candidates=4)
    draft = poet.add(PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=3))
    while not poet.step():
        pass
    model = checkpoint.load(folder)
    backend = _backend(ModelFolder.read(folder), model, "cpu", 1)
    state, states = backend.start(1), []
    for character in model.vocabulary.encode(["<START>", *draft.chosen.text[:-2]]):  # neither rhyme word nor 。 is read
        _, state = backend.step(np.array([character]), state)
        states.append(state[0, -2])
    given, line = 1 + len("老夫聊发少年狂，"), 7
    expected = [np.mean(states[given:], axis=0), np.mean(states[1 - line :], axis=0)]
    np.testing.assert_allclose(draft.chosen.mean_states, expected, rtol=0, atol=1e-5)


def test_a_folder_of_an_earlier_version_uses_the_preference_by_hand(folder: Path, tmp_path: Path) -> None:
    model, old = ModelFolder.read(folder), tmp_path / "old"
    checkpoint.save(
        old,
        checkpoint.load(folder),
        {DECODER: model.parts[DECODER], PROSODY: model.parts[PROSODY], LINES: model.parts[LINES]},
    )
    request = PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=3, candidates=16)
    [poem] = Poet.load(old, device="cpu").write([request])
    same = with_part(old, tmp_path / "same", PREFERENCE, BY_HAND.to_bytes())
    assert Poet.load(same, device="cpu").write([request])[0].lines == poem.lines


def test_a_learned_preference_chooses_another_poem_than_the_one_by_hand(folder: Path, tmp_path: Path) -> None:
    hidden = checkpoint.load(folder).shape.hidden_dim
    reverse = Preference({name: -weight for name, weight in BY_HAND.weights.items()}, np.zeros((2, hidden), np.float32))
    learned = with_part(folder, tmp_path / "learned", PREFERENCE, reverse.to_bytes())
    request = PoemRequest("continue", "老夫聊发少年狂", form="七绝", seed=3, candidates=16)
    [by_hand], [other] = (Poet.load(each, device="cpu").write([request]) for each in (folder, learned))
    assert by_hand.lines != other.lines
