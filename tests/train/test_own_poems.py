"""The operator's own poems: what is read, what is refused, and that nothing in a file is run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import tiny_corpus as train_tiny
from train.__main__ import main
from train.data import corpus as corpora
from train.data.files import MAX_FILE_BYTES
from train.data.npz import MAX_DICTIONARY_BYTES, MAX_IDS, MAX_POEMS, NpzError, read_npz
from train.data.own_poems import merge_own_poems, read_own_poems

POEMS = train_tiny.poems(4)


def archive(file: Path, words: Any = None, data: Any = None) -> Path:
    """An npz as the tutorial's, with a dictionary or an array of one's own."""
    if words is None:
        words = {0: "春", 1: "，", 2: "<START>"}
    np.savez(
        file,
        data=np.array([[2, 0, 1]], np.int32) if data is None else data,
        ix2word=np.array(words, dtype=object),
        word2ix=np.array({"春": 0}, dtype=object),
    )
    return file


def pickled(file: Path, content: bytes) -> Path:
    """An npz whose dictionary is ``content``, whatever it is."""
    archive(file)
    with zipfile.ZipFile(file) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    header = members["ix2word.npy"]
    length = 10 + int.from_bytes(header[8:10], "little")
    members["ix2word.npy"] = header[:length] + content
    with zipfile.ZipFile(file, "w") as whole:
        for name, value in members.items():
            whole.writestr(name, value)
    return file


def test_the_tutorials_file_that_prepare_wrote_is_read_back(tmp_path: Path) -> None:
    corpus = corpora.Corpus({"train": POEMS[:2], "validation": POEMS[2:3], "test": POEMS[3:]})
    corpora.write_tutorial_npz(corpus, tmp_path / "tang_poem.npz")
    assert read_npz(tmp_path / "tang_poem.npz") == POEMS


def test_the_tutorials_file_is_a_source_of_the_corpus(tmp_path: Path) -> None:
    poems = train_tiny.poems(100)
    corpora.write_tutorial_npz(corpora.Corpus({"train": poems, "validation": [], "test": []}), tmp_path / "t.npz")
    noted = corpora.prepare(str(tmp_path / "t.npz"), tmp_path / "corpus")
    assert noted["counts"] == {"read": 100, "too_short": 0, "duplicates": 0}


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.file}",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_file_that_would_run_code_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: int
) -> None:
    mark = tmp_path / "mark"
    for evil in (Touch(mark), {0: Touch(mark)}, [Touch(mark)]):
        file = pickled(tmp_path / "evil.npz", pickle.dumps(evil, protocol))
        with pytest.raises(NpzError, match="system"):
            read_npz(file)
    assert not mark.exists()
    assert main(["prepare", "--source", str(file)], {"TRAIN_DIR": str(tmp_path)}) == 1
    assert "only dictionaries" in capsys.readouterr().err


OTHERS: dict[str, bytes] = {
    "another class": pickle.dumps(OrderedDict({0: "春"})),
    "a list": pickle.dumps(["春"]),
    "floats": pickle.dumps({0.5: "春"}),
    "no string": pickle.dumps({0: ["春"]}),
    "bool keys": pickle.dumps({True: "春"}),
    "builtins": b"cbuiltins\neval\n(S'1'\ntR.",
    "a submodule": b"cnumpy\nlinalg.inv\n.",
    "nothing": b"",
    "half": pickle.dumps({0: "春"})[:-3],
    "a loop": b"]q\x00h\x00a.",
    "persistent": b"Pid\n.",
    "deep": b"(" * 100_000 + b".",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_dictionary_holds_strings_and_whole_numbers_or_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(NpzError):
        read_npz(pickled(tmp_path / "odd.npz", OTHERS[kind]))


def test_an_array_of_objects_in_place_of_numbers_is_refused_unread(tmp_path: Path) -> None:
    file = archive(tmp_path / "odd.npz", data=np.array([[Touch(tmp_path / "mark")]], dtype=object))
    with pytest.raises(NpzError, match="data"):
        read_npz(file)
    with pytest.raises(NpzError, match="id 9"):
        read_npz(archive(tmp_path / "odd.npz", data=np.array([[9]], np.int32)))
    assert not (tmp_path / "mark").exists()


def repacked(file: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    """An npz with other members, by their names without the ending."""
    archive(file)
    with zipfile.ZipFile(file) as whole:
        found = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(file, "w", method) as whole:
        for name, value in (found | {f"{name}.npy": content for name, content in members.items()}).items():
            whole.writestr(name, value)
    return file


def zeros(rows: int, width: int, kind: str = "|i1", size: int | None = None) -> bytes:
    """An array's file, or the beginning of one, of the shape that it claims."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {width}), }}".ljust(117) + "\n"
    content = bytes(rows * width * int(kind[-1]) if size is None else size)
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


