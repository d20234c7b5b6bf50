"""A toy model folder: random weights and invented readings in the real file formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.contract.request_fields import LEVEL_RHYMES
from engine.contract.templates import Tone
from engine.contract.text import CLAUSE_MARKS
from engine.generation.associations import Associations
from engine.generation.corpus_lines import LineIndex, common_endings
from engine.generation.poet import ASSOCIATIONS, ENDINGS, LINES, PREFERENCE, PROSODY
from engine.generation.preference import BY_HAND, Preference
from engine.model.checkpoint import Checkpoint, save, weight_shapes
from engine.model.folder import Shape
from engine.model.onnx_backend import DECODER
from engine.model.vocab import Vocabulary
from engine.prosody import Prosody
from train.export.onnx_decoder import build_decoder

CHARACTERS = tuple(bytes((0xB0 + i // 94, 0xA1 + i % 94)).decode("gb2312") for i in range(600))
"""Common ideographs with invented readings: those at even positions are level, the others oblique; six rhyme groups in
turn."""
GROUPS = LEVEL_RHYMES[:6]
VOCABULARY = Vocabulary((*CLAUSE_MARKS, *CHARACTERS))


def prosody() -> Prosody:
    tones: dict[str, frozenset[Tone]] = {
        c: frozenset(("平" if i % 2 == 0 else "仄",)) for i, c in enumerate(CHARACTERS)
    }
    rhymes = {c: frozenset((GROUPS[i // 2 % 6],)) for i, c in enumerate(CHARACTERS) if i % 2 == 0}
    return Prosody(tones, rhymes, tones, rhymes)


def checkpoint(seed: int = 0, shape: Shape = Shape(8, 16, 2)) -> Checkpoint:  # noqa: B008  # frozen
    random = np.random.default_rng(seed)
    weights = {
        name: random.normal(0, 0.4, size).astype(np.float32)
        for name, size in weight_shapes(shape, len(VOCABULARY)).items()
    }
    return Checkpoint(shape, VOCABULARY, weights, {"version": f"tiny-{seed}"})


def preference(hidden: int) -> Preference:
    """The one by hand, with weights of the states."""
    return Preference(BY_HAND.weights, np.random.default_rng(7).normal(0, 0.1, (2, hidden)).astype(np.float32))


def write_model(folder: Path, seed: int = 0) -> Path:
    """Save a tiny model with all parts of a released one."""
    model = checkpoint(seed)
    parts = {
        DECODER: build_decoder(model),
        PROSODY: prosody().to_bytes(),
        LINES: LineIndex.of(["".join(CHARACTERS[:5])]).to_bytes(),
        ENDINGS: common_endings("".join(CHARACTERS[i : i + 5]) for i in range(90) for _ in range(3)).to_bytes(),
        PREFERENCE: preference(model.shape.hidden_dim).to_bytes(),
        ASSOCIATIONS: Associations.of(["".join(CHARACTERS[i : i + 20]) for i in range(0, 600, 10)]).to_bytes(),
    }
    save(folder, model, parts)
    return folder
