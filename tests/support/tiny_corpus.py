"""A corpus and a model small enough to train and load in a test."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from engine.model.checkpoint import Checkpoint, weight_shapes
from engine.model.folder import Shape
from engine.model.vocab import Vocabulary
from train.data import corpus as corpora
from train.data.source import Dynasty
from train.fit.run_folder import Run

SHAPE = Shape(embedding_dim=8, hidden_dim=16, num_layers=2)
CHARACTERS = "春风秋月花鸟山水云雨江河天地日夜人心白青"


def poems(count: int, seed: int = 0) -> list[str]:
    """Distinct quatrains with five characters per line."""
    draw = random.Random(seed)
    lines = (["".join(draw.choices(CHARACTERS, k=5)) for _ in range(4)] for _ in range(count))
    return [f"{a}，{b}。{c}，{d}。" for a, b, c, d in lines]


def write_source(folder: Path, texts: list[str], dynasty: Dynasty = "tang") -> Path:
    """A folder of chinese-poetry JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    content = [{"author": "无名", "title": "无题", "paragraphs": [text]} for text in texts]
    (folder / f"poet.{dynasty}.0.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return folder


def prepared(home: Path, count: int = 400, song: int = 0) -> Path:
    """A TRAIN_DIR with a prepared corpus, and with Song poems if any are requested."""
    source = write_source(home / "source", poems(count))
    if song:
        write_source(source, poems(song, seed=1), "song")
    corpora.prepare(str(source), home / "corpus")
    return home


def checkpoint(shape: Shape = SHAPE, characters: str = CHARACTERS, seed: int = 0) -> Checkpoint:
    """Random weights, the same for the same seed."""
    draw = np.random.default_rng(seed)
    vocabulary = Vocabulary(tuple(characters))
    sizes = weight_shapes(shape, len(vocabulary))
    # what float16 holds exactly, so that a saved model is the same model
    weights = {name: draw.normal(0, 0.5, size).astype(np.float16).astype(np.float32) for name, size in sizes.items()}
    return Checkpoint(shape, vocabulary, weights, {"version": "tiny"})


def weights(run: Run) -> dict[str, np.ndarray]:
    """The weights of a run's newest checkpoint."""
    kept = run.newest()
    assert kept is not None
    return kept[1]
