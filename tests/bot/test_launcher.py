"""``make run``: programs that die are restarted, errors are one sentence, and a folder has one launcher."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from redis import Redis

from bot.standalone import supervisor
from bot.standalone.redis_server import RedisServer, RedisServerError
from bot.standalone.supervisor import FailedError, Program, RestartPolicy, ServiceKeeper
from tests.support.programs import RunningProgram as Started
from tests.support.programs import answers, child_running, free_port, program
from tests.support.store_process import store_pid
from tests.support.waiting import until

LAUNCHER = ("-m", "bot.standalone")


@contextlib.asynccontextmanager
async def launched(folder: Path, model: Path) -> AsyncIterator[tuple[Started, RedisServer, str]]:
    """A ready launcher, its store and its address."""
    port = free_port()
    environ = {"MODEL_DIR": str(model), "HTTP_PORT": str(port), "LEASE": "0.5", "CANDIDATES": "1"}
    store = RedisServer(folder / "var" / "valkey")
    try:
        async with program(folder / "run.log", *LAUNCHER, environ=environ) as launcher:
            await launcher.says("Ready on")
            yield launcher, store, f"http://127.0.0.1:{port}"
    finally:
        store.stop()


async def poem(where: str) -> int:
    body = json.dumps({"mode": "acrostic", "text": "春"}).encode()
    async with aiohttp.ClientSession() as http, http.post(f"{where}/api/poems", data=body) as answer:
        return answer.status


def test_the_pause_grows_with_every_death_and_is_short_again_after_a_quiet_time() -> None:
    restarts = RestartPolicy()
    assert [restarts.pause_after(30.0, 1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert restarts.pause_after(supervisor.SETTLED_SECONDS, 1) == 0.5


@pytest.mark.parametrize(("code", "at_once", "later"), [(1, 5.0, 20.0), (-signal.SIGKILL, 0.5, 5.0)])
def test_a_program_is_given_up_after_five_deaths_at_once_in_a_row_and_not_before(
    code: int, at_once: float, later: float
) -> None:
    restarts = RestartPolicy()
    assert [restarts.pause_after(at_once, code) for _ in range(4)] == [0.5, 1, 2, 4]
    assert restarts.pause_after(later, code) is not None, "it lived a while: the count begins anew"
    assert all(restarts.pause_after(at_once, code) for _ in range(4))
    assert restarts.pause_after(at_once, code) is None


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.0)


async def supervise_until_given_up(*words: str) -> None:
    """Supervise a program until the supervisor gives up."""
    keeper = ServiceKeeper(Program("toy", *words, environ=dict(os.environ)), asyncio.Event())
    await keeper.start()
    try:
        assert keeper.task is not None
        await keeper.task
    finally:
        await keeper.stop()


async def test_a_program_that_goes_on_dying_ends_the_launcher_with_a_sentence(
    no_pause: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FailedError, match=r"The toy exited with code 1 at once 5 times"):
        await supervise_until_given_up("-c", "import sys; print('the reason'); sys.exit(1)")
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("toy     | the reason") == 5
    assert sum("restarting in" in line for line in lines) == 4


async def test_a_wrong_setting_is_not_tried_again(no_pause: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FailedError, match="exited with code 2") as given_up:
        await supervise_until_given_up("-c", "import sys; print('THREADS is wrong'); sys.exit(2)")
    assert capsys.readouterr().out.count("THREADS is wrong") == 1
    assert given_up.value.code == 2


async def test_a_line_of_any_length_is_shown_and_blocks_nobody(
    no_pause: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FailedError):
        await supervise_until_given_up("-c", "import sys; print('x' * 1_000_000); print('after it'); sys.exit(2)")
    out = capsys.readouterr().out
    assert out.count("x") == 1_000_000
    assert "toy     | after it" in out


async def test_whatever_is_killed_is_started_again_and_keeps_what_it_had(tiny_model: Path, tmp_path: Path) -> None:
    async with launched(tmp_path, tiny_model) as (launcher, store, where):
        with contextlib.closing(Redis(unix_socket_path=store.url.removeprefix("unix://"))) as redis:
            redis.set("kept", "yes")
        for name, words in (("worker", "engine"), ("trainer", "train worker"), ("bot", "bot"), ("store", "")):
            pid = store_pid(store) if name == "store" else child_running(launcher.pid, words)
            os.kill(pid, signal.SIGKILL)
            await launcher.says(f"{name:<7} | was killed by SIGKILL; restarting")

            async def back(name: str = name, words: str = words, pid: int = pid) -> bool:
                if name == "store":
                    return store.listens() and store_pid(store) != pid
                with contextlib.suppress(LookupError):
                    return child_running(launcher.pid, words) != pid
                return False

            await until(back)
            await answers(f"{where}/readyz")
            assert await poem(where) == 200
        with contextlib.closing(Redis(unix_socket_path=store.url.removeprefix("unix://"))) as redis:
            assert redis.get("kept") == b"yes"
        assert not launcher.has_ended
        assert await launcher.end(signal.SIGINT) == 0
        assert not store.listens()


async def test_a_second_launcher_in_the_folder_names_the_first_and_leaves_its_store_alone(
    tiny_model: Path, tmp_path: Path
) -> None:
    async with launched(tmp_path, tiny_model) as (launcher, _, where):
        environ = {"MODEL_DIR": str(tiny_model), "HTTP_PORT": str(free_port())}
        second = await Started.start(tmp_path / "second.log", *LAUNCHER, environ=environ)
        assert await second.ended() == 1
        assert second.output().count("\n") == 1, second.output()
        assert f"(process {launcher.pid})" in second.output()
        assert await poem(where) == 200


INTERRUPTED = """if True:
    import importlib.abc, os, runpy, signal, sys
    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "aiohttp":
                os.kill(os.getpid(), signal.SIGINT)
    def interrupt(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return read(*arguments)
    if sys.argv[1] == "importing":
        sys.meta_path.insert(0, Finder())
    else:
        from bot.settings import BotSettings
        read, BotSettings.read = BotSettings.read, interrupt
    del sys.argv[1]
    runpy.run_module("bot.standalone", run_name="__main__", alter_sys=True)
"""
"""The launcher, interrupted by Ctrl-C before it has started anything."""


@pytest.mark.parametrize("moment", ["importing", "reading settings"])
async def test_ctrl_c_ends_a_launcher_that_is_still_loading_as_quietly_as_any(tmp_path: Path, moment: str) -> None:
    environ = {"HTTP_PORT": str(free_port())}
    launcher = await Started.start(tmp_path / "run.log", "-c", INTERRUPTED, moment, environ=environ)
    assert await launcher.ended() == 0
    lines = launcher.output().splitlines()
    assert [line for line in lines if not line.startswith("store ")] == ["all stopped"]


async def test_a_setting_that_a_program_refuses_ends_the_launcher_like_that_program(tmp_path: Path) -> None:
    environ = {"HTTP_PORT": str(free_port()), "THREADS": "99999"}
    launcher = await Started.start(tmp_path / "run.log", *LAUNCHER, environ=environ)
    assert await launcher.ended() == 2
    assert "THREADS is wrong: must be a whole number from 1 to" in launcher.output()


@pytest.mark.parametrize("place", ["a file", "a folder that cannot be made"])
async def test_a_store_without_a_folder_is_one_sentence(tmp_path: Path, place: str) -> None:
    if place == "a file":
        (tmp_path / "var").write_text("", "utf-8")
    else:
        (tmp_path / "var").symlink_to("/proc/nothing")
    launcher = await Started.start(tmp_path / "run.log", *LAUNCHER, environ={"HTTP_PORT": str(free_port())})
    assert await launcher.ended() == 1
    assert launcher.output().count("\n") == 1, launcher.output()
    assert "REDIS_URL" in launcher.output()


@pytest.fixture
def deep_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose path is too long for a socket, and a separate folder for temporary files."""
    with tempfile.TemporaryDirectory(prefix="poem-tests-") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder) / ("x" * 100)


def test_a_socket_among_temporary_files_lies_in_a_folder_of_its_user_alone(deep_folder: Path) -> None:
    store = RedisServer(deep_folder)
    try:
        assert store.start()
        place = Path(store.url.removeprefix("unix://")).parent
        assert place.stat().st_mode & 0o777 == 0o700
    finally:
        store.stop()
    assert not place.exists()


def test_a_socket_folder_that_others_may_enter_is_refused(deep_folder: Path) -> None:
    store = RedisServer(deep_folder)
    place = Path(store.url.removeprefix("unix://")).parent
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(RedisServerError, match="this user alone"):
        store.start()
    place.rmdir()
    place.symlink_to(deep_folder.parent)
    with pytest.raises(RedisServerError, match="this user alone"):
        store.start()


def test_a_socket_folder_of_another_user_is_refused(deep_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, own = RedisServer(deep_folder), os.getuid()
    place = Path(store.url.removeprefix("unix://")).parent
    place.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(RedisServerError, match="this user alone"):
        store.start()
    place.rmdir()
