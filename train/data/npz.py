"""Reads the tutorial's ``tang_poem.npz`` without letting it run code.

Two of its arrays contain a pickled dictionary each. A pickle can call anything that it can import, so the names that
such an array needs are replaced by stand-ins that only store their arguments, and all other names are refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from engine.model.vocab import EOP, PAD, START
from train.data.files import open_ordinary

MAX_POEMS, MAX_IDS = 1_000_000, 1 << 24
"""Limits for ``data``: rows and numbers, twenty and two times the tutorial's. A small archive can unpack to any size,
so the stated size is checked before unpacking, and no more than that is unpacked."""
MAX_DICTIONARY_BYTES = 1 << 21
"""Maximum size in bytes of the pickled dictionary, ten times the tutorial's."""
MAX_WORD_CHARACTERS = 16
MAX_TEXT_CHARACTERS = MAX_IDS
"""In all poems together: each number stands for one character or for a symbol that is left out."""
_MAX_HEADER_BYTES = 1 << 14
_NOT_A_TUTORIAL_FILE = "it is not the tutorial's file (data, ix2word)"


class NpzError(ValueError):
    """A file that is not in the tutorial's format; the message says why."""


def read_npz(file: Path) -> list[str]:
    """The poems of a file in the tutorial's format, each as one string with punctuation.

    Raises NpzError and what ``open_ordinary`` raises.
    """
    try:
        with open_ordinary(file) as opened, zipfile.ZipFile(opened) as archive:
            with _member(archive, "data.npy", _MAX_HEADER_BYTES + 8 * MAX_IDS) as member:
                data = _numbers(member)
            with _member(archive, "ix2word.npy", MAX_DICTIONARY_BYTES) as member:
                words = _dictionary(io.BytesIO(member.read(MAX_DICTIONARY_BYTES)))
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise NpzError(_NOT_A_TUTORIAL_FILE) from error
    return _poems(data, words)


def _poems(data: npt.NDArray[Any], words: dict[int, str]) -> list[str]:
    specials = {START, EOP, PAD}
    poems = []
    characters = 0
    for row in data:
        try:
            poem = "".join(word for i in row.tolist() if (word := words[i]) not in specials)
        except KeyError as error:
            raise NpzError(f"data contains the id {error}, which ix2word lacks") from error
        characters += len(poem)
        if characters > MAX_TEXT_CHARACTERS:
            raise NpzError(f"its poems have more than {MAX_TEXT_CHARACTERS:,} characters in total")
        poems.append(poem)
    return poems


def _member(archive: zipfile.ZipFile, name: str, largest: int) -> IO[bytes]:
    info = archive.getinfo(name)
    if info.file_size > largest:
        raise NpzError(f"{name} is larger than {largest:,} bytes")
    # With other methods a few bytes can unpack to many megabytes at once; numpy writes only these two.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NpzError(f"{name} uses a compression method that numpy does not use")
    return archive.open(info)


def _header(content: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in column order, type."""
    try:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(content)
    except ValueError as error:
        raise NpzError(f"{name} is not an array: {error}") from error


def _numbers(content: IO[bytes]) -> npt.NDArray[Any]:
    """Integers [poems, ids]; anything else is refused before it is unpacked."""
    shape, in_columns, kind = _header(content, "data")
    if len(shape) != 2 or kind.hasobject or not np.issubdtype(kind, np.integer):
        raise NpzError("data must be whole numbers, one row per poem")
    rows, width = shape
    if not 0 <= rows <= MAX_POEMS or not 0 <= rows * width <= MAX_IDS:
        raise NpzError(f"data has {rows} rows of {width}: more than {MAX_POEMS:,} poems or {MAX_IDS:,} numbers")
    wanted = rows * width * kind.itemsize
    raw = content.read(wanted)
    if len(raw) != wanted:
        raise NpzError("data ends too early")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if in_columns else "C")


def _dictionary(content: io.BytesIO) -> dict[int, str]:
    """The dictionary from number to word in a 0-d array of objects."""
    shape, _, kind = _header(content, "ix2word")
    if shape != () or not kind.hasobject:
        raise NpzError("ix2word must be one dictionary")
    pickled = content.read()
    try:
        _check_memory(pickled)
        unpickled = _Restricted(io.BytesIO(pickled), encoding="utf-8").load()
        value = unpickled.items[0] if isinstance(unpickled, _Array) else unpickled
    except NpzError:
        raise
    except Exception as error:  # a broken pickle can raise anything
        raise NpzError(f"ix2word cannot be read: {type(error).__name__}") from error
    if type(value) is not dict or not all(type(k) is int and type(v) is str for k, v in value.items()):
        raise NpzError("ix2word must be a dictionary from whole numbers to strings")
    if any(len(word) > MAX_WORD_CHARACTERS for word in value.values()):
        raise NpzError(f"ix2word contains a word of more than {MAX_WORD_CHARACTERS} characters")
    return value


def _check_memory(pickled: bytes) -> None:
    """Refuse opcodes that make the unpickler allocate memory by a number in the file: huge memo indices, byte
    arrays."""
    for operation, argument, _ in pickletools.genops(pickled):
        far = operation.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(pickled)
        if far or operation.name == "BYTEARRAY8":
            raise NpzError("ix2word contains more than a dictionary of strings and whole numbers")


class _Array:
    """Stand-in for the array: keeps its list of objects."""

    def __init__(self, *_: object) -> None:
        self.items: list[Any] = []

    def __setstate__(self, state: Any) -> None:
        items = state[-1]
        if type(items) is not list or len(items) != 1:
            raise NpzError("ix2word must be one dictionary")
        self.items = items


class _Kind:
    """Stand-in for types that are named but not used."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _plain_bytes(text: object, encoding: object) -> bytes:
    """Bytes as old pickles encode them."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise NpzError("ix2word contains more than a dictionary of strings and whole numbers")
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
                f"it requires {module}.{name}; only dictionaries of strings and whole numbers are read"
            ) from None

    def persistent_load(self, _: object) -> Any:
        raise NpzError("it refers to something outside itself")
