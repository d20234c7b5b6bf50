"""Learns what readers prefer from poems that they have marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.contract.text import clauses
from engine.generation.allowed import AllowedIds
from engine.generation.associations import Associations
from engine.generation.corpus_lines import LineIndex
from engine.generation.decoder import Decoder
from engine.generation.plan import Cell, Plan
from engine.generation.poet import ASSOCIATIONS, ENDINGS, LINES, PREFERENCE, PROSODY
from engine.generation.preference import BY_HAND, NAMES, Preference
from engine.generation.ranker import Ranker
from engine.generation.sequence import TokenSequence
from engine.model import checkpoint
from engine.model.checkpoint import Checkpoint
from engine.model.folder import VOCABULARY, WEIGHTS, ModelFolder
from engine.model.onnx_backend import DECODER, OnnxBackend
from engine.prosody import Prosody
from train.readers.marks import MarkedPoem, MarksError, read_marks, require_known

FEATURE_SCALE = 4.0
"""Standard deviation of a feature in the regression, where that of a state's component is 1. There are few features,
and they are chosen for the purpose, so their weights are penalised less."""
PENALTY_PER_POEM, CORRECTION_PENALTY_PER_POEM = 0.7, 3.0
"""Of the squared weights (ridge regression), and of the squared change of those learned before, by cross-validation."""
FOLDS = 5
"""Of the cross-validation."""
ROWS = 256
"""Poems read at the same time."""

Floats = npt.NDArray[np.float64]


def relearn(folder: Path, marks: Path, version: str, skip: int = 0) -> dict[str, Any]:
    """Learn what readers prefer from ``marks``, replace the model folder by ``version`` with it, and return its card.

    ``skip``: see ``preference_part``. MarksError: the file cannot be used, or the model does not know its characters.
    """
    stored, poems = ModelFolder.read(folder), read_marks(marks, more_than=skip)
    model = checkpoint.load(stored)
    require_known(model.vocabulary, poems, marks)
    parts = {name: part for name, part in stored.parts.items() if name not in (WEIGHTS, VOCABULARY)}
    parts[PREFERENCE], learned = preference_part(model, parts, poems, skip)
    card = {name: value for name, value in model.card.items() if name != "evaluation"}  # it measured other poems
    checkpoint.save(folder, replace(model, card={**card, "version": version, "preference": learned}), parts)
    return checkpoint.load(folder).card


def preference_part(
    model: Checkpoint, parts: Mapping[str, bytes], poems: Sequence[MarkedPoem], skip: int = 0
) -> tuple[bytes, dict[str, Any]]:
    """The part of the model folder with these ``parts``, and what its card says of it.

    ``skip``: so many of the first poems are left out, and the others correct the preference among ``parts``, or without
    one that by hand.
    """
    allowed_ids = AllowedIds(model.vocabulary, Prosody.from_bytes(parts[PROSODY]))
    backend, lines = OnnxBackend(parts[DECODER], model), LineIndex.from_bytes(parts[LINES])
    associations = Associations.from_bytes(parts[ASSOCIATIONS]) if ASSOCIATIONS in parts else None
    endings = LineIndex.from_bytes(parts.get(ENDINGS, b""))
    ranker = Ranker(model.vocabulary, model.weights["output.weight"], associations, endings=endings)
    decoder = Decoder(backend, model.vocabulary, allowed_ids, lines)
    before = None
    if skip:
        before = Preference.from_bytes(parts[PREFERENCE], model.shape.hidden_dim) if PREFERENCE in parts else BY_HAND
    preference, correlation = learn_preference(poems[skip:], decoder, ranker, before)
    facts: dict[str, Any] = {"marked_poems": len(poems), "correlation": round(correlation, 3)}
    return preference.to_bytes(), {**facts, "corrected_with": len(poems) - skip} if skip else facts


def learn_preference(
    poems: Sequence[MarkedPoem], decoder: Decoder, ranker: Ranker, before: Preference | None = None
) -> tuple[Preference, float]:
    """Fit the marks by ridge regression within groups, so that only comparisons of poems with one opening count.

    ``before``: a preference learned from other poems, which these correct.
    Also returns the correlation of predicted with actual marks within groups, by cross-validation over groups.
    MarksError: there are too few.
    """
    _, groups = np.unique([poem.group for poem in poems], return_inverse=True)
    marks = _within(np.array([[poem.mark] for poem in poems]), groups)[:, 0] if poems else np.zeros(0)  # [N]
    if any(np.allclose(marks[groups % FOLDS == fold], 0) for fold in range(FOLDS)):
        raise MarksError(f"too few poems: {FOLDS} groups or more with different marks are needed")
    features, states = features_of(poems, decoder, ranker)  # [N, F], [N, 2 * hidden]
    inputs = np.concatenate([_within(features, groups), _within(states, groups)], axis=1)  # [N, F + 2 * hidden]
    scale = inputs.std(axis=0) + 1e-6
    scale[: len(NAMES)] /= FEATURE_SCALE
    known, penalty = np.zeros(inputs.shape[1]), PENALTY_PER_POEM  # [F + 2 * hidden]
    if before is not None:
        known[: len(NAMES)] = [before.weights.get(name, 0.0) for name in NAMES]
        known[len(NAMES) :] = before.states.ravel() if before.states.size else 0.0
        penalty = CORRECTION_PENALTY_PER_POEM
    explained = inputs @ known
    inputs /= scale
    predicted, rest = np.empty_like(marks), marks - explained
    for fold in range(FOLDS):
        left_out = groups % FOLDS == fold
        weights = _ridge(inputs[~left_out], rest[~left_out], penalty)
        predicted[left_out] = explained[left_out] + inputs[left_out] @ weights
    weights = known + _ridge(inputs, rest, penalty) / scale
    states = weights[len(NAMES) :].reshape(2, -1).astype(np.float32)  # [2, hidden]
    preference = Preference(dict(zip(NAMES, weights.tolist(), strict=False)), states)
    return preference, float(np.corrcoef(predicted, marks)[0, 1])


def _ridge(inputs: Floats, marks: Floats, penalty: float) -> Floats:
    """inputs [N, D], marks [N] -> weights [D]."""
    square = inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[1])
    return np.asarray(np.linalg.solve(square, inputs.T @ marks), np.float64)


def features_of(poems: Sequence[MarkedPoem], decoder: Decoder, ranker: Ranker) -> tuple[Floats, Floats]:
    """The features [N, F] of the poems' continuations, and their mean states [N, 2 * hidden]."""
    rows = [TokenSequence(_forced(poem), 0) for poem in poems]
    _read(rows, decoder)
    features = [ranker.features(row).vector() for row in rows]
    return np.array(features, np.float64), np.array([row.mean_states.ravel() for row in rows], np.float64)


def _forced(poem: MarkedPoem) -> Plan:
    """Every character is fixed; those that the model chose count as chosen."""
    lines = clauses(poem.text)
    rhyme_words = {number * (len(line) + 1) - 2 for number, line in enumerate(lines, 1) if number % 2 == 0}
    cells = [
        Cell(character, scored=line >= 0, rhymes=line >= 0 and place in rhyme_words)
        for place, (character, line) in enumerate(zip(poem.text, poem.lines_chosen(), strict=True))
    ]
    return Plan(tuple(cells), poem.form)


def _read(rows: Sequence[TokenSequence], decoder: Decoder) -> None:
    for begin in range(0, len(rows), ROWS):
        decoder.add(rows[begin : begin + ROWS])
        while len(decoder):
            decoder.step()


def _within(values: npt.NDArray[np.floating], groups: npt.NDArray[np.intp]) -> Floats:
    """``values`` [N, F] minus the mean of their group."""
    sums = np.zeros((groups.max() + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return np.asarray(values - (sums / np.bincount(groups)[:, None])[groups], np.float64)
