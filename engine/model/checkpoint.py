"""A model folder: weights, vocabulary and card, which fit together or are refused."""

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

from engine.model.vocab import Vocabulary

FloatArray = npt.NDArray[np.float32]

WEIGHTS, VOCABULARY, CARD = "weights.safetensors", "vocabulary.json", "card.json"


class ModelFolderError(Exception):
    """A model folder that cannot be used; the message names the part and what is wrong with it."""


@dataclass(frozen=True)
class Shape:
    """The sizes of the LSTM; the tutorial's by default."""

    embedding_dim: int = 256
    hidden_dim: int = 512
    num_layers: int = 3


@dataclass(frozen=True)
class Checkpoint:
    """A model that depends on nothing else.

    ``weights``: float32 by name, see ``weight_shapes``. ``card``: what a person should know of the model
    (corpus and its hash, split, epochs, perplexities, ``version``, date), free in form but for ``shape`` and
    ``parts`` (sha256 by file), which ``save`` writes.
    """

    shape: Shape
    vocabulary: Vocabulary
    weights: dict[str, FloatArray]
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The card's ``version``, or the beginning of the weights' hash where the card has none."""
        return str(self.card.get("version") or self.card.get("parts", {}).get(WEIGHTS, "unsaved")[:12])


def weight_shapes(shape: Shape, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight; the gates of an LSTM's rows are in the order i, f, g, o.

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
    """ModelFolderError naming the first tensor that is missing, unknown or of another shape."""
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
        raise ModelFolderError(f"{WEIGHTS} holds {unknown[0]}, which this model does not have")


def save(folder: Path, checkpoint: Checkpoint, parts: Mapping[str, bytes] | None = None) -> None:
    """Write a model folder: whole, or not at all.

    ``parts``: further files by name (the CPU decoder, the prosody table). A model folder that is there already is
    replaced; killed between the last two renames, the old one is left beside it as ``.NAME.old``.
    Weights are stored as float16; ValueError where one does not fit into it.
    ModelFolderError: something else than a model is there (see ``check_replaceable``).
    """
    check_replaceable(folder)
    check_weights(checkpoint.shape, len(checkpoint.vocabulary), checkpoint.weights)
    files = {
        WEIGHTS: save_tensors({name: _half(name, tensor) for name, tensor in checkpoint.weights.items()}),
        VOCABULARY: _json(list(checkpoint.vocabulary.characters)),
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
    for name, content in {**files, CARD: _json(card, indent=1)}.items():
        write_durably(fresh / name, content)
    sync_folder(fresh)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    fresh.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(folder: Path) -> None:
    """ModelFolderError unless ``folder`` is absent, empty, or a model folder with nothing in it but the model."""
    right = "name a folder that is absent, empty or a model folder"
    if not folder.is_dir():
        if folder.exists():
            raise ModelFolderError(f"{folder} is a file; {right}")
        return
    found = {entry.name for entry in folder.iterdir()}
    if not found:
        return
    try:
        parts = {CARD, *read_card(folder)["parts"]}
    except ModelFolderError as error:
        raise ModelFolderError(f"{folder} holds {min(found)} and no model; {right}") from error
    if strange := found - parts:
        raise ModelFolderError(f"{folder} holds {min(strange)}, which is no part of its model; {right}")


def add_parts(folder: Path, parts: Mapping[str, bytes]) -> None:
    """Put further files into a model folder, or replace them; the card names their hashes."""
    read = load(folder)
    names = read.card["parts"].keys() - {WEIGHTS, VOCABULARY} - parts.keys()
    save(folder, read, {**{name: read_part(folder, name) for name in names}, **parts})


def record(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write ``facts`` into the card of a model folder, beside what is there."""
    card = {**read_card(folder), **facts}
    fresh = folder / f".{CARD}.new"
    write_durably(fresh, _json(card, indent=1))
    fresh.replace(folder / CARD)
    sync_folder(folder)


def load(folder: Path) -> Checkpoint:
    """Read a model folder whose parts fit; ModelFolderError names the one that does not. Nothing is unpickled."""
    card = read_card(folder)
    shape, vocabulary = Shape(**card["shape"]), read_vocabulary(folder, card)
    try:
        stored = load_tensors(read_part(folder, WEIGHTS, card))
    except SafetensorError as error:
        raise ModelFolderError(f"{folder / WEIGHTS} is not a safetensors file: {error}") from error
    check_weights(shape, len(vocabulary), stored)
    for name in card["parts"]:
        if name not in (WEIGHTS, VOCABULARY):
            read_part(folder, name, card)
    return Checkpoint(shape, vocabulary, {name: tensor.astype(np.float32) for name, tensor in stored.items()}, card)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder, its ``shape`` and ``parts`` checked for form."""
    if not folder.is_dir():
        raise ModelFolderError(f"there is no model folder at {folder}")
    try:
        card = json.loads(_read(folder, CARD))
        Shape(**card["shape"])
        sizes = list(card["shape"].values())
        names = list(card["parts"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(f"{folder / CARD} is not a model's card: {error!r}") from error
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ModelFolderError(f"{folder / CARD}: a size in 'shape' is not a positive whole number")
    if missing := {WEIGHTS, VOCABULARY} - set(names):
        raise ModelFolderError(f"{folder / CARD} has no hash of {min(missing)} in 'parts'")
    if strange := [name for name in names if Path(name).name != name or name == CARD]:
        raise ModelFolderError(f"{folder / CARD}: {strange[0]!r} in 'parts' is not a file of the folder")
    return dict(card)


def read_vocabulary(folder: Path, card: dict[str, Any] | None = None) -> Vocabulary:
    """The vocabulary of a model folder, by itself."""
    content = read_part(folder, VOCABULARY, card)
    try:
        characters = json.loads(content)
        if not isinstance(characters, list) or not all(isinstance(c, str) for c in characters):
            raise ValueError("a list of characters is wanted")
        return Vocabulary(tuple(characters))
    except ValueError as error:
        raise ModelFolderError(f"{folder / VOCABULARY} is not a vocabulary: {error}") from error


def read_part(folder: Path, name: str, card: dict[str, Any] | None = None) -> bytes:
    """One file of a model folder, its hash compared with the card's."""
    parts = (card or read_card(folder))["parts"]
    if name not in parts:
        raise ModelFolderError(f"{folder / CARD} names no {name}: this model folder was made without it")
    content = _read(folder, name)
    if hashlib.sha256(content).hexdigest() != parts[name]:
        raise ModelFolderError(f"{folder / name} is not the file that {CARD} names: its hash differs")
    return content


def write_durably(file: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _half(name: str, tensor: FloatArray) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = tensor.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(f"{name} holds values beyond float16")
    return half


def _json(value: object, indent: int | None = None) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=indent) + "\n").encode()


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise ModelFolderError(f"{folder} lacks {name}") from error
    except OSError as error:
        raise ModelFolderError(f"{folder / name} cannot be read: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's names."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
