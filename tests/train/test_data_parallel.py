"""Two processes that train together, on the CPU, as the launcher starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.model import checkpoint
from tests.support import tiny_corpus as train_tiny
from tests.support.programs import ROOT
from train.__main__ import main
from train.data import corpus as corpora
from train.fit.data_parallel import rank_of
from train.fit.run_folder import Run

FLAGS = [
    "--num-layers=2", "--embedding-dim=8", "--hidden-dim=16", "--batch-tokens=512", "--dropout=0", "--epochs=2",
    "--device=cpu", "--threads=1",
]  # fmt: skip


def test_without_a_launcher_a_process_is_alone() -> None:
    assert rank_of({}) == (0, 1)
    assert rank_of({"PADDLE_TRAINER_ID": "1", "PADDLE_TRAINERS_NUM": "2"}) == (1, 2)


def test_two_processes_learn_what_one_would(tmp_path: Path) -> None:
    home, teacher = train_tiny.prepared(tmp_path), tmp_path / "teacher"
    characters = corpora.load_corpus(home / "corpus").vocabulary().characters
    checkpoint.save(teacher, train_tiny.checkpoint(characters="".join(characters)))
    flags = [*FLAGS, f"--teacher={teacher}"]  # both processes read it; all else is as without one
    assert main(["fit", "--run", "alone", *flags], {"TRAIN_DIR": str(home)}) == 0
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", str(tmp_path / "logs")]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "train", "fit", "--run", "both", *flags],
        env={**os.environ, "TRAIN_DIR": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    logs = "\n".join(log.read_text("utf-8", errors="replace") for log in (tmp_path / "logs").glob("workerlog.*"))
    assert done.returncode == 0, logs
    alone, both = Run(home / "alone").newest(), Run(home / "both").newest()
    assert alone is not None
    assert both is not None
    assert both[0].step == alone[0].step
    # Adam's updates do not depend on the length of a gradient; the loss does.
    assert both[0].last("loss") == pytest.approx(alone[0].last("loss"), abs=1e-4)
    for name, tensor in alone[1].items():
        np.testing.assert_allclose(both[1][name], tensor, atol=2e-4, err_msg=name)
    assert len(list((home / "both" / "checkpoints").iterdir())) <= 2
