"""Trains a run in several processes, one per GPU: starts Paddle's launcher as a child, and is what the launcher starts.

``python -m train.retrain.multi_gpu RUN DEVICE`` is one training process; with a third argument, a number, it becomes
the launcher of that many. All of them die with the process that started them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.contract.child_process import die_with_parent
from engine.model.paddle_runtime import DEVICE_CHOICES, DeviceChoice, import_paddle
from train.data.corpus import Corpus
from train.fit.data_parallel import locked_by_first
from train.fit.progress import Progress, stop_signals, throttled
from train.fit.run_folder import Run

_CORPUS, _PROGRESS = "corpus.json", "progress.json"
WRITE_SECONDS = 0.5
"""Seconds between writes of the progress file, and between reads of it."""
UNFINISHED_EXIT_CODE = 3

# The launcher writes its environment to files, so variables that may contain secrets are not passed on.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_", "TMP", "TZ", "PYTHON", "LD_", "CUDA", "NVIDIA", "NCCL", "GLOO", "OMP_",
              "MKL_", "FLAGS_")  # fmt: skip


def process_count(device: DeviceChoice) -> int:
    """One process per GPU that Paddle sees (respecting ``CUDA_VISIBLE_DEVICES``), or one on the CPU."""
    paddle = import_paddle()
    if device == "cpu" or not paddle.is_compiled_with_cuda():
        return 1
    return max(1, int(paddle.device.cuda.device_count()))


def train_in_processes(
    run: Run,
    corpus: Corpus,
    device: DeviceChoice,
    processes: int,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> int:
    """Train ``run`` to its end, or until ``stop`` returns True, and save a checkpoint. Returns the exit code, 0:
    success.

    It is that of the first failed process: the errno of an OSError, ``UNFINISHED_EXIT_CODE``, or 1; the error is on
    stderr.
    """
    # Includes the operator's own poems, so it differs from the corpus in TRAIN_DIR.
    (run.folder / _CORPUS).write_text(json.dumps(corpus.poems, ensure_ascii=False), "utf-8")
    (run.folder / _PROGRESS).unlink(missing_ok=True)
    words = [sys.executable, "-m", "train.retrain.multi_gpu", str(run.folder), device, str(processes)]
    environment = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    seen: Progress | None = None
    terminated = False
    with subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL) as launcher:  # noqa: S603
        try:
            while launcher.poll() is None:
                if stop() and not terminated:
                    terminated = True
                    launcher.terminate()
                now = _read_progress(run)
                if now is not None and now != seen:
                    seen = now
                    report(now)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    launcher.wait(WRITE_SECONDS)
        finally:
            launcher.kill()
    if (last := _read_progress(run)) is not None and last != seen:
        report(last)
    return launcher.returncode


def _read_progress(run: Run) -> Progress | None:
    with contextlib.suppress(FileNotFoundError):
        return Progress(**json.loads((run.folder / _PROGRESS).read_text("utf-8")))
    return None


def _write_progress(run: Run, progress: Progress) -> None:
    fresh = run.folder / f".{_PROGRESS}.new"
    fresh.write_text(json.dumps(dataclasses.asdict(progress), ensure_ascii=False), "utf-8")
    fresh.rename(run.folder / _PROGRESS)


def main(arguments: list[str]) -> int:
    die_with_parent(signal.SIGKILL)
    folder, device, *processes = arguments
    if processes:
        launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", *processes, "--log_dir", f"{folder}/logs"]
        itself = [sys.executable, "-m", "train.retrain.multi_gpu", folder, device]
        os.execv(sys.executable, [sys.executable, *launch, *itself])  # noqa: S606  (no shell needed)
    run = Run(Path(folder))
    try:
        with stop_signals() as stop_requested, locked_by_first(run, os.environ):
            import_paddle()
            from train.fit.trainer import Trainer

            corpus = Corpus(json.loads((run.folder / _CORPUS).read_text("utf-8")))
            [choice] = (choice for choice in DEVICE_CHOICES if choice == device)
            report = throttled(partial(_write_progress, run), WRITE_SECONDS)
            trainer = Trainer(run, corpus, report, stop_requested, choice)
            trainer.train()
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        return error.errno or 1
    return 0 if trainer.finished else UNFINISHED_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
