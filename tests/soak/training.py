"""A training process that is killed repeatedly."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path

from engine.contract.queue.messages import Chat
from engine.contract.queue.store import Queue
from engine.contract.queue.training import FINAL_PHASES, Order, Training
from engine.model.checkpoint import save
from tests.soak.harness import SoakResult, moments, open_queue
from tests.support import tiny_corpus
from tests.support.programs import child_running
from tests.support.stage import stage
from tests.support.waiting import until
from train.data import corpus as corpora
from train.export.model_folder import derived_parts
from train.fit.run_folder import Run
from train.retrain.context import run_name

TRAINER = ("-m", "train", "worker", "--device", "cpu", "--threads", "1", "--poems", "2", "--save-every", "0.05")


async def killed(kills: int = 5, poems: int = 20_000, epochs: float = 20.0) -> SoakResult:
    """Uses a toy corpus and model; kills up to eight seconds after each continuation, with a checkpoint every three."""
    async with stage(LEASE="1") as here, open_queue(here.store.url) as (_, queue):
        home = await asyncio.to_thread(tiny_corpus.prepared, here.folder / "home", poems)
        await asyncio.to_thread(_write_model, here.folder / "model", home)
        told = {"TRAIN_DIR": str(home), "MODEL_DIR": str(here.folder / "model")}
        async with here.program("trainer", *TRAINER, **told) as trainer:
            _, entry = await queue.trainings.order(Order(epochs, "continue", Chat(1), "en"), "soak")
            run = Run(home / run_name(entry))
            fallen = behind = done = 0
            longest = 0.0
            for number, wait in enumerate(moments(kills, 0.5, 8.0)):
                await until(partial(_trains, queue, number))
                await asyncio.sleep(wait)
                reached = (await _current(queue)).report
                if reached.phase in FINAL_PHASES:
                    break
                checkpoint = run.newest_step() or 0
                os.kill(child_running(trainer.pid, "train.retrain.job"), signal.SIGKILL)
                done, began = done + 1, time.monotonic()
                await until(partial(_trains, queue, number + 1))
                longest = max(longest, time.monotonic() - began)
                resumed = (await _current(queue)).report.resumed or 0
                behind += resumed < checkpoint
                fallen = max(fallen, reached.step - resumed)
            await until(partial(_over, queue))
            report = (await _current(queue)).report
            more = {
                "steps": report.step,
                "behind_the_newest_checkpoint": behind,
                "most_steps_to_do_again": fallen,
                "longest_until_it_went_on": longest,
                "promoted": report.promoted,
            }
            return SoakResult("training process killed", done, 1, int(report.phase != "done"), 0, more)


def _write_model(folder: Path, home: Path) -> None:
    model = tiny_corpus.checkpoint()
    save(folder, model, derived_parts(model, corpora.load_corpus(home / "corpus")))


async def _current(queue: Queue) -> Training:
    training = await queue.trainings.current()
    assert training is not None
    return training


async def _trains(queue: Queue, interruptions: int) -> bool:
    """Whether the training makes steps after so many interruptions, or is over."""
    report = (await _current(queue)).report
    trains = report.phase == "training" and report.interruptions == interruptions and report.step > 0
    return trains or report.phase in FINAL_PHASES


async def _over(queue: Queue) -> bool:
    return (await _current(queue)).report.phase in FINAL_PHASES
