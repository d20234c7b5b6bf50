"""One retraining from beginning to end, in its own process: ``python -m train.retrain.job TASK``.

The trainer starts it, reads one JSON object per line from its stdout, and stops it: SIGTERM ends training with a
checkpoint, from which the same task continues later. It dies with the trainer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from engine.contract.child_process import die_with_parent
from engine.contract.codec import decode_text
from engine.contract.lock import HeldError, locked
from engine.contract.queue.training import Failure
from engine.model import checkpoint
from engine.model.folder import ModelFolderError, read_card
from engine.model.paddle_runtime import DeviceChoice, PaddleMissingError, import_paddle
from train.data import corpus as corpora
from train.data.own_poems import merge_own_poems, merged_manifest, read_own_poems
from train.data.source import CorpusError
from train.export.card import ancestor, is_aligned
from train.fit.config import PRESETS, TrainConfig
from train.fit.progress import Progress, TrainingError, throttled
from train.fit.run_folder import Run, RunError, Setup
from train.readers.marks import READER_MARKS, MarkedPoem, knows, read_marks
from train.retrain import multi_gpu

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LOCK_POLL_SECONDS = 0.5
MAX_REPORTED_FILES = 20
"""How many unreadable own files are reported by name; the rest is only counted."""
DETAIL_CHARACTERS = 2000
REPORT_SECONDS = 0.5
"""Minimum seconds between progress events."""
ALIGNMENT_EPOCHS = 1
"""Passes over the marked poems. Half a pass teaches most of what three do (docs/experiments.md), each takes about half
an hour on two cores, and a model that goes on from an aligned one has learned from most of these marks before."""


class _StopRequested(Exception):  # noqa: N818  (not an error: it was requested)
    pass


class SmallCorpusError(Exception):
    """Too few poems for a validation and a test split."""


class KilledError(Exception):
    """One of the training processes was killed."""


@dataclass(frozen=True)
class RetrainTask:
    """Folders as strings. ``base``: the model in use; ``run``, ``version``: names of the run and of the new version."""

    home: str
    run: str
    version: str
    base: str
    epochs: float
    start: str
    own_poems: str
    device: DeviceChoice
    threads: int | None
    poems: int
    save_every: float


class RetrainJob:
    """``processes``: returns how many processes train on a device; ``marks``: the file of readers' marks."""

    def __init__(
        self,
        task: RetrainTask,
        out: TextIO,
        processes: Callable[[DeviceChoice], int] = multi_gpu.process_count,
        marks: Path = READER_MARKS,
    ) -> None:
        self._task = task
        self._processes = processes
        self._marks = marks
        self._out = out
        self._home = Path(task.home)
        self._stop = False
        self._training = False
        self.interrupted = False
        """Whether a stop raised an exception, instead of only being noted for the end of a training step."""

    def emit(self, event: str, **facts: Any) -> None:
        """Write an event to stdout."""
        print(json.dumps({"event": event, **facts}, ensure_ascii=False), file=self._out, flush=True)

    def stop(self, *_: object) -> None:
        """Signal handler: training ends after its current step, everything else at once."""
        self._stop = True
        if not self._training:
            self.interrupted = True
            raise _StopRequested

    def run(self) -> None:
        """Prepare, train, align if the base is aligned, and measure, each reported as an event.

        _StopRequested: it was stopped before its end.
        """
        self.emit("preparing")
        task = self._task
        base = self._corpus()
        own = read_own_poems(Path(task.own_poems) if task.own_poems else None)
        corpus, added = merge_own_poems(base, own.texts)
        named = dict(itertools.islice(own.skipped.items(), MAX_REPORTED_FILES))
        self.emit("corpus", own_poems=added, skipped=named, more_skipped=len(own.skipped) - len(named))
        if not corpus.poems["train"] or not corpus.poems["validation"] or not corpus.poems["test"]:
            raise SmallCorpusError
        manifest = corpora.manifest(self._home / "corpus")
        import_paddle(task.threads)
        run = self._run(corpus, merged_manifest(corpus, manifest, added) if added else manifest)
        if not self._train(run, corpus):
            raise _StopRequested
        self._compare(self._export(run, corpus), run, corpus)

    def _export(self, run: Run, corpus: corpora.Corpus) -> Path:
        """The folder of the new version."""
        task, out = self._task, self._home / "models" / self._task.version
        from train.export.model_folder import export_run

        poems = read_marks(self._marks) if is_aligned(read_card(Path(task.base))) else []
        if poems and knows(run.setup().vocabulary, poems):
            self.emit("aligning")
            unaligned = run.folder / "unaligned"
            export_run(run, corpus, unaligned, f"{task.version}-unaligned", task.device)
            self._align(unaligned, poems, corpus, run.setup().corpus, out)
            self.emit("measuring")
        else:
            self.emit("measuring")
            export_run(run, corpus, out, task.version, task.device)
        return out

    def _align(
        self, unaligned: Path, poems: Sequence[MarkedPoem], corpus: corpora.Corpus, manifest: dict[str, Any], out: Path
    ) -> None:
        """Align the trained model: training on text alone loses some of what readers prefer."""
        task = self._task
        from train.export.model_folder import export_aligned
        from train.readers.alignment import align

        train, device = corpus.poems["train"], task.device
        aligned = partial(align, corpus=train, epochs=ALIGNMENT_EPOCHS, device=device)
        export_aligned(unaligned, poems, aligned, corpus, manifest, out, task.version, device)

    def _compare(self, out: Path, run: Run, corpus: corpora.Corpus) -> None:
        task = self._task
        from train.retrain.comparison import comparison_table, measure_model

        before = measure_model(Path(task.base), corpus, task.poems, task.device, task.threads)
        after = measure_model(out, corpus, task.poems, task.device, task.threads)
        better = after["perplexity, validation"] < before["perplexity, validation"]
        curve = run.folder / "loss.png"
        curve_file = str(curve) if curve.exists() else ""
        self.emit("done", better=better, table=comparison_table(before, after), curve=curve_file)

    def _corpus(self) -> corpora.Corpus:
        """The prepared corpus; downloaded if it does not exist."""
        folder = self._home / "corpus"
        if not (folder / "manifest.json").exists():
            corpora.prepare("npm", folder, song=False)
        return corpora.load_corpus(folder)

    def _run(self, corpus: corpora.Corpus, manifest: dict[str, Any]) -> Run:
        """The run that was started for this task, or a new one."""
        task = self._task
        run = Run(self._home / task.run)
        if (run.folder / "run.json").exists():
            if run.setup().corpus["sha1"] != manifest["sha1"]:
                raise RunError("the corpus or the own poems changed while the training was paused; start it again")
            return run
        model = checkpoint.load(Path(task.base))
        continues = task.start == "continue"
        config = dataclasses.replace(
            retrain_config(continues),
            **dataclasses.asdict(model.shape),
            epoch=task.epochs,
            model_path=task.base if continues else "",
            model_prefix=task.run,
            save_every=task.save_every,
            use_gpu=None if task.device == "auto" else task.device == "gpu",
        )
        vocabulary = model.vocabulary if continues else corpus.vocabulary()
        return Run.create(run.folder, Setup(config, vocabulary, manifest, ancestor(model.card) if continues else None))

    def _train(self, run: Run, corpus: corpora.Corpus) -> bool:
        """Train to the end of the run; False: stopped before."""
        processes = self._processes(self._task.device)
        if processes > 1:
            return self._train_together(run, corpus, processes)
        from train.fit.trainer import Trainer

        with run.locked():
            report = throttled(self._report, REPORT_SECONDS)
            trainer = Trainer(run, corpus, report, lambda: self._stop, self._task.device)
            self.emit("training", step=trainer.state.step)
            self._training = True
            try:
                trainer.train()
            finally:
                self._training = False
        return trainer.finished and not self._stop

    def _train_together(self, run: Run, corpus: corpora.Corpus, processes: int) -> bool:
        self.emit("training", step=run.newest_step() or 0)
        self._training = True
        try:
            code = multi_gpu.train_in_processes(
                run, corpus, self._task.device, processes, self._report, lambda: self._stop
            )
        finally:
            self._training = False
        if self._stop:
            return False
        if code in _DISK:
            raise OSError(code, os.strerror(code))
        if code:
            ended = f"training in {processes} processes ended with exit code {code}; the trainer's log says more"
            # Paddle's launcher returns the signal that killed a process as a negative code, seen here as 128 or more.
            raise KilledError(ended) if not 0 < code < 128 else TrainingError(ended)
        return True

    def _report(self, progress: Progress) -> None:
        numbers = dataclasses.asdict(progress)
        # NaN is not valid JSON.
        self.emit("progress", what=numbers.pop("event"), **{k: v if v == v else None for k, v in numbers.items()})


