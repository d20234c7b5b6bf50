"""Reads and writes model folders: weights, vocabulary and card, which must match."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from engine.contract.codec import loads
from engine.model.folder import (
    CARD,
    MAX_PARAMETERS,
    VOCABULARY,
    WEIGHTS,
    ModelFolder,
    ModelFolderError,
    Shape,
    read_card,
)
from engine.model.vocab import Vocabulary

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Checkpoint:
    """A complete model.

    ``weights``: float32 by name, see ``weight_shapes``. ``card``: information about the model (corpus and its hash,
    split, epochs, perplexities, ``version``, date) in free form, except ``shape`` and ``parts`` (sha256 by file name),
    which ``save`` writes.
    """

    shape: Shape
    vocabulary: Vocabulary
    weights: dict[str, FloatArray]
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The card's ``version``, or the beginning of the weights' hash if it has none."""
        return str(self.card.get("version") or self.card.get("parts", {}).get(WEIGHTS, "unsaved")[:12])


def weight_shapes(shape: Shape, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight; the gates of an LSTM are in the order i, f, g, o.

    With V the vocabulary's size, E, H the dimensions: ``embedding.weight`` [V, E]; of each layer
    ``weight_ih`` [4H, E or H], ``weight_hh`` [4H, H], ``bias`` [4H]; ``output.weight`` [H, V],
    ``output.bias`` [V].
    """
    embedding, hidden = shape.embedding_dim, shape.hidden_dim
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (vocabulary_size, embedding)}
    for layer in range(shape.num_layers):
        shapes[f"lstm.{layer}.weight_ih"] = (4 * hidden, hidden if layer else embedding)
        shapes[f"lstm.{layer}.weight_hh"] = (4 * hidden, hidden)
        shapes[f"lstm.{layer}.bias"] = (4 * hidden,)
    return {**shapes, "output.weight": (hidden, vocabulary_size), "output.bias": (vocabulary_size,)}


def check_weights(shape: Shape, vocabulary_size: int, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """ModelFolderError names the first tensor that is missing, unknown or of a wrong shape."""
    wanted = weight_shapes(shape, vocabulary_size)
    for name, size in wanted.items():
        if name not in weights:
            raise ModelFolderError(f"{WEIGHTS} lacks the tensor {name}")
        if weights[name].shape != size:
            raise ModelFolderError(
                f"{WEIGHTS}: {name} has the shape {list(weights[name].shape)}; "
                f"{CARD} and {VOCABULARY} ask for {list(size)}"
            )
    if unknown := sorted(weights.keys() - wanted.keys()):
        raise ModelFolderError(f"{WEIGHTS} has the tensor {unknown[0]}, which this model does not have")


def save(folder: Path, checkpoint: Checkpoint, parts: Mapping[str, bytes] | None = None) -> None:
    """Write a model folder atomically.

    ``parts``: further files by name (the CPU decoder, the prosody table). An existing model folder is replaced; if the
    program is killed between the last two renames, the old one remains beside it as ``.NAME.old``.
    Weights are stored as float16; ValueError if one is out of range.
    ModelFolderError: the folder contains something other than a model (see ``check_replaceable``).
    """
    check_replaceable(folder)
    check_weights(checkpoint.shape, len(checkpoint.vocabulary), checkpoint.weights)
    files = {
        WEIGHTS: save_tensors({name: _half(name, tensor) for name, tensor in checkpoint.weights.items()}),
        VOCABULARY: json_file(list(checkpoint.vocabulary.characters)),
        **(parts or {}),
    }
    card = {
        **checkpoint.card,
        "shape": dataclasses.asdict(checkpoint.shape),
        "parts": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name, content in {**files, CARD: json_file(card, indent=1)}.items():
        write_durably(fresh / name, content)
    sync_folder(fresh)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    fresh.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(folder: Path) -> None:
    """ModelFolderError unless ``folder`` is absent, empty, or a model folder with nothing else in it."""
    right = "name a folder that is absent, empty or a model folder"
    if not folder.is_dir():
        if folder.exists():
            raise ModelFolderError(f"{folder} is a file; {right}")
        return
    entries = {entry.name for entry in folder.iterdir()}
    if not entries:
        return
    try:
        parts = {CARD, *read_card(folder)["parts"]}
    except ModelFolderError as error:
        raise ModelFolderError(f"{folder} contains {min(entries)} but no model; {right}") from error
    if strange := entries - parts:
        raise ModelFolderError(f"{folder} contains {min(strange)}, which is not part of its model; {right}")


def record(folder: Path, facts: Mapping[str, Any]) -> None:
    """Add ``facts`` to the card of a model folder."""
    card = {**read_card(folder), **facts}
    fresh = folder / f".{CARD}.new"
    write_durably(fresh, json_file(card, indent=1))
    fresh.replace(folder / CARD)
    sync_folder(folder)


def load(folder: Path | ModelFolder) -> Checkpoint:
    """Read a model folder. ModelFolderError names the part that does not match. Nothing is unpickled."""
    read = folder if isinstance(folder, ModelFolder) else ModelFolder.read(folder)
    shape, vocabulary = Shape(**read.card["shape"]), read.parsed(VOCABULARY, _vocabulary, "a vocabulary")
    if (count := shape.parameters(len(vocabulary))) > MAX_PARAMETERS:
        raise ModelFolderError(f"{read.path / CARD}: a model of {count:,} weights; {MAX_PARAMETERS:,} are the most")
    try:
        stored = load_tensors(read.part(WEIGHTS))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFolderError(f"{read.path / WEIGHTS} is not a safetensors file: {error}") from error
    check_weights(shape, len(vocabulary), stored)
    for name, tensor in stored.items():
        if tensor.dtype not in (np.float16, np.float32) or not np.isfinite(tensor).all():
            raise ModelFolderError(f"{read.path / WEIGHTS}: {name} has values that are not finite numbers")
    weights = {name: tensor.astype(np.float32) for name, tensor in stored.items()}
    return Checkpoint(shape, vocabulary, weights, read.card)


def _vocabulary(content: bytes) -> Vocabulary:
    characters = loads(content)
    if not isinstance(characters, list) or not all(isinstance(c, str) for c in characters):
        raise ValueError("a list of characters is expected")
    return Vocabulary(tuple(characters))


def write_durably(file: Path, content: bytes) -> None:
    """Write a file and fsync it."""
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _half(name: str, tensor: FloatArray) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = tensor.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(f"{name} has values beyond float16")
    return half


def json_file(value: object, indent: int | None = None) -> bytes:
    """The content of a JSON file."""
    return (json.dumps(value, ensure_ascii=False, indent=indent) + "\n").encode()


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that its names are on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
