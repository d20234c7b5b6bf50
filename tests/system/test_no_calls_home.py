"""No library contacts other servers: a program only opens the sockets that its settings name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINGER_SECONDS = 12
"""A library may contact its collector from a thread some seconds after it was loaded."""
WRITES_AND_LINGERS = """
import sys, time
from pathlib import Path
from engine.contract import PoemRequest
from engine.poet import Poet
Poet.load(Path(sys.argv[1])).write([PoemRequest(mode="acrostic", text="春风")])
time.sleep(float(sys.argv[2]))
"""


def run(home: Path, model: Path, seconds: float, *before: str) -> None:
    """Load a model and write, as a user whose home folder is ``home``."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    subprocess.run(
        [*before, sys.executable, "-c", WRITES_AND_LINGERS, str(model), str(seconds)],
        cwd=ROOT,
        env={**environ, "HOME": str(home)},
        check=True,
        timeout=100,
    )


def test_writing_a_poem_leaves_nothing_in_the_home_folder(tiny_model: Path, tmp_path: Path) -> None:
    run(tmp_path, tiny_model, 0)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace shows the sockets of native code; it is not here")
def test_writing_a_poem_opens_no_socket(tiny_model: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    run(tmp_path, tiny_model, LINGER_SECONDS, "strace", "-f", "-qq", "-e", "trace=%network", "-o", str(trace))
    assert [line for line in trace.read_text().splitlines() if re.search(r"AF_INET|AF_UNIX", line)] == []


def test_one_module_imports_the_runtime_that_has_telemetry() -> None:
    importers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("bot", "engine", "train")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"(?m)^\s*(import|from) onnxruntime\b", path.read_text("utf-8"))
    ]
    assert importers == ["engine/model/onnx_backend.py"]
