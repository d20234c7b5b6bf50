"""The tutorial's ``tang_poem.npz``, read without letting it run code.

Two of its arrays hold a pickled dictionary each. A pickle is a program that may call anything it can name, so the
names that such an array needs are given stand-ins that only keep what they are handed, and every other is refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from engine.model.vocab import EOP, PAD, START

LARGEST_DATA, LARGEST_DICTIONARY = 1 << 30, 1 << 26
"""Bytes of an unpacked array; a small archive can unpack to anything."""
_NOT_A_TUTORIAL_FILE = "it is not the tutorial's file (data, ix2word)"


class NpzError(ValueError):
    """A file that is not what the tutorial wrote; the message says what is wrong with it."""


def read_npz(file: Path) -> list[str]:
    """The poems of a file in the tutorial's format, each as one string with its marks."""
    try:
        with zipfile.ZipFile(file) as archive:
            data = _numbers(_member(archive, "data.npy", LARGEST_DATA))
            words = _dictionary(_member(archive, "ix2word.npy", LARGEST_DICTIONARY))
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise NpzError(_NOT_A_TUTORIAL_FILE) from error
    return _poems(data, words)


def _poems(data: npt.NDArray[np.int64], words: dict[int, str]) -> list[str]:
    specials = {START, EOP, PAD}
    poems = []
    for row in data.tolist():
        try:
            poems.append("".join(word for i in row if (word := words[i]) not in specials))
        except KeyError as error:
            raise NpzError(f"data holds the id {error}, which ix2word does not know") from error
    return poems


def _member(archive: zipfile.ZipFile, name: str, largest: int) -> IO[bytes]:
    if archive.getinfo(name).file_size > largest:
        raise NpzError(f"{name} is larger than {largest >> 20} MiB")
    return io.BytesIO(archive.read(name))


def _numbers(content: IO[bytes]) -> npt.NDArray[np.int64]:
    """int [poems, ids]; an array of objects is refused before anything of it is read."""
    try:
        array = np.lib.format.read_array(content, allow_pickle=False)
    except (ValueError, MemoryError) as error:
        raise NpzError(f"data is no plain array: {error}") from error
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
        raise NpzError("data must be whole numbers, a row a poem")
    return array.astype(np.int64)


def _dictionary(content: IO[bytes]) -> dict[int, str]:
    """The one dictionary, number to word, of a 0-d array of objects."""
    try:
        version = np.lib.format.read_magic(content)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = header(content)
    except ValueError as error:
        raise NpzError(f"ix2word is no array: {error}") from error
    if shape != () or not kind.hasobject:
        raise NpzError("ix2word must be one dictionary")
    try:
        found = _Restricted(content, encoding="utf-8").load()
        value = found.items[0] if isinstance(found, _Array) else found
    except NpzError:
        raise
    except Exception as error:  # a broken pickle fails in as many ways as there are operations
        raise NpzError(f"ix2word cannot be read: {type(error).__name__}") from error
    if type(value) is not dict or not all(type(k) is int and type(v) is str for k, v in value.items()):
        raise NpzError("ix2word must be a dictionary from whole numbers to strings")
    return value


class _Array:
    """Stands in for the array: keeps its list of objects."""

    def __init__(self, *_: object) -> None:
        self.items: list[Any] = []

    def __setstate__(self, state: Any) -> None:
        items = state[-1]
        if type(items) is not list or len(items) != 1:
            raise NpzError("ix2word must be one dictionary")
        self.items = items


class _Kind:
    """Stands in for types that are named and never used."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _plain_bytes(text: object, encoding: object) -> bytes:
    """As old pickles spell bytes."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise NpzError("ix2word holds more than dictionaries of strings and whole numbers")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Kind,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _plain_bytes,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise NpzError(
                f"it asks for {module}.{name}; only dictionaries of strings and whole numbers are read"
            ) from None

    def persistent_load(self, _: object) -> Any:
        raise NpzError("it refers to something outside itself")
