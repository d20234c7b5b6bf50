"""Retraining from the chat, end to end: real processes, a real server, a toy corpus and model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.messages import Chat
from engine.contract.queue.store import Queue, connect
from engine.contract.queue.training import FINAL_PHASES, Order, Training, TrainingReport
from engine.model.checkpoint import save
from tests.support import tiny_corpus as train_tiny
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import RunningProgram, answers, child_running, environment, program
from tests.support.store_process import kill_store
from tests.support.waiting import until
from train.data import corpus as corpora
from train.export.model_folder import derived_parts
from train.retrain.order import MAX_STALLS

ADMIN, CHAT = 42, 77
DYING_JOB = """if True:
    import runpy, sys
    from train.retrain import order, process
    process.JOB = ("-c", "import os; os.kill(os.getpid(), 9)")
    order.RESTART_SECONDS = 0.0
    sys.argv[0] = "train"
    runpy.run_module("train", run_name="__main__")
"""
"""A trainer whose training processes are killed before they do anything."""
TRAINER = ("-m", "train", "worker", "--device", "cpu", "--threads", "1", "--poems", "2", "--save-every", "0.0001")
FULL_DISK = """if True:
    import resource, runpy, sys
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
    sys.argv[0] = "train"
    runpy.run_module("train", run_name="__main__")
"""
"""A program that may write no file as large as a checkpoint."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TRAIN_DIR with a prepared corpus, and a model beside it."""
    folder = tmp_path_factory.mktemp("retrain")
    home = train_tiny.prepared(folder / "home")
    model = train_tiny.checkpoint()
    save(folder / "model", model, derived_parts(model, corpora.load_corpus(home / "corpus")))
    return folder