BOMBS: dict[str, Callable[[Path], Path]] = {
    "many zeros": lambda file: repacked(file, data=zeros(MAX_POEMS, 300)),
    "many numbers": lambda file: repacked(file, data=zeros(1000, MAX_IDS // 1000 + 1, size=16)),
    "many rows of nothing": lambda file: repacked(file, data=zeros(1 << 40, 0)),
    "too many poems": lambda file: repacked(file, data=zeros(MAX_POEMS + 1, 1)),
    "a row of minus": lambda file: repacked(file, data=zeros(-4, -4, size=16)),
    "less than it says": lambda file: repacked(file, data=zeros(100, 100, size=16)),
    "bzip2": lambda file: repacked(file, zipfile.ZIP_BZIP2),
    "a place in the sky": lambda file: pickled(file, b"}r" + (1 << 31).to_bytes(4, "little") + b"."),
    "a place in the sky, in digits": lambda file: pickled(file, b"}p2147483648\n."),
    "a large dictionary": lambda file: pickled(file, b"}" * (MAX_DICTIONARY_BYTES + 1) + b"."),
    "a long word": lambda file: archive(file, {0: "春" * 1_000_000, 1: "，", 2: "<START>"}),
}
LITTLE_MEMORY = """if True:
    import resource, sys
    from pathlib import Path
    from train.data.npz import NpzError, read_npz
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + (320 << 20),) * 2)
    try:
        read_npz(Path(sys.argv[1]))
    except NpzError as error:
        print("refused", error)
"""
"""Reads a file with no more memory than the largest one that is allowed needs."""


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_would_unpack_to_much_is_refused_before_it_does(tmp_path: Path, kind: str) -> None:
    file = BOMBS[kind](tmp_path / "bomb.npz")
    command = [sys.executable, "-c", LITTLE_MEMORY, str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout.startswith("refused"), found.stderr
    assert "MemoryError" not in found.stdout


def test_an_array_in_columns_is_read_as_well(tmp_path: Path) -> None:
    data = np.asfortranarray(np.array([[2, 0, 1], [0, 1, 1]], np.int64))
    assert read_npz(archive(tmp_path / "columns.npz", data=data)) == ["春，", "春，，"]


@pytest.mark.parametrize("ending", ["txt", "json", "npz"])
def test_pipes_and_devices_are_named_and_never_waited_for(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"pipe.{ending}")
    (tmp_path / f"zero.{ending}").symlink_to("/dev/zero")
    (tmp_path / f"large.{ending}").touch()
    os.truncate(tmp_path / f"large.{ending}", MAX_FILE_BYTES + 1)
    assert read_own_poems(tmp_path).skipped == {
        f"large.{ending}": "large",
        f"pipe.{ending}": "special",
        f"zero.{ending}": "special",
    }


def test_own_poems_of_three_kinds_are_read_and_bad_files_are_named_and_left_out_whole(tmp_path: Path) -> None:
    long = train_tiny.poems(6, seed=3)
    (tmp_path / "a.txt").write_bytes(f"\ufeff{long[0]}\r\n\r\n\r\n{long[1][:12]}\r\n{long[1][12:]}\r\n".encode())
    (tmp_path / "b.json").write_text(json.dumps([{"paragraphs": [long[2]]}]), "utf-8")
    corpora.write_tutorial_npz(corpora.Corpus({"train": [long[3]], "validation": [], "test": []}), tmp_path / "c.npz")
    bad = {
        "d.json": json.dumps([{"paragraphs": [long[4]]}, {"title": "no paragraphs"}]).encode(),
        "e.txt": f"{long[5]}\n\n".encode() + b"\xff\xfe",
        "f.npz": b"PK",
        "g.md": long[5].encode(),
        "h.txt": b"no Chinese here",
        "i.json": b"[" * 100_000,
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    own = read_own_poems(tmp_path)
    corpus, added = merge_own_poems(corpora.Corpus({"train": [long[0]], "validation": [], "test": []}), own.texts)
    assert own.skipped == {
        "d.json": "json", "e.txt": "utf8", "f.npz": "npz", "g.md": "kind", "h.txt": "empty", "i.json": "json",
    }  # fmt: skip
    assert {poem for poems in corpus.poems.values() for poem in poems} == set(long[:4])
    assert added == 3, "the one that was there is not counted twice"


def test_no_folder_is_no_poems_and_a_missing_one_is_named(tmp_path: Path) -> None:
    assert read_own_poems(None).skipped == {}
    assert read_own_poems(tmp_path / "missing").skipped == {"missing": "no_folder"}
