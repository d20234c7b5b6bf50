from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from engine.model.vocab import EOP, PAD, START
from tests.support.tiny_corpus import poems, prepared, write_source
from train.data import corpus
from train.data.source import CorpusError

QUATRAIN = "牀前看月光，疑是地上霜。舉頭望山月，低頭思故鄉。"
SIMPLIFIED = "床前看月光，疑是地上霜。举头望山月，低头思故乡。"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("白日（一作落日）依山盡", "白日依山盡"),
        ("白日（一作落日（集作夕陽））依山盡", "白日依山盡"),
        ("白日〖此句缺〗依{注}山(又)盡", "白日依山盡"),
        ("白日[依]山盡", "白日依山盡"),
        ("白日）依山盡", "白日依山盡"),
    ],
)
def test_notes_go_and_emendations_stay(text: str, left: str) -> None:
    assert corpus.without_notes(text) == left


def test_a_clean_poem_is_simplified_characters_and_marks() -> None:
    assert corpus.clean(f"  {QUATRAIN}(李白)\n□1a") == SIMPLIFIED


def test_duplicates_are_found_before_splitting_and_without_marks() -> None:
    built, counts, _ = corpus.build([QUATRAIN, SIMPLIFIED, SIMPLIFIED.replace("。", "！"), "太短。"])
    assert [poem for split in built.poems.values() for poem in split] == [SIMPLIFIED]
    assert (counts["duplicates"], counts["too_short"], counts["read"]) == (2, 1, 4)


def test_the_split_depends_on_the_text_alone() -> None:
    texts = poems(300)
    built, _, _ = corpus.build(texts)
    again, _, _ = corpus.build(reversed(texts))
    for split, number in (("test", 0), ("validation", 1)):
        assert sorted(built.poems[split]) == sorted(again.poems[split])
        hashes = [int(hashlib.sha1(poem.encode()).hexdigest(), 16) for poem in built.poems[split]]
        assert hashes
        assert all(value % 100 == number for value in hashes)
    assert sum(map(len, built.poems.values())) == 300


def test_the_vocabulary_holds_what_training_shows_twice() -> None:
    found = corpus.Corpus({"train": ["春春风", "风月"], "validation": ["月月"], "test": ["花花"]}).vocabulary()
    assert found.characters == ("春", "风")


def test_a_line_shared_by_half_a_poem_is_a_near_duplicate() -> None:
    poem = SIMPLIFIED.replace("低头思故乡", "低头思故人")
    other = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"
    built = corpus.Corpus({"train": [SIMPLIFIED], "validation": [poem, other], "test": []})
    assert corpus.near_duplicates(built, "validation") == 1


def test_a_prepared_corpus_is_read_back_and_a_changed_one_refused(tmp_path: Path) -> None:
    home = prepared(tmp_path)
    read = corpus.load_corpus(home / "corpus")
    assert sum(map(len, read.poems.values())) == 400
    with (home / "corpus" / "train.txt").open("a", encoding="utf-8") as file:
        file.write(f"{SIMPLIFIED}\n")
    with pytest.raises(CorpusError, match=r"train\.txt"):
        corpus.load_corpus(home / "corpus")


def test_a_folder_without_poems_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no chinese-poetry JSON"):
        corpus.prepare(str(tmp_path), tmp_path / "corpus")
    (tmp_path / "poet.tang.0.json").write_text('[{"title": "no paragraphs"}]', "utf-8")
    with pytest.raises(CorpusError, match=r"poet\.tang\.0\.json"):
        corpus.prepare(str(tmp_path), tmp_path / "corpus")


def test_the_tutorial_reads_its_npz(tmp_path: Path) -> None:
    long = "".join(poems(8))
    corpus.prepare(str(write_source(tmp_path / "source", [SIMPLIFIED, long])), tmp_path / "corpus")
    # as the tutorial's get_data does
    datas = np.load(tmp_path / "corpus" / "tang_poem.npz", allow_pickle=True)
    data, ix2word, word2ix = datas["data"], datas["ix2word"].item(), datas["word2ix"].item()
    assert data.shape == (2, 125)
    assert data.dtype == np.int32
    assert [ix2word[len(ix2word) - back] for back in (3, 2, 1)] == [EOP, START, PAD]
    assert all(word2ix[word] == i for i, word in ix2word.items())
    texts = {"".join(ix2word[i] for i in row if ix2word[i] != PAD) for row in data.tolist()}
    assert texts == {START + SIMPLIFIED + EOP, START + long[:124]}
    assert ix2word[data[[PAD in {ix2word[i] for i in row} for row in data.tolist()]][0, 0]] == PAD