@pytest.fixture
def environ(server: RedisServer, prefix: str, telegram: FakeTelegram, prepared: Path, tmp_path: Path) -> dict[str, str]:
    shutil.copytree(prepared, tmp_path / "prepared")
    told = {
        "KEY_PREFIX": prefix,
        "LEASE": "0.5",
        "ADMIN_IDS": str(ADMIN),
        "TRAIN_DIR": str(tmp_path / "prepared" / "home"),
        "MODEL_DIR": str(tmp_path / "prepared" / "model"),
        "CANDIDATES": "1",
    }
    return environment(server.url, telegram, **told)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus so large that no machine finishes a hundred epochs before the test ends."""
    return train_tiny.prepared(tmp_path_factory.mktemp("many"), 20_000) / "corpus"


@pytest.fixture
def endless(environ: dict[str, str], many: Path) -> None:
    """A training that does not end by itself."""
    shutil.copytree(many, Path(environ["TRAIN_DIR"]) / "corpus", dirs_exist_ok=True)


def training_process(trainer: int) -> int:
    return child_running(trainer, "train.retrain.job")


async def order(telegram: FakeTelegram, text: str, **options: Any) -> None:
    await telegram.write(text, **({"chat": CHAT, "user": ADMIN} | options))


async def asked(telegram: FakeTelegram, text: str, words: str) -> str:
    """The answer to the administrator."""
    before = len(telegram.sent)
    await order(telegram, text)
    await telegram.until(lambda: any(words in sent.plain for sent in telegram.sent[before:]))
    return next(sent.plain for sent in telegram.sent[before:] if words in sent.plain)


def ready(queue: Queue) -> Callable[[], Any]:
    async def alive() -> bool:
        return await queue.trainings.trainers.alive() > 0

    return alive


async def current(queue: Queue) -> Training:
    training = await queue.trainings.current()
    assert training is not None
    return training


def trained(queue: Queue, steps: int) -> Callable[[], Any]:
    async def far_enough() -> bool:
        training = await queue.trainings.current()
        return training is not None and training.report.phase == "training" and training.report.step >= steps

    return far_enough


@contextlib.asynccontextmanager
async def bot_and_trainer(
    queue: Queue, environ: dict[str, str], folder: Path
) -> AsyncIterator[tuple[RunningProgram, RunningProgram]]:
    async with (
        program(folder / "bot.log", "-m", "bot", environ=environ) as bot,
        program(folder / "trainer.log", *TRAINER, environ=environ) as trainer,
    ):
        await until(ready(queue))
        await answers(f"http://127.0.0.1:{environ['HTTP_PORT']}/healthz")
        yield bot, trainer


async def model_of(environ: dict[str, str], http: aiohttp.ClientSession) -> str:
    url = f"http://127.0.0.1:{environ['HTTP_PORT']}/api/poems"
    body = json.dumps({"mode": "acrostic", "text": "春", "candidates": 1}).encode()
    async with http.post(url, data=body) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["model"])


async def test_an_admin_retrains_promotes_and_rolls_back_while_readers_are_served(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.txt").write_text("\n\n".join(train_tiny.poems(3, seed=9)), "utf-8")
    (own / "bad.npz").write_bytes(b"no archive")
    environ["OWN_POEMS_DIR"] = str(own)
    async with (
        program(tmp_path / "worker.log", "-m", "engine", "--device", "cpu", environ=environ),
        bot_and_trainer(queue, environ, tmp_path),
        aiohttp.ClientSession() as http,
    ):
        await answers(f"http://127.0.0.1:{environ['HTTP_PORT']}/readyz")
        assert await model_of(environ, http) == "tiny"
        await order(telegram, "/retrain 3")
        await telegram.until(lambda: any("再训练" in sent.plain for sent in telegram.sent))
        assert "再训练" in await asked(
            telegram, "/retrain 1", "再训练"
        )  # the first continues, the second gets its state
        models = set()
        while not telegram.photos:
            models.add(await model_of(environ, http))
        [final] = telegram.photos
        version = (await current(queue)).report.version
        await telegram.until(lambda: any(f"已换用 {version}" in sent.plain for sent in telegram.sent))
        models.add(await model_of(environ, http))
        listing = await asked(telegram, "/model", "原版")
        await asked(telegram, "/model use nonsense", "没有 nonsense")
        await asked(telegram, "/model use tiny", "已换用 tiny")
        assert await model_of(environ, http) == "tiny"
    assert models == {"tiny", version}
    assert "验证困惑度" in final.plain
    assert "已启用" in final.plain
    assert version in listing
    last = telegram.edits[-1].plain
    assert "完成" in last
    assert "自备的诗：3 首" in last
    assert "bad.npz" in last
    assert {edit.chat for edit in telegram.edits} == {CHAT}
    assert len(telegram.edits) < 10
    progress = [sent for sent in telegram.sent if sent.chat == CHAT and "再训练" in sent.plain]
    assert len(progress) == 2, "one message is edited; the other answered the second command"


async def test_a_version_that_is_no_better_is_kept_and_not_used_and_old_ones_are_pruned(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    models = Path(environ["TRAIN_DIR"]) / "models"
    corpus = corpora.load_corpus(Path(environ["TRAIN_DIR"]) / "corpus")
    knowing = train_tiny.checkpoint(characters="".join(corpus.vocabulary().characters))
    knowing.weights["output.weight"][:] = 0
    # It knows the frequency of each character and of the end symbol, more than one step can teach.
    counts = Counter("".join(corpus.poems["train"]))
    ends = [len(corpus.poems["train"])] * 4
    known = [counts[c] for c in knowing.vocabulary.characters]
    knowing.weights["output.bias"][:] = [math.log(count) for count in (*known, *ends)]
    save(Path(environ["MODEL_DIR"]), knowing, derived_parts(knowing, corpus))
    shutil.copytree(environ["MODEL_DIR"], models / "old")
    left, young = (models.parent / f"retrain-{number}-0" for number in (1_700_000_000_000, 1_700_000_000_001))
    left.mkdir()
    young.mkdir()
    os.utime(left, (0, 0))
    async with bot_and_trainer(queue, environ | {"MODEL_KEEP": "1"}, tmp_path):
        await order(telegram, "/retrain 0.01 scratch")
        await telegram.until(lambda: bool(telegram.photos))
    training = await current(queue)
    assert not training.report.promoted
    assert await queue.models.desired() is None
    assert f"/model use {training.report.version}" in telegram.photos[0].plain
    assert [place.name for place in models.iterdir()] == [training.report.version]
    assert list(models.parent.glob("retrain-*")) == [young], "it may be another store's"
    assert set(await queue.models.versions()) == {"tiny", training.report.version}


@pytest.mark.usefixtures("endless")
async def test_a_killed_trainer_is_followed_by_one_that_goes_on_and_a_killed_bot_by_the_same_message(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    async with bot_and_trainer(queue, environ, tmp_path) as (bot, trainer):
        await order(telegram, "/retrain 100")
        await until(trained(queue, 20))
        await trainer.kill()
        await bot.kill()
        step = (await current(queue)).report.step
        async with bot_and_trainer(queue, environ, tmp_path):
            await telegram.until(
                lambda: any("中断过 1 次，从第" in edit.plain and "接着练" in edit.plain for edit in telegram.edits)
            )
            resumed = (await current(queue)).report.resumed
            assert resumed is not None
            assert resumed > 0
            await until(trained(queue, step + 1))
            await order(telegram, "/retrain cancel")
            await telegram.until(lambda: "已取消" in telegram.edits[-1].plain)
            assert "没有训练" in await asked(telegram, "/retrain cancel", "没有训练")
    assert len([sent for sent in telegram.sent if "再训练" in sent.plain]) == 1
    assert list((tmp_path / "prepared" / "home").glob("retrain-*")) == []


@pytest.mark.usefixtures("endless")
async def test_a_training_process_that_is_killed_goes_on_from_its_checkpoint_and_the_message_says_so(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    async with bot_and_trainer(queue, environ, tmp_path) as (_, trainer):
        await order(telegram, "/retrain 100")
        await until(trained(queue, 5))
        for _ in range(2):
            before = (await current(queue)).report
            await until(trained(queue, before.step + 5))
            os.kill(training_process(trainer.pid), signal.SIGKILL)

            async def goes_on(before: TrainingReport = before) -> bool:
                now = (await current(queue)).report
                return now.phase == "training" and now.interruptions == before.interruptions + 1

            await until(goes_on)
            assert ((await current(queue)).report.resumed or 0) >= before.step, "every step is saved here"
        await telegram.until(lambda: any("中断过 2 次，从第" in edit.plain for edit in telegram.edits))
        assert not trainer.has_ended
        await order(telegram, "/retrain cancel")
        await telegram.until(lambda: "已取消" in telegram.edits[-1].plain)


async def test_a_training_process_that_dies_each_time_before_a_step_is_given_up(
    queue: Queue, environ: dict[str, str], tmp_path: Path
) -> None:
    await queue.trainings.order(Order(1, "continue", Chat(CHAT), "en"), "u1")
    async with program(tmp_path / "trainer.log", "-c", DYING_JOB, *TRAINER[2:], environ=environ):

        async def over() -> bool:
            return (await current(queue)).report.phase in FINAL_PHASES

        await until(over)
    report = (await current(queue)).report
    assert (report.failure, report.detail, report.interruptions) == ("died", "signal 9", MAX_STALLS + 1)


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("train_dir", ["moved", "gone"])
async def test_an_order_whose_train_dir_has_moved_or_gone_is_reported_and_dropped(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path, train_dir: str
) -> None:
    async with bot_and_trainer(queue, environ, tmp_path) as (_, trainer):
        await order(telegram, "/retrain 100")
        await until(trained(queue, 5))
        await trainer.kill()
    begun = environ["TRAIN_DIR"]
    place = tmp_path / ("elsewhere" if train_dir == "moved" else "prepared/home")
    now = str(place)
    if train_dir == "gone":
        shutil.rmtree(begun)
    async with bot_and_trainer(queue, environ | {"TRAIN_DIR": now}, tmp_path):
        await telegram.until(lambda: any("TRAIN_DIR 换过或清空过" in edit.plain for edit in telegram.edits))
    report = (await current(queue)).report
    assert (report.phase, report.failure, report.detail) == ("failed", "moved", f"{begun} → {now}")
    assert await queue.trainings.orders.length() == 0
    assert list(place.glob("*")) == [], "nothing of it was run"


async def test_many_unreadable_files_are_counted_and_stop_nothing(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for number in range(1500):
        (own / f"{number:04d}{'诗' * 60}.md").touch()
    (own / os.fsdecode(b"\xff.txt")).touch()
    async with bot_and_trainer(queue, environ | {"OWN_POEMS_DIR": str(own)}, tmp_path):
        await order(telegram, "/retrain 1")
        await telegram.until(lambda: bool(telegram.photos))
    report = (await current(queue)).report
    assert report.phase == "done"
    assert len(report.skipped) + report.more_skipped == 1501
    assert any("另有 1496 个文件未读" in edit.plain for edit in telegram.edits)


@pytest.mark.usefixtures("endless")
async def test_a_stopped_trainer_leaves_its_order_to_the_next(
    queue: Queue, environ: dict[str, str], tmp_path: Path, telegram: FakeTelegram
) -> None:
    async with bot_and_trainer(queue, environ, tmp_path) as (_, trainer):
        await order(telegram, "/retrain 100")
        await until(trained(queue, 5))
        assert await trainer.end() == 0
        assert (await current(queue)).report.phase == "paused"
        assert await queue.trainings.orders.length() == 1
        assert "没有训练进程" in await asked(telegram, "/retrain 1", "没有训练进程")


@pytest.mark.parametrize(
    ("fault", "words"),
    [("three poems", "语料太少"), ("no npm", "npm"), ("no model", "起步用的模型"), ("full disk", "磁盘")],
)
async def test_what_cannot_be_trained_is_told_in_words(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path, fault: str, words: str
) -> None:
    home = Path(environ["TRAIN_DIR"])
    trainer, command = dict(environ), TRAINER
    if fault != "full disk":
        shutil.rmtree(home / "corpus")
    if fault == "three poems":
        source = train_tiny.write_source(tmp_path / "three", train_tiny.poems(3))
        corpora.prepare(str(source), home / "corpus")
    elif fault == "no npm":
        trainer["PATH"] = str(tmp_path)
    elif fault == "full disk":
        command = ("-c", FULL_DISK, *TRAINER[2:])
    else:
        shutil.rmtree(environ["MODEL_DIR"])
    async with (
        program(tmp_path / "bot.log", "-m", "bot", environ=environ),
        program(tmp_path / "trainer.log", *command, environ=trainer),
    ):
        await until(ready(queue))
        await order(telegram, "/retrain 1")
        await telegram.until(lambda: any(words in shown.plain for shown in (*telegram.edits, *telegram.sent)))
    assert (await current(queue)).report.phase == "failed"
    assert telegram.photos == []


async def test_a_training_outlives_a_server_that_goes_and_comes_back(
    prefix: str, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    store = RedisServer(tmp_path / "store")
    store.start()
    redis = connect(store.url)
    queue = Queue(redis, prefix)
    environ["REDIS_URL"] = store.url
    try:
        async with bot_and_trainer(queue, environ, tmp_path):
            await order(telegram, "/retrain 20")
            await until(trained(queue, 5))
            kill_store(store)
            await asyncio.to_thread(store.start)
            await telegram.until(lambda: bool(telegram.photos))
            training = await queue.trainings.current()
            assert training is not None
            assert training.report.phase in FINAL_PHASES
            assert training.report.resumed is None, "the same trainer went on"
    finally:
        await redis.aclose()
        store.stop()
