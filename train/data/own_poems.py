"""The operator's own poems: files in a folder that are added to the corpus at the next retraining.

``.txt``: one poem per paragraph, UTF-8. ``.json``: chinese-poetry's format. ``.npz``: the tutorial's. A file is read
completely or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.contract.queue.training import Unread
from engine.contract.text import only_chinese
from train.data.corpus import MIN_CHARACTERS, SPLITS, Corpus, new_poems, split_of
from train.data.files import MAX_FILE_BYTES, LargeFileError, SpecialFileError, open_ordinary
from train.data.npz import read_npz

log = logging.getLogger("train.data.own_poems")


@dataclass(frozen=True)
class OwnPoems:
    """``texts``: as written; ``skipped``: file name → why it was not read."""

    texts: list[str] = field(default_factory=list)
    skipped: dict[str, Unread] = field(default_factory=dict)


class UnreadError(ValueError):
    """A file that is skipped; ``why`` is for the operator, the message for the log."""

    def __init__(self, why: Unread, message: str) -> None:
        super().__init__(message)
        self.why: Unread = why


def read_own_poems(folder: Path | None) -> OwnPoems:
    """Read every file of the folder, sorted by name; unreadable ones are skipped and reported."""
    own = OwnPoems()
    if folder is None:
        return own
    if not folder.is_dir():
        own.skipped[folder.name] = "no_folder"
        return own
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or file.is_dir():
            continue
        try:
            own.texts.extend(read_file(file))
        except (UnreadError, OSError) as error:
            # A file name is bytes, and may not be valid UTF-8.
            name = os.fsencode(file.name).decode("utf-8", "replace")
            log.warning("%s is skipped: %s", name, error)
            own.skipped[name] = error.why if isinstance(error, UnreadError) else "unreadable"
    return own


def read_file(file: Path) -> list[str]:
    """The poems of one file. UnreadError, OSError: it is of no known kind, or damaged."""
    try:
        texts = _texts(file)
    except SpecialFileError as error:
        raise UnreadError("special", str(error)) from error
    except LargeFileError as error:
        raise UnreadError("large", str(error)) from error
    if not any(len(only_chinese(text)) >= MIN_CHARACTERS for text in texts):
        raise UnreadError("empty", f"it has no poem of {MIN_CHARACTERS} or more Chinese characters")
    return texts


def _texts(file: Path) -> list[str]:
    if file.suffix.lower() == ".npz":
        return _npz_poems(file)
    if file.suffix.lower() == ".json":
        return _json_poems(_utf8_text(file))
    if file.suffix.lower() == ".txt":
        return [part for part in re.split(r"\n\s*\n", _utf8_text(file)) if part.strip()]
    raise UnreadError("kind", "its name must end in .txt, .json or .npz")


def merge_own_poems(base: Corpus, own: Iterable[str]) -> tuple[Corpus, int]:
    """``base`` plus the poems of ``own`` that it lacks, cleaned and split as usual; and how many were added."""
    seen = {only_chinese(poem) for split in SPLITS for poem in base.poems[split]}
    poems = {split: list(base.poems[split]) for split in SPLITS}
    added = list(new_poems(own, seen, Counter()))
    for poem in added:
        poems[split_of(poem)].append(poem)
    return Corpus(poems), len(added)


def merged_manifest(corpus: Corpus, base: dict[str, Any], added: int) -> dict[str, Any]:
    """The manifest of a merged corpus."""
    hashes = {
        split: hashlib.sha1("".join(f"{p}\n" for p in corpus.poems[split]).encode(), usedforsecurity=False).hexdigest()
        for split in SPLITS
    }
    return {
        "source": base.get("source"),
        "own_poems": added,
        "poems": {split: len(corpus.poems[split]) for split in SPLITS},
        "vocabulary": len(corpus.vocabulary()),
        "sha1": hashes,
    }


def _json_poems(text: str) -> list[str]:
    try:
        poems = json.loads(text)
        if not isinstance(poems, list):
            raise TypeError("not a list")
        texts = []
        for poem in poems:
            if not all(isinstance(line, str) for line in poem["paragraphs"]):
                raise TypeError("a paragraph that is not text")
            texts.append("".join(poem["paragraphs"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadError("json", "it is not chinese-poetry JSON (a list of poems with 'paragraphs')") from error
    return texts


def _npz_poems(file: Path) -> list[str]:
    try:
        return read_npz(file)
    except (SpecialFileError, LargeFileError):
        raise
    except ValueError as error:  # ours, or raised by numpy
        raise UnreadError("npz", str(error)) from error


def _utf8_text(file: Path) -> str:
    with open_ordinary(file) as opened:
        content = opened.read(MAX_FILE_BYTES)  # it may be growing
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UnreadError("utf8", "it is not UTF-8 text") from error
