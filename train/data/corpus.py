"""The corpus: Tang poems, simplified, cleaned, deduplicated and split; optionally Song poems, for training only."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.contract.script import converter
from engine.contract.text import clauses, only_chinese, only_verse
from engine.model.vocab import EOP, PAD, START, Vocabulary
from train.data.npz import read_npz
from train.data.source import PACKAGE, CorpusError, Dynasty, fetch_package, read_poems

SPLITS = ("train", "validation", "test")
"""Splits of the Tang poems."""
SONG: Dynasty = "song"
MIN_CHARACTERS = 10
LEAK_CHARACTERS = 5
"""A line of a held-out poem in a Song poem counts as a leak from this length on; shorter ones are set phrases."""
TUTORIAL_MAXLEN = 125

_NOTE_OPENS, _NOTE_CLOSES = "（([〖{〔", "）)]〗}〕"
_EMENDED = re.compile(r"\[(\w)\]")


@dataclass(frozen=True)
class Corpus:
    """Poems by split, each one string with punctuation, in simplified characters.

    ``song``: poems of another dynasty, none of them held out. The vocabulary and all measurements use Tang poems only,
    so that weights trained with and without Song poems can be compared.
    """

    poems: dict[str, list[str]]
    song: list[str] = field(default_factory=list)

    def vocabulary(self) -> Vocabulary:
        """Every character that occurs at least twice in training, most frequent first."""
        counts = Counter("".join(self.poems["train"]))
        known = [c for c, n in counts.items() if n >= 2]
        return Vocabulary(tuple(sorted(known, key=lambda c: (-counts[c], c))))


def without_notes(text: str) -> str:
    """Remove bracketed editors' notes, also nested ones; a single character in [ ] is an emendation and is kept."""
    kept, depth = [], 0
    for character in _EMENDED.sub(r"\1", text):
        if character in _NOTE_OPENS:
            depth += 1
        elif character in _NOTE_CLOSES:
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(character)
    return "".join(kept)


def clean(text: str) -> str:
    """A poem as the model reads it: simplified, without notes, only Chinese characters and clause marks."""
    return only_verse(without_notes(converter("t2s").convert(text)))


def split_of(text: str) -> str:
    """The split of a cleaned poem, by the hash of its text: 1 % test, 1 % validation, the rest training."""
    bucket = int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return {0: "test", 1: "validation"}.get(bucket, "train")


def build(raw: Iterable[str], song: Iterable[str] = ()) -> tuple[Corpus, dict[str, int], dict[str, int]]:
    """Clean, deduplicate (ignoring punctuation, before splitting) and split. Returns also the Tang and Song counts.

    A Song poem is kept only if it equals no Tang poem and shares no line with a held-out poem.
    """
    seen: set[str] = set()
    counts, song_counts = Counter(read=0, too_short=0, duplicates=0), Counter(read=0, too_short=0, duplicates=0)
    poems: dict[str, list[str]] = {split: [] for split in SPLITS}
    for poem in new_poems(raw, seen, counts):
        poems[split_of(poem)].append(poem)
    held_out = {line for split in SPLITS[1:] for poem in poems[split] for line in _long_lines(poem)}
    song_counts["shared_lines"] = 0
    kept = []
    for poem in new_poems(song, seen, song_counts):
        if held_out.isdisjoint(_long_lines(poem)):
            kept.append(poem)
        else:
            song_counts["shared_lines"] += 1
    return Corpus(poems, kept), dict(counts), dict(song_counts)


def new_poems(raw: Iterable[str], seen: set[str], counts: Counter[str]) -> Iterator[str]:
    """The cleaned poems that are long enough and not in ``seen``; adds them to it and counts the others."""
    for text in raw:
        counts["read"] += 1
        poem = clean(text)
        key = only_chinese(poem)
        if len(poem) < MIN_CHARACTERS:
            counts["too_short"] += 1
        elif key in seen:
            counts["duplicates"] += 1
        else:
            seen.add(key)
            yield poem


def _long_lines(poem: str) -> Iterator[str]:
    return (line for line in clauses(poem) if len(line) >= LEAK_CHARACTERS)


def near_duplicates(corpus: Corpus, split: str) -> int:
    """How many poems of ``split`` share at least half of their lines with some training poem."""
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


