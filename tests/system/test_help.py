"""Every command has a help text with an example."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "engine", "engine write", "engine check", "engine dead",
    "engine.serving.healthcheck", "bot", "bot.standalone",
    "train", "train prepare", "train fit", "train evaluate", "train export", "train align", "train preference",
    "train worker",
)  # fmt: skip


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_at_once_with_an_example(command: str) -> None:
    words = command.split()
    shown = run([*words, "--help"])
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert re.search(r"examples?:", shown.stdout, re.IGNORECASE)
    text = " ".join(shown.stdout.split())
    assert f"python -m {words[0]}" in text.partition("xample")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_word_that_no_command_knows_is_answered_in_one_sentence(command: str) -> None:
    said = run([*command.split(), "--no-such-word"])
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1), said.stderr
    assert f"python -m {command.split()[0]}" in said.stderr
    assert "--help" in said.stderr


ENGINE = (sys.executable, "-m", "engine", "write", "acrostic", "春", "--candidates", "1")


def test_a_reader_of_the_output_that_leaves_is_no_fault(tiny_model: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    environ = {**os.environ, "MODEL_DIR": str(tiny_model)}
    left = subprocess.run(
        ENGINE, cwd=ROOT, env=environ, stdout=writes, stderr=subprocess.PIPE, text=True, check=False, timeout=100
    )
    os.close(writes)
    assert (left.returncode, left.stderr) == (1, "")


def test_ctrl_c_ends_a_command_without_a_word(tiny_model: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "poem.txt"  # read by the command, and never written to
    os.mkfifo(pipe)
    with (
        subprocess.Popen(
            [*ENGINE[:3], "check", pipe], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as command,
        pipe.open("wb"),
    ):  # waits until the command opens it
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=100)
    assert (command.returncode, out, err) == (0, "", "")


def test_no_example_writes_over_the_released_model_and_models_of_ones_own_stay_out_of_git() -> None:
    shown = run(["train", "export", "--help"]).stdout
    assert re.search(r"example.*--out models/", shown, re.DOTALL)
    assert "engine/models" not in shown
    assert "/models/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
