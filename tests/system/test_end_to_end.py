"""All programs as real processes with a real server, killed, stopped and disconnected at critical moments."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue
from tests.support.fake_bot_api import TOKEN, Fault
from tests.support.fake_poet import KILLS
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import RunningProgram, answers, environment, free_port, program
from tests.support.proxy import Proxy
from tests.support.store_process import kill_store, store_pid
from tests.support.waiting import until, until_waiting

BOT = ("-m", "bot")
FAKE_WORKER = ("-m", "tests.support.fake_poet")
LEASE = "0.5"


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[Proxy]:
    proxy = Proxy(server.url.removeprefix("unix://"))
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
def environ(server: RedisServer, prefix: str, telegram: FakeTelegram) -> dict[str, str]:
    return environment(server.url, telegram, KEY_PREFIX=prefix, LEASE=LEASE)


def where(environ: dict[str, str]) -> str:
    return f"http://127.0.0.1:{environ['HTTP_PORT']}"


async def test_the_released_programs_write_in_chat_and_over_http_and_end_in_order(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tiny_model: Path, tmp_path: Path
) -> None:
    environ["MODEL_DIR"] = str(tiny_model)
    async with (
        program(tmp_path / "worker.log", "-m", "engine", "--device", "cpu", environ=environ) as worker,
        program(tmp_path / "bot.log", *BOT, environ=environ) as bot,
    ):
        await answers(f"{where(environ)}/readyz")
        await telegram.write("/continue 老夫聊发少年狂", chat=1)
        await telegram.write("/acrostic 七言 春风十里 | 大漠孤烟直", chat=2)
        await telegram.write("/acrostic 長安一片月", chat=3, language="zh-hant")
        [continued] = await telegram.messages(1, 1)
        [acrostic] = await telegram.messages(1, 2)
        [traditional] = await telegram.messages(1, 3)
        async with aiohttp.ClientSession() as http:
            body = json.dumps({"mode": "acrostic", "text": "春风十里", "seed": 7}).encode()
            poems = []
            for _ in range(2):
                async with http.post(f"{where(environ)}/api/poems", data=body) as answer:
                    assert answer.status == 200
                    poems.append(await answer.json())
        assert await _exit_code(tmp_path, environ, "engine.serving.healthcheck") == 0
        assert await bot.end() == 0
        assert await worker.end(signal.SIGINT) == 0
        assert await _exit_code(tmp_path, environ, "engine.serving.healthcheck") == 1
        logs = bot.output() + worker.output()
    assert continued.plain.startswith("老夫聊发少年狂")
    assert acrostic.text.count("<b>") == 4
    assert "長" in traditional.text
    assert poems[0] == poems[1]
    assert "老夫" not in logs
    assert TOKEN not in logs
    assert "Traceback" not in logs


@pytest.mark.parametrize("shut", ["requests", "answers"])
async def test_a_bot_killed_between_update_and_queue_loses_no_command_and_repeats_none(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, proxy: Proxy, tmp_path: Path, shut: str
) -> None:
    async with program(tmp_path / "worker.log", *FAKE_WORKER, environ=environ):
        async with program(tmp_path / "bot.log", *BOT, environ={**environ, "REDIS_URL": proxy.url}) as bot:
            await answers(f"{where(environ)}/readyz")
            await telegram.write("/acrostic 春", chat=1)
            await telegram.messages(1, 1)
            await until(lambda: _no_replies(queue))
            # Either the command does not reach Redis, or its answer does not reach the bot.
            if shut == "requests":
                proxy.shut_requests("夏".encode())
            else:
                proxy.shut_answers("夏".encode())
            number = await telegram.write("/acrostic 夏", chat=2)
            await telegram.taken(number)
            await proxy.held()
            await bot.kill()
        await proxy.stop()
        async with program(tmp_path / "bot.log", *BOT, environ=environ):
            await telegram.messages(1, 2)
            await telegram.confirmed(number)
            await telegram.write("/acrostic 秋", chat=3)
            await telegram.messages(1, 3)
    assert [sent.chat for sent in telegram.sent] == [1, 2, 3]


async def test_a_bot_killed_between_sending_and_acknowledging_sends_twice_rather_than_never(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    # Telegram has the message, but its answer does not reach the bot.
    telegram.faults.append(Fault("sendMessage", 500, after=True, seconds=5.0))
    async with program(tmp_path / "worker.log", *FAKE_WORKER, environ=environ):
        async with program(tmp_path / "bot.log", *BOT, environ=environ) as bot:
            await telegram.write("/acrostic 春", chat=1)
            await telegram.messages(1)
            await bot.kill()
        async with program(tmp_path / "bot.log", *BOT, environ=environ):
            found = await telegram.messages(2)
            await until(lambda: _no_replies(queue))
    assert [sent.chat for sent in found] == [1, 1]


async def test_a_worker_killed_in_mid_batch_harms_no_poem_of_it(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    async with program(tmp_path / "bot.log", *BOT, environ=environ):
        heads = "春夏秋冬"
        for chat, head in enumerate(heads):
            await telegram.write(f"/acrostic {head}", chat=chat + 1)
        await until_waiting(queue, len(heads))
        async with program(tmp_path / "slow.log", *FAKE_WORKER, "60", environ=environ) as slow:
            await until(lambda: _held(queue, len(heads)))
            await slow.kill()
        async with program(tmp_path / "worker.log", *FAKE_WORKER, environ=environ):
            found = await telegram.messages(len(heads))
    assert sorted((sent.chat, sent.plain[0]) for sent in found) == [(n + 1, head) for n, head in enumerate(heads)]


async def test_a_job_that_kills_its_worker_is_given_up_and_all_others_are_written(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    async with program(tmp_path / "bot.log", *BOT, environ=environ):
        for chat, head in ((1, "春"), (2, KILLS), (3, "秋")):
            await telegram.write(f"/acrostic {head}", chat=chat)
        await until_waiting(queue, 3)
        async with _restarted(tmp_path / "worker.log", *FAKE_WORKER, environ=environ):
            found = await telegram.messages(3)
        dead = await _engine(tmp_path, environ, "dead", "list", "--json")
        [entry] = json.loads(dead)
        assert entry["request"]["text"] == KILLS
        await _engine(tmp_path, environ, "dead", "drop", entry["id"])
        assert json.loads(await _engine(tmp_path, environ, "dead", "list", "--json")) == []
    words = {sent.chat: sent.plain for sent in found}
    assert words[1].startswith("春")
    assert words[3].startswith("秋")
    assert "没有写成" in words[2]


async def test_a_store_killed_and_started_again_loses_nothing_and_is_found_again(
    prefix: str, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    store = RedisServer(tmp_path / "store")
    store.start()
    environ |= {"REDIS_URL": store.url, "KEY_PREFIX": prefix}
    try:
        async with (
            program(tmp_path / "bot.log", *BOT, environ=environ),
            program(tmp_path / "worker.log", *FAKE_WORKER, "1", environ=environ),
        ):
            await answers(f"{where(environ)}/readyz")
            await telegram.confirmed(await telegram.write("/acrostic 春", chat=1))
            kill_store(store)
            await answers(f"{where(environ)}/readyz", 503)
            late = await telegram.write("/acrostic 夏", chat=2)
            await telegram.taken(late)
            store.start()
            found = await telegram.messages(2)
    finally:
        store.stop()
    assert sorted((sent.chat, sent.plain[0]) for sent in found) == [(1, "春"), (2, "夏")]


async def test_make_run_serves_a_poem_and_one_ctrl_c_leaves_no_orphan(tiny_model: Path, tmp_path: Path) -> None:
    port = free_port()
    environ = {"MODEL_DIR": str(tiny_model), "HTTP_PORT": str(port)}
    store = RedisServer(tmp_path / "var" / "valkey")
    async with (
        _stopped_after(store),
        program(tmp_path / "run.log", "-m", "bot.standalone", environ=environ) as launcher,
    ):
        await launcher.says("Ready on")
        await launcher.says("trainer | ")
        curl = next(line for line in launcher.output().splitlines() if line.startswith("A poem: "))
        url, body = curl.split()[4], curl.split("'")[1]
        async with aiohttp.ClientSession() as http, http.post(url, data=body.encode()) as answer:
            assert answer.status == 200
        family = _family(launcher.pid)
        family.append(store_pid(store))
        (tmp_path / "elsewhere").mkdir()
        second = await RunningProgram.start(tmp_path / "elsewhere" / "run.log", "-m", "bot.standalone", environ=environ)
        assert await second.ended() == 1
        assert f"Port {port}" in second.output()
        assert await launcher.end(signal.SIGINT) == 0
    assert len(family) >= 3
    assert not any(_alive(pid) for pid in family)


async def test_make_run_without_a_model_says_so_and_stops_everything(tmp_path: Path) -> None:
    environ = {"MODEL_DIR": str(tmp_path / "nothing"), "HTTP_PORT": str(free_port())}
    store = RedisServer(tmp_path / "var" / "valkey")
    async with (
        _stopped_after(store),
        program(tmp_path / "run.log", "-m", "bot.standalone", environ=environ) as launcher,
    ):
        assert await launcher.ended() == 1
        assert "there is no model folder" in launcher.output()
        assert "The worker exited with code 1 at once 5 times in a row" in launcher.output()
        assert "Traceback" not in launcher.output()


async def test_a_store_that_outlived_a_crash_is_used_again(tmp_path: Path) -> None:
    first, second = RedisServer(tmp_path / "store"), RedisServer(tmp_path / "store")
    try:
        assert first.start()
        assert not second.start()
        assert store_pid(first) == store_pid(second)
    finally:
        first.stop()


@pytest.mark.parametrize(("setting", "code"), [({"HTTP_PORT": "none"}, 2), ({"TELEGRAM_BOT_TOKEN": "123456:wrong"}, 2)])
async def test_a_wrong_setting_ends_the_bot_with_one_sentence(
    environ: dict[str, str], tmp_path: Path, setting: dict[str, str], code: int
) -> None:
    async with program(tmp_path / "bot.log", *BOT, environ=environ | setting) as bot:
        assert await bot.ended() == code
        assert next(iter(setting)) in bot.output().splitlines()[-1]
        assert "Traceback" not in bot.output()


async def _engine(folder: Path, environ: dict[str, str], *words: str) -> str:
    log = folder / f"engine {' '.join(words)}.log"
    log.unlink(missing_ok=True)
    started = await RunningProgram.start(log, "-m", "engine", *words, environ=environ)
    assert await started.ended() == 0, started.output()
    return started.output()


async def test_one_number_leads_through_the_logs_of_all_programs_from_either_door(
    queue: Queue, environ: dict[str, str], telegram: FakeTelegram, tmp_path: Path
) -> None:
    environ["LOG_FORMAT"] = "json"
    async with (
        program(tmp_path / "worker.log", *FAKE_WORKER, environ=environ) as worker,
        program(tmp_path / "bot.log", *BOT, environ=environ) as bot,
    ):
        await answers(f"{where(environ)}/readyz")
        await telegram.write("/acrostic 春", chat=1)
        await telegram.messages(1, 1)
        await until(lambda: _no_replies(queue))
        async with aiohttp.ClientSession() as http:
            body = json.dumps({"mode": "acrostic", "text": "夏"}).encode()
            async with http.post(f"{where(environ)}/api/poems", data=body) as answer:
                assert answer.status == 200
        assert await bot.end() == 0
        assert await worker.end() == 0
        lines = [json.loads(line) for line in (bot.output() + worker.output()).splitlines()]
    ways: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        if "job" in line:
            ways.setdefault(line["job"], []).append((line["logger"], line["message"]))
    [chat, web] = ways.values()
    assert sorted(chat) == [
        ("bot.delivery.outbox", "sent"),
        ("bot.submission", "accepted"),
        ("engine.serving.worker", "五言"),
    ]
    assert sorted(web) == [
        ("bot.http.pending", "answered"),
        ("bot.submission", "accepted"),
        ("engine.serving.worker", "五言"),
    ]


async def _exit_code(folder: Path, environ: dict[str, str], module: str) -> int:
    return await (await RunningProgram.start(folder / f"{module}.log", "-m", module, environ=environ)).ended()


@contextlib.asynccontextmanager
async def _restarted(log: Path, *words: str, environ: dict[str, str]) -> AsyncIterator[None]:
    """A program under a supervisor that restarts it whenever it dies."""

    async def supervise() -> None:
        while True:
            async with program(log, *words, environ=environ) as running:
                await running.ended()

    task = asyncio.create_task(supervise())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _stopped_after(store: RedisServer) -> AsyncIterator[None]:
    try:
        yield
    finally:
        store.stop()


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _family(pid: int) -> list[int]:
    """The children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _no_replies(queue: Queue) -> bool:
    return await queue.replies.length() == 0


async def _held(queue: Queue, jobs: int) -> bool:
    return await queue.jobs.held() == jobs