def prepare(source: str, out: Path, song: bool = True) -> dict[str, object]:
    """Write the corpus to ``out``: one text file per split (one poem per line), song.txt, the tutorial's npz, a
    manifest.

    ``song``: include the Song poems if the source has them. Returns the manifest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if source.endswith(".npz"):
            corpus, counts, song_counts = build(_tutorial_poems(Path(source)))
        else:
            folder = fetch_package(Path(scratch), song) if source == "npm" else Path(source)
            song_poems = read_poems(folder, SONG) if song else ()
            corpus, counts, song_counts = build(read_poems(folder, "tang"), song_poems)
    if not corpus.poems["train"]:
        raise CorpusError("no poems are left after cleaning; the source should contain Chinese poems")
    out.mkdir(parents=True, exist_ok=True)
    files = {**corpus.poems, str(SONG): corpus.song} if corpus.song else corpus.poems
    (out / f"{SONG}.txt").unlink(missing_ok=True)  # from an earlier corpus
    for name, poems in files.items():
        (out / f"{name}.txt").write_text("".join(f"{poem}\n" for poem in poems), "utf-8")
    write_tutorial_npz(corpus, out / "tang_poem.npz")
    characters = Counter("".join(poem for split in SPLITS for poem in corpus.poems[split]))
    vocabulary = corpus.vocabulary()
    noted: dict[str, object] = {
        "source": PACKAGE if source == "npm" else Path(source).name,
        "counts": counts,
        "poems": {split: len(corpus.poems[split]) for split in SPLITS},
        "near_duplicates_of_training": {split: near_duplicates(corpus, split) for split in SPLITS[1:]},
        "characters": sum(characters.values()),
        "character_types": len(characters),
        "vocabulary": len(vocabulary),
        "sha1": {name: _sha1(out / f"{name}.txt") for name in files},
    }
    if corpus.song:
        song_characters = Counter(c for poem in corpus.song for c in poem)
        unknown = sum(count for c, count in song_characters.items() if c not in vocabulary)
        noted[SONG] = {
            "counts": song_counts,
            "poems": len(corpus.song),
            "characters": song_characters.total(),
            "unknown_share": round(unknown / song_characters.total(), 5),
        }
    (out / "manifest.json").write_text(json.dumps(noted, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return noted


def load_corpus(folder: Path, song: bool = False) -> Corpus:
    """A prepared corpus, with Song poems if ``song``; every file must match the hash in the manifest."""
    hashes = manifest(folder, song)["sha1"]
    poems = {name: _read_split(folder / f"{name}.txt", sha1) for name, sha1 in hashes.items()}
    return Corpus({split: poems[split] for split in SPLITS}, poems.get(SONG, []))


def _read_split(file: Path, sha1: str) -> list[str]:
    if not file.exists() or _sha1(file) != sha1:
        raise CorpusError(f"{file} is missing or does not match the manifest; run: python -m train prepare")
    return file.read_text("utf-8").splitlines()


def manifest(folder: Path, song: bool = False) -> dict[str, Any]:
    """The manifest that ``prepare`` wrote: source, counts, hashes; about Song poems only if ``song``."""
    try:
        read: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise CorpusError(f"no corpus in {folder}; run: python -m train prepare") from error
    except ValueError as error:
        raise CorpusError(f"{folder / 'manifest.json'} is not a manifest; run: python -m train prepare") from error
    if song and SONG not in read:
        raise CorpusError(
            f"the corpus in {folder} has no Song poems; run python -m train prepare without --no-song, "
            "or train with --song-share 0"
        )
    if not song:
        read.pop(SONG, None)
        read["sha1"].pop(SONG, None)
    return read


def write_tutorial_npz(corpus: Corpus, file: Path) -> None:
    """The whole corpus in the format of the tutorial's loader.

    ``data`` int32 [poems, 125]: START, characters, EOP, padded on the left, truncated to 125; ``ix2word`` and
    ``word2ix``: 0-d object arrays with one dictionary each. Reading them requires unpickling, so the file is only for
    the tutorial and nothing here reads it.
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
    except ValueError as error:  # not the tutorial's format, or not a regular file
        raise CorpusError(f"{file}: {error}") from error


def _sha1(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