def test_a_song_poem_with_a_held_out_line_is_dropped(tmp_path: Path) -> None:
    held_out = next(poem for poem in poems(300) if corpus.split_of(poem) == "validation")
    trained = next(poem for poem in poems(300) if corpus.split_of(poem) == "train")
    song = poems(9, seed=1)
    line, seen, short = held_out[6:11], trained[6:11], held_out[6:9]
    leak = f"{song[6][:6]}{line}。{song[6][12:]}"
    harmless = [f"{song[7][:6]}{seen}。{song[7][12:]}", f"{song[8][:6]}{short}。{song[8][12:]}"]
    source = write_source(tmp_path / "source", poems(300))
    write_source(source, [*song[:6], leak, *harmless, trained, held_out, song[0], "太短。"], "song")
    noted = corpus.prepare(str(source), tmp_path / "corpus")
    read = corpus.load_corpus(tmp_path / "corpus", song=True)
    assert read.song == [*song[:6], *harmless]
    assert noted["song"]["counts"] == {"read": 13, "too_short": 1, "duplicates": 3, "shared_lines": 1}  # type: ignore[index]


def test_song_poems_change_nothing_of_the_tang_corpus(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", poems(300))
    alone = corpus.prepare(str(source), tmp_path / "corpus")
    assert alone.keys() == corpus.manifest(tmp_path / "corpus").keys()
    with pytest.raises(CorpusError, match="--no-song"):
        corpus.load_corpus(tmp_path / "corpus", song=True)
    write_source(source, poems(20, seed=1), "song")
    corpus.prepare(str(source), tmp_path / "corpus")
    assert corpus.manifest(tmp_path / "corpus") == alone
    assert corpus.load_corpus(tmp_path / "corpus").song == []
    both = corpus.load_corpus(tmp_path / "corpus", song=True)
    assert both.poems == corpus.load_corpus(tmp_path / "corpus").poems
    assert len(both.song) == 20


def test_prepare_without_song_leaves_no_song_file(tmp_path: Path) -> None:
    home = prepared(tmp_path, song=20)
    assert (home / "corpus" / "song.txt").exists()
    corpus.prepare(str(home / "source"), home / "corpus", song=False)
    assert not (home / "corpus" / "song.txt").exists()
    assert "song" not in json.loads((home / "corpus" / "manifest.json").read_text("utf-8"))


def test_a_folder_of_song_poems_alone_is_no_tang_corpus(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", poems(20), "song")
    with pytest.raises(CorpusError, match="no chinese-poetry JSON"):
        corpus.prepare(str(source), tmp_path / "corpus")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("npm error code E404\nnpm error 404 Not Found - no such package\n", "404 Not Found - no such package"),
        (
            "npm error code ENOTFOUND\nnpm error errno ENOTFOUND\n"
            "npm error network request to https://example.org/p failed, reason: getaddrinfo ENOTFOUND example.org\n",
            "reason: getaddrinfo ENOTFOUND example.org",
        ),
        ("npm error code EACCES\nnpm error syscall mkdir\n", "code EACCES"),
        ("", "it gave no reason"),
    ],
)
@pytest.mark.parametrize("code", [1, 0])
def test_npm_that_cannot_fetch_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str, code: int
) -> None:
    npm = tmp_path / "npm"
    # As npm does it: errors are shown unless it is told to be silent.
    npm.write_text(f"#!/bin/sh\ncase \"$*\" in *--silent*) ;; *) printf '{said}' >&2 ;; esac\nexit {code}\n", "utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(CorpusError, match=f"{reason}.*--source DIR"):
        corpus.prepare("npm", tmp_path / "corpus")
