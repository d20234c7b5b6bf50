"""Reads the files of a model folder, verifying hashes and limiting sizes.

A folder is opened once and all files are read through that handle, so that a folder replaced meanwhile is read either
as the old or as the new one, never as a mixture.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.contract.codec import CodecError, loads_object

T = TypeVar("T")
D = TypeVar("D")

WEIGHTS, VOCABULARY, CARD = "weights.safetensors", "vocabulary.json", "card.json"

MAX_BYTES = {CARD: 1 << 20, VOCABULARY: 1 << 22, "prosody.json": 1 << 24}
MAX_PART_BYTES = 1 << 30
"""Maximum size of any other part."""
MAX_FOLDER_BYTES = 1 << 31
"""Maximum size of all parts together, twice that of the weights. It bounds memory: a sparse file can be larger than the
disk."""
MAX_PARTS = 32
MAX_LAYERS, MAX_DIMENSION, MAX_PARAMETERS = 32, 1 << 14, 1 << 28
"""The largest accepted model: about 24 times the released one."""
READ_ATTEMPTS, READ_AGAIN_SECONDS = 5, 0.05
"""How often, and with what pause, a folder that is being replaced is read again."""


class ModelFolderError(Exception):
    """A model folder that cannot be used; the message names the part and the problem."""


@dataclass(frozen=True)
class Shape:
    """The dimensions of the LSTM; the tutorial's by default."""

    embedding_dim: int = 256
    hidden_dim: int = 512
    num_layers: int = 3

    def parameters(self, vocabulary_size: int) -> int:
        """The number of weights."""
        first = 4 * self.hidden_dim * (self.embedding_dim + self.hidden_dim + 1)
        others = 4 * self.hidden_dim * (2 * self.hidden_dim + 1) * (self.num_layers - 1)
        return vocabulary_size * (self.embedding_dim + self.hidden_dim + 1) + first + others


@dataclass(frozen=True)
class ModelFolder:
    """A card and the parts that it names, as they were at one moment."""

    path: Path
    card: dict[str, Any]
    parts: Mapping[str, bytes]

    @classmethod
    def read(cls, path: Path, only: frozenset[str] | None = None) -> ModelFolder:
        """Read the card and all parts, or ``only`` some, verifying their hashes. ModelFolderError names the part that
        does not match."""
        for _ in range(READ_ATTEMPTS - 1):
            before = _identity(path)
            try:
                return cls._read_once(path, only)
            except ModelFolderError:
                # In this order: if the exchange ends between the two checks, the second one sees the new folder.
                if not _in_exchange(path) and before == _identity(path):
                    raise
            time.sleep(READ_AGAIN_SECONDS)
        return cls._read_once(path, only)

    @classmethod
    def _read_once(cls, path: Path, only: frozenset[str] | None) -> ModelFolder:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ModelFolderError(f"there is no model folder at {path}") from error
        try:
            card = _checked_card(path, _read_file(path, handle, CARD))
            names = [name for name in card["parts"] if only is None or name in only]
            parts: dict[str, bytes] = {}
            left = MAX_FOLDER_BYTES
            for name in names:
                parts[name] = _read_file(path, handle, name, left)
                left -= len(parts[name])
        finally:
            os.close(handle)
        for name, content in parts.items():
            if hashlib.sha256(content).hexdigest() != card["parts"][name]:
                raise ModelFolderError(f"{path / name} is not the file that {CARD} names: its hash differs")
        return cls(path, card, parts)

    def part(self, name: str) -> bytes:
        if name not in self.parts:
            raise ModelFolderError(f"{self.path / CARD} names no {name}: this model folder was made without it")
        return self.parts[name]

    def parsed(self, name: str, parse: Callable[[bytes], T], what: str) -> T:
        """What ``parse`` makes of a part. ModelFolderError: it is not ``what`` it should be."""
        content = self.part(name)
        try:
            return parse(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelFolderError(f"{self.path / name} is not {what}: {error}") from error

    def parsed_if_present(self, name: str, parse: Callable[[bytes], T], what: str, default: D) -> T | D:
        """Like ``parsed``; ``default`` for models of earlier versions, which lack the part."""
        return self.parsed(name, parse, what) if name in self.parts else default


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder; its ``shape`` and ``parts`` are validated."""
    return ModelFolder.read(folder, frozenset()).card


def read_part(folder: Path, name: str) -> bytes:
    """One file of a model folder, verified by its hash on the card."""
    return ModelFolder.read(folder, frozenset((name,))).part(name)


def _checked_card(folder: Path, content: bytes) -> dict[str, Any]:
    try:
        card = loads_object(content)
        shape, parts = card["shape"], card["parts"]
        if not isinstance(shape, dict) or not isinstance(parts, dict):
            raise CodecError("'shape' and 'parts' must be objects")
        Shape(**shape)
    except (CodecError, KeyError, TypeError) as error:
        raise ModelFolderError(f"{folder / CARD} is not a model's card: {error!r}") from error
    sizes = {**dataclasses.asdict(Shape()), **shape}
    for name, size in sizes.items():
        most = MAX_LAYERS if name == "num_layers" else MAX_DIMENSION
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= most:
            raise ModelFolderError(f"{folder / CARD}: '{name}' in 'shape' is not a whole number from 1 to {most}")
    if missing := {WEIGHTS, VOCABULARY} - parts.keys():
        raise ModelFolderError(f"{folder / CARD} has no hash of {min(missing)} in 'parts'")
    for name, digest in parts.items():
        if Path(name).name != name or name == CARD or not isinstance(digest, str) or len(parts) > MAX_PARTS:
            raise ModelFolderError(f"{folder / CARD}: {name!r} in 'parts' is not a file of the folder")
    return card


def _read_file(folder: Path, handle: int, name: str, left: int = MAX_FOLDER_BYTES) -> bytes:
    """Read a regular file of limited size; pipes and devices are refused."""
    most = min(MAX_BYTES.get(name, MAX_PART_BYTES), left)
    try:
        file = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=handle)
        with os.fdopen(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise ModelFolderError(f"{folder / name} is not a regular file")
            content = opened.read(most + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFolderError(f"{folder} lacks {name}") from error
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{folder / name} cannot be read: {error}") from error
    if len(content) > most:
        raise ModelFolderError(f"{folder / name} has more than {most} bytes")
    return content


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _in_exchange(path: Path) -> bool:
    """Whether ``checkpoint.save`` is between its two renames, when no folder has the name."""
    return not path.exists() and path.with_name(f".{path.name}.new").exists()
