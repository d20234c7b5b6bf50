"""``python -m engine write`` and ``check`` as other programs call them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.contract import Poem
from tests.support.tiny_model import CHARACTERS, write_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("MODEL_DIR", str(folder))

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_json_is_a_poem_a_line_and_nothing_else(run: Run) -> None:
    code, out, err = run("write", "acrostic", "春风十里", "--seed", "5", "--count", "3", "--json")
    poems = [Poem.from_json(json.loads(line)) for line in out.splitlines()]
    assert (code, err, len(poems)) == (0, "", 3)
    assert {poem.form for poem in poems} == {"五绝"}


def test_poem_i_of_a_count_takes_the_seed_plus_i(run: Run) -> None:
    _, many, _ = run("write", "acrostic", "春风十里", "--seed", "5", "--count", "2", "--json")
    _, one, _ = run("write", "acrostic", "春风十里", "--seed", "6", "--json")
    assert many.splitlines()[1] == one.strip()


def test_a_poem_says_how_to_write_it_again(run: Run) -> None:
    written = run("write", "acrostic", "春风十里", "--seed", "5", "--candidates", "4")[1]
    poem, _, again = written.strip().rpartition("\nThis poem again: ")
    first, _, alone = again.rpartition("or ")
    assert first in ("", "--seed 5, ")
    assert run("write", "acrostic", "春风十里", *alone.split())[1].startswith(poem)
    unasked = run("write", "acrostic", "春风十里")[1]
    poem, _, alone = unasked.strip().rpartition("\nThis poem again: ")
    assert run("write", "acrostic", "春风十里", *alone.split())[1].startswith(poem)


@pytest.mark.parametrize(
    "arguments",
    [
        ("continue", ""),
        ("continue", "hello"),
        ("continue", "春眠不觉晓", "--form", "七绝"),
        ("continue", "春眠不觉晓", "--rhyme", "一屋"),
        ("continue", "春眠不觉晓", "--candidates", "0"),
        ("continue", "春眠不觉晓", "--seed", "-1"),
        ("acrostic", "春风十里", "--count", "0"),
    ],
)
def test_bad_input_is_exit_2_and_a_sentence(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run("write", *arguments)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1


def test_a_missing_model_is_exit_1_and_a_sentence(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "none"))
    code, out, err = run("write", "continue", "春眠不觉晓")
    assert (code, out) == (1, "")
    assert "none" in err


def test_check_exits_0_on_a_faultless_poem_and_1_on_faults(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, out, _ = run("write", "acrostic", "".join(CHARACTERS[:8:2]), "--seed", "1", "--json")
    poem = Poem.from_json(json.loads(out))
    file = tmp_path / "poem.txt"
    file.write_text(poem.text, "utf-8")
    code, out, _ = run("check", str(file), "--json")
    report = json.loads(out)
    assert (code, report["template"], report["rhyme"], report["faults"]) == (0, poem.template, poem.rhyme, [])
    faulty = "，".join([*poem.lines[:-1], poem.lines[-1][:-1] + CHARACTERS[1]])
    monkeypatch.setattr(sys, "stdin", typed(faulty.encode()))
    code, out, _ = run("check", "-")
    assert code == 1
    assert "落韵" in out


def typed(content: bytes) -> io.TextIOWrapper:
    """Standard input as it is in the C locale."""
    return io.TextIOWrapper(io.BytesIO(content), "utf-8", "surrogateescape")


def test_standard_input_that_is_no_text_is_exit_2_and_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", typed("床前明月光".encode("gb18030")))
    code, out, err = run("check", "-")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "standard input is not text in UTF-8" in err


@pytest.mark.parametrize("name", ["weights.safetensors", "missing.txt", ".", "weights.safetensors/poem.txt"])
def test_what_is_no_poem_file_is_exit_2_and_a_sentence_that_names_it(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(folder)
    code, out, err = run("check", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert name in err
    assert "Errno" not in err
    assert "text" in err


def test_more_threads_than_cores_are_refused_in_words(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("--threads", "99999"), ("--threads", "0")):
        with pytest.raises(SystemExit) as ended:
            run("write", "continue", "春眠不觉晓", *words)
        assert ended.value.code == 2
        assert "the cores of this machine" in capsys.readouterr().err
    monkeypatch.setenv("THREADS", "99999")
    code, _, err = run("write", "continue", "春眠不觉晓")
    assert code == 2
    assert "THREADS is wrong: must be a whole number from 1 to" in err


def test_nothing_to_check_is_exit_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("hello", "utf-8")
    assert run("check", str(tmp_path / "empty.txt"))[0] == 2
