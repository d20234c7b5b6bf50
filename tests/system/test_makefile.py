"""What ``make`` does before it installs anything; uses the real Makefile in a separate folder, without pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    command = [*before, "make", "--silent", ".venv/serve", "PIP=true", *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=100)


def script(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    file.chmod(0o755)
    return file


def test_an_old_python_is_named_in_one_sentence_and_leaves_nothing(folder: Path) -> None:
    old = script(folder / "python3.10", 'test "$1" = --version && echo Python 3.10.12')
    made = make(folder, f"PYTHON={old}")
    assert made.returncode != 0
    said = [line for line in made.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert "Python 3.11 or newer is needed" in said[0]
    assert "is Python 3.10.12" in said[0]
    assert "index" not in made.stderr
    assert not (folder / ".venv").exists()
    assert "is not there" in make(folder, "PYTHON=no-such-python").stderr


def test_a_venv_of_another_interpreter_is_built_anew_and_a_good_one_stays(folder: Path) -> None:
    script(folder / ".venv" / "bin" / "python", "exit 1")  # as left by a Python that was removed or is too old
    (folder / ".venv" / "serve").touch()
    python = f"PYTHON={sys.executable}"
    venv = folder / ".venv" / "bin" / "python"
    assert make(folder, python).returncode == 0
    assert subprocess.run([venv, "-c", "import pip"], check=False).returncode == 0

    mark = folder / ".venv" / "mark"
    mark.touch()
    for words in ([python], []):  # the same Python, or none named: nothing is installed again
        kept = make(folder, *words)
        assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "")
        assert mark.exists()

    made_with = folder / ".venv" / "pyvenv.cfg"
    made_with.write_text(
        made_with.read_text("utf-8").replace(f"version = {sys.version_info.major}.", "version = 2."), "utf-8"
    )
    assert make(folder, python).returncode == 0
    assert not mark.exists()


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_named_as_the_reason(folder: Path) -> None:
    folder.chmod(0o555)
    humble = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
    made = make(folder, f"PYTHON={sys.executable}", before=humble)
    folder.chmod(0o755)
    said = [line for line in made.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert "this folder cannot be written to" in said[0]


@pytest.mark.parametrize("text", ["明月几时有，把酒问青天", "“春”'风'\"十里\"", "`touch made`; touch made"])
def test_a_text_reaches_the_program_as_it_was_typed(folder: Path, text: str) -> None:
    script(folder / ".venv" / "bin" / "python", 'for word; do echo "$word"; done')
    made = make(folder, "--assume-old=.venv/serve", "poem", f"TEXT={text}")
    assert made.stdout.splitlines()[-1] == text
    assert not (folder / "made").exists()
