"""A retraining of an aligned model, which is aligned again."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest

from engine.model import checkpoint as checkpoints
from tests.support import tiny_corpus
from tests.support.marked_poems import random_poems, write_marks
from train.data.corpus import Corpus
from train.export.model_folder import derived_parts
from train.readers import alignment
from train.readers.marks import READER_MARKS
from train.retrain.job import ALIGNMENT_EPOCHS, RetrainJob, RetrainTask, run_to_end

ALIGNED = {"aligned_with_marks": {"marked_poems": 17994}}


@pytest.fixture
def task(home: Path, corpus: Corpus, tmp_path: Path) -> RetrainTask:
    """From an aligned model."""
    train_dir, base = tmp_path / "home", tmp_path / "model"
    train_dir.mkdir()
    (train_dir / "corpus").symlink_to(home / "corpus")
    model = tiny_corpus.checkpoint(characters=f"{tiny_corpus.CHARACTERS}，。")
    model = dataclasses.replace(model, card={"version": "tiny", "training": ALIGNED})
    checkpoints.save(base, model, derived_parts(model, corpus))
    return RetrainTask(str(train_dir), "retrain-1", "new", str(base), 1.0, "continue", "", "cpu", 1, 1, 10.0)


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of poems that the model knows, learned so fast that a few steps show."""
    fast = dataclasses.replace(alignment.OPTIMISATION, lr=0.01, warmup=1)
    monkeypatch.setattr(alignment, "OPTIMISATION", fast)
    file = tmp_path / "marks.tsv"
    write_marks(file, random_poems(80, tuple(tiny_corpus.CHARACTERS)), lambda number: 1 + number % 5)
    return file


def events(task: RetrainTask, marks: Path) -> list[dict[str, Any]]:
    """What the job reports, run to its end."""
    out = io.StringIO()
    RetrainJob(task, out, marks=marks).run()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def phases(reported: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in reported if event["event"] not in ("corpus", "progress")]


def new_card(task: RetrainTask) -> dict[str, Any]:
    return checkpoints.load(Path(task.home) / "models" / task.version).card


@pytest.mark.parametrize("start", ["continue", "scratch"])
def test_a_retraining_of_an_aligned_model_is_aligned_again_before_it_is_compared(
    task: RetrainTask, marks: Path, start: str
) -> None:
    reported = events(dataclasses.replace(task, start=start), marks)
    card = new_card(task)
    assert phases(reported) == ["preparing", "training", "aligning", "measuring", "done"]
    assert (card["version"], card["parent"]["version"]) == ("new", "new-unaligned")
    aligned = card["training"]["aligned_with_marks"]
    assert (aligned["marked_poems"], aligned["epochs"]) == (80, ALIGNMENT_EPOCHS)
    compared = {name: after for name, _, after in reported[-1]["table"]}["perplexity, validation"]
    assert compared == card["perplexity"]["validation"] != card["parent"]["perplexity"]["validation"]


def test_a_model_that_was_aligned_again_is_aligned_again_the_next_time(task: RetrainTask, marks: Path) -> None:
    events(task, marks)
    base = str(Path(task.home) / "models" / "new")
    second = dataclasses.replace(task, run="retrain-2", version="newer", base=base)
    assert "aligning" in phases(events(second, marks))


@pytest.mark.parametrize("why", ["never aligned", "marks unknown"])
def test_a_retraining_is_not_aligned_if_its_base_never_was_or_if_it_cannot_read_the_marks(
    task: RetrainTask, marks: Path, corpus: Corpus, why: str
) -> None:
    if why == "never aligned":
        base = checkpoints.load(Path(task.base))
        fresh = dataclasses.replace(base, card={"version": "tiny", "parent": {"training": ALIGNED}})
        checkpoints.save(Path(task.base), fresh, derived_parts(fresh, corpus))
    reported = events(task, marks if why == "never aligned" else READER_MARKS)
    assert phases(reported) == ["preparing", "training", "measuring", "done"]
    card = new_card(task)
    assert card["parent"]["version"] == "tiny"
    assert "aligned_with_marks" not in card["training"]


def test_an_alignment_that_is_stopped_ends_at_once_and_is_done_again_from_the_finished_training(
    task: RetrainTask, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    job = RetrainJob(task, out, marks=marks)
    with monkeypatch.context() as stopping:
        stopping.setattr(alignment, "align", lambda *_, **__: job.stop())
        with pytest.raises(Exception, match=r"^$") as stopped:
            job.run()
    assert stopped.typename == "_StopRequested"
    assert json.loads(out.getvalue().splitlines()[-1]) == {"event": "aligning"}
    assert not (Path(task.home) / "models" / "new").exists()
    reported = events(task, marks)
    assert phases(reported) == ["preparing", "training", "aligning", "measuring", "done"]
    [resumed] = [event["step"] for event in reported if event["event"] == "training"]
    assert resumed == new_card(task)["parent"]["training"]["steps"] > 0


class _StoppedWithinPaddle(RetrainJob):
    """Paddle replaces what a signal handler raises while it computes."""

    def run(self) -> None:
        with contextlib.suppress(BaseException):
            self.stop()
        raise OSError("(External) an error in Paddle")


def test_a_stop_that_paddle_turns_into_an_error_is_no_failure(task: RetrainTask, tmp_path: Path) -> None:
    out = io.StringIO()
    assert run_to_end(_StoppedWithinPaddle(task, out), tmp_path) == 3
    assert out.getvalue() == ""
