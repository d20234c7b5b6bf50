"""A retraining in two processes on the CPU, as a job starts them if Paddle sees several GPUs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from pathlib import Path

import pytest

from engine.contract.codec import encode_text
from engine.model import checkpoint
from tests.support import tiny_corpus as train_tiny
from tests.support.programs import program
from tests.support.waiting import until
from train.data import corpus as corpora
from train.export.model_folder import derived_parts
from train.fit.run_folder import Run
from train.retrain.job import RetrainTask
from train.retrain.multi_gpu import process_count

IN_TWO = "import sys; from train.retrain.job import main; sys.exit(main(sys.argv[1:], lambda device: 2))"
SECRET = {"REDIS_URL": "redis://:hushhush@nowhere", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def task(tmp_path: Path) -> RetrainTask:
    home = train_tiny.prepared(tmp_path / "home")
    model = train_tiny.checkpoint()
    checkpoint.save(tmp_path / "model", model, derived_parts(model, corpora.load_corpus(home / "corpus")))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("\n\n".join(train_tiny.poems(3, seed=9)), "utf-8")
    return RetrainTask(
        home=str(home),
        run="retrain-1",
        version="new",
        base=str(tmp_path / "model"),
        epochs=20,
        start="continue",
        own_poems=str(tmp_path / "own"),
        device="cpu",
        threads=1,
        poems=1,
        save_every=10,
    )


def endless(task: RetrainTask) -> str:
    return encode_text(dataclasses.replace(task, epochs=10_000))


def living(run: Path) -> dict[int, list[str]]:
    """Command lines by process, of all that were started to train ``run``."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_text("utf-8", errors="replace").split("\0")
            if "train.retrain.multi_gpu" in words and str(run) in words:
                found[int(file.parent.name)] = words
    return found


def events(text: str, name: str) -> list[dict[str, object]]:
    said = [json.loads(line) for line in text.splitlines() if line.startswith('{"event"')]
    return [event for event in said if event["event"] == name]


def test_a_cpu_is_one_process() -> None:
    assert process_count("cpu") == 1


async def test_a_stopped_training_of_two_processes_is_gone_on_with_to_its_end(
    task: RetrainTask, tmp_path: Path
) -> None:
    run = Run(Path(task.home) / task.run)
    log = tmp_path / "first.log"
    async with program(log, "-c", IN_TWO, encode_text(task), environ=SECRET) as job:
        await job.says('"event": "progress"')
        assert len(living(run.folder)) == 3, "the launcher and two processes"
        assert await job.end() == 3, job.output()
    assert living(run.folder) == {}
    step = run.newest_step()
    assert step is not None, log.read_text("utf-8")
    assert step > 0
    assert [each for each in run.folder.rglob("*") if each.is_file() and b"hushhush" in each.read_bytes()] == []

    async with program(tmp_path / "second.log", "-c", IN_TWO, encode_text(task), environ=SECRET) as job:
        assert await job.ended() == 0
        said = job.output()
    assert events(said, "failed") == [], said
    assert events(said, "training")[0]["step"] == step
    assert events(said, "progress")[-1]["part"] == 1.0
    assert events(said, "done"), said
    assert checkpoint.load(Path(task.home) / "models" / "new").card["version"] == "new"


async def test_a_killed_job_takes_its_processes_with_it(task: RetrainTask, tmp_path: Path) -> None:
    folder = Path(task.home) / task.run
    async with program(tmp_path / "job.log", "-c", IN_TWO, endless(task), environ=SECRET) as job:
        await job.says('"event": "progress"')
        await job.kill()

        async def gone() -> bool:
            return living(folder) == {}

        await until(gone)


async def test_a_process_that_dies_ends_the_job_as_a_death(task: RetrainTask, tmp_path: Path) -> None:
    folder = Path(task.home) / task.run
    async with program(tmp_path / "job.log", "-c", IN_TWO, endless(task), environ=SECRET) as job:
        await job.says('"event": "progress"')
        os.kill(next(pid for pid, words in living(folder).items() if "paddle.distributed.launch" not in words), 9)
        assert await job.ended() == 0
        [failed] = events(job.output(), "failed")
    assert failed["failure"] == "died", "the trainer goes on with it"
    assert "2 processes ended with" in str(failed["detail"])
    assert living(folder) == {}