def retrain_config(continues: bool) -> TrainConfig:
    """Settings for retraining: a low learning rate to continue from a model, those of ``fit`` to start from scratch."""
    best = PRESETS["best"]
    if not continues:
        return best
    gentle = {"lr": 3e-4, "final_lr": 0.1, "batch_tokens": (1024, 2048), "dropout": 0.1, "warmup": 50}
    return best.with_settings(gentle)


def failure_of(error: Exception) -> tuple[Failure, str]:
    """Why it failed: a code for which the bot has a text, and a detail in English."""
    if isinstance(error, OSError):
        return ("disk" if error.errno in _DISK else "other"), error.strerror or str(error)
    if isinstance(error, SmallCorpusError):
        return "small", ""
    if isinstance(error, CorpusError):
        return ("npm" if "npm" in str(error) else "corpus"), str(error)
    failures: dict[type[Exception], Failure] = {
        ModelFolderError: "model", PaddleMissingError: "paddle", KilledError: "died", RunError: "other",
        TrainingError: "other",
    }  # fmt: skip
    if type(error) in failures:
        return failures[type(error)], str(error)
    return "other", type(error).__name__


@contextlib.contextmanager
def only_job_in(home: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Only one job runs per TRAIN_DIR; the others call ``waiting`` once and wait."""
    home.mkdir(parents=True, exist_ok=True)
    reported = False
    while True:
        try:
            with locked(home / ".retraining"):
                yield
                return
        except HeldError:
            if not reported:
                waiting()
            reported = True
        time.sleep(LOCK_POLL_SECONDS)


def run_to_end(job: RetrainJob, home: Path) -> int:
    """Exit code 0: finished or failed, as its last event says; 1: the trainer is gone; 3: stopped."""
    try:
        with only_job_in(home, lambda: job.emit("waiting")):
            job.run()
    except _StopRequested:
        return 3
    except BrokenPipeError:
        return 1
    except Exception as error:
        if job.interrupted:  # raised through Paddle, _StopRequested becomes another exception
            return 3
        failure, detail = failure_of(error)
        with contextlib.suppress(BrokenPipeError):
            job.emit("failed", failure=failure, detail=detail[:DETAIL_CHARACTERS])
        with contextlib.suppress(OSError):  # the log's disk may be full too
            traceback.print_exc()
    return 0


def main(arguments: list[str], processes: Callable[[DeviceChoice], int] = multi_gpu.process_count) -> int:
    """Returns the exit code of ``run_to_end``."""
    die_with_parent(signal.SIGKILL)
    os.nice(10)  # workers on the same machine come first
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(2, 1)  # keeps output of libraries out of the events
    task = decode_text(RetrainTask, arguments[0])
    job = RetrainJob(task, out, processes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, job.stop)
    return run_to_end(job, Path(task.home))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
