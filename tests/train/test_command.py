"""``python -m train``: mistakes are answered in one sentence, and its settings are those of every program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.model.paddle_runtime import INSTALL_HINT
from train.__main__ import EXTRA_PACKAGES, main

ROOT = Path(__file__).parents[2]
WITHOUT_THE_EXTRA = """if True:
    import runpy, sys
    sys.modules |= dict.fromkeys(("paddle", "matplotlib", "onnx", "tqdm"))
    sys.argv[0] = "train"
    runpy.run_module("train", run_name="__main__")
"""
"""``python -m train`` where a module that is None cannot be imported."""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fit", "--lr", "fast"], 2, "--lr: 'fast' is not a number"),
        (["fit", "--lr", "-1"], 2, "--lr is -1.0; it must be above 0"),
        (["fit", "--batch-tokens", "a,b"], 2, "--batch-tokens: 'a,b' is not numbers"),
        (["fit", "--epochs", "0"], 2, "--epochs is 0.0; it must be above 0"),
        (["fit", "--resume", "--from", "m"], 2, "--from cannot be combined with --resume"),
        (["fit", "--run", "taken"], 2, "name another with --run"),
        (["fit", "--run", ""], 2, "--run is empty"),
        (["fit", "--threads", "99999"], 2, "the cores of this machine"),
        (["fit", "--resume", "--run", "nowhere"], 2, "there is no run in"),
        (["fit", "--resume", "--lr", "1"], 2, "--lr cannot be combined with --resume"),
        (["fit", "--from", "m", "--hidden-dim", "9"], 2, "--hidden-dim does not go with --from"),
        (["fit", "--from", "nowhere", "--run", "x"], 1, "no model folder"),
        (["fit", "--data-path", "nowhere", "--run", "x"], 1, "run: python -m train prepare"),
        (["fit", "--song-share", "0.5", "--run", "x"], 1, "--no-song"),
        (["evaluate", "nowhere"], 1, "no model folder"),
        (["evaluate", "--duel", "engine/models/tang"], 2, "--pairs"),
        (["evaluate", "--score", "nowhere"], 2, "key.json cannot be read"),
        (["evaluate", "--pairs", "x", "--candidates", "65"], 2, "65 is more than 64"),
        (["export", "nowhere.safetensors", "--out", "x"], 2, "--notes"),
        (["export", "nowhere", "--out", "x"], 2, "there is no run in"),
        (["prepare", "--source", "nowhere"], 1, "has no chinese-poetry JSON"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    (home / "taken").mkdir(exist_ok=True)
    (home / "taken" / "run.json").touch()
    assert main(arguments, {"TRAIN_DIR": str(home)}) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_train_dir_in_the_env_file_is_the_one_that_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text(f"TRAIN_DIR={tmp_path / 'elsewhere'}\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--resume", "--run", "mine"], {}) == 2
    assert f"there is no run in {tmp_path / 'elsewhere' / 'mine'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["prepare", "--source", "SOURCE"], 1), (["fit"], 1), (["evaluate"], 1), (["worker", "--x"], 2)],
)
def test_without_the_extra_every_command_says_what_to_install(home: Path, arguments: list[str], code: int) -> None:
    words = [str(home / "source") if word == "SOURCE" else word for word in arguments]
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, *words],
        cwd=ROOT,
        env={"TRAIN_DIR": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == code, said.stderr
    assert said.stderr.count("\n") == (code > 0), said.stderr
    assert (INSTALL_HINT in said.stderr) == (code == 1), said.stderr


def test_a_package_that_training_alone_needs_is_called_by_its_name() -> None:
    tools = (ROOT / "pyproject.toml").read_text("utf-8").partition("train-tools = [")[2].partition("]")[0]
    assert sorted(EXTRA_PACKAGES) == sorted(tools.replace('"', "").split(", "))
