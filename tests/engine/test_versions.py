"""Model versions side by side: which there are, which go, and a worker that changes between two batches."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.standalone.redis_server import RedisServer
from engine.contract import Poem, PoemRequest
from engine.contract.queue.messages import Job, PendingRequest
from engine.contract.queue.store import Queue
from engine.contract.version_info import VersionInfo
from engine.model.folder import ModelFolderError
from engine.model.versions import Versions
from engine.serving.batcher import PoetLike
from engine.serving.model_reload import ModelReload
from engine.serving.worker import Worker
from tests.support.fake_poet import FakePoet
from tests.support.programs import program
from tests.support.tiny_model import write_model
from tests.support.waiting import until

MANY = 100


@pytest.fixture
def versions(tiny_model: Path, tmp_path: Path) -> Versions:
    """``tiny-0`` came with the program; ``tiny-1`` was trained."""
    home = tmp_path / "home"
    shutil.copytree(tiny_model, home)
    write_model(tmp_path / "train" / "models" / "tiny-1", seed=1)
    return Versions.of(home, tmp_path / "train")


def test_every_version_is_found_by_its_name_and_nothing_else_is(versions: Versions) -> None:
    assert versions.find("tiny-0") == versions.home
    assert versions.find("tiny-1") == versions.folder / "tiny-1"
    assert [(each.version, each.home) for each in versions.all_versions()] == [("tiny-0", True), ("tiny-1", False)]
    for name in ("nothing", "", "..", "../home", "tiny-1/../tiny-1", ".tiny-1.new"):
        with pytest.raises(ModelFolderError):
            versions.find(name)


def test_the_oldest_versions_go_and_never_one_in_use(versions: Versions) -> None:
    for age, name in enumerate(("v1", "v2", "v3", "v4")):
        shutil.copytree(versions.home, versions.folder / name)
        os.utime(versions.folder / name, (age, age))
    shutil.rmtree(versions.folder / "tiny-1")
    assert set(versions.prune(2, {"v1"})) == {"v2", "v3"}
    assert set(versions.prune(1, {"v1", "v4", "tiny-0"})) == set()
    assert versions.prune(1, set()) == ["v1"]
    assert versions.home.exists()


def is_desired(queue: Queue, version: str) -> Callable[[], Any]:
    async def served() -> bool:
        return any(each.version == version for each in (await queue.models.serving()).values())

    return served


async def ask(queue: Queue, number: int) -> None:
    job = Job(PoemRequest("acrostic", "啊阿"), PendingRequest("test", str(number)), "en", time.time() + 60)
    await queue.submit(job, f"g{number}")


async def collected(queue: Queue, count: int) -> dict[str, str]:
    """The model that each poem names, by the request's number, for at least ``count`` poems; no request is answered
    twice."""
    found: dict[str, str] = {}
    while len(found) < count:
        for reply in await queue.answers("test", 1.0):
            assert isinstance(reply.content, Poem)
            assert isinstance(reply.to, PendingRequest)
            assert reply.to.id not in found
            found[reply.to.id] = reply.content.model
    return found


async def test_a_change_of_model_drops_none_of_many_queued_poems_and_a_broken_one_changes_nothing(
    server: RedisServer, queue: Queue, prefix: str, versions: Versions, tmp_path: Path
) -> None:
    broken = versions.folder / "broken"
    shutil.copytree(versions.home, broken)
    (broken / "weights.safetensors").write_bytes(b"")
    environ = {
        "REDIS_URL": server.url,
        "KEY_PREFIX": prefix,
        "MODEL_DIR": str(versions.home),
        "TRAIN_DIR": str(versions.folder.parent),
    }
    worker = ("-m", "engine", "--device", "cpu", "--threads", "1")
    async with program(tmp_path / "worker.log", *worker, environ=environ):
        for number in range(MANY):
            await ask(queue, number)
        first = await collected(queue, 1)
        await queue.models.use("tiny-1")
        rest = await collected(queue, MANY - len(first))
        assert set((first | rest).values()) <= {"tiny-0", "tiny-1"}
        await until(is_desired(queue, "tiny-1"))
        await ask(queue, MANY)
        assert list((await collected(queue, 1)).values()) == ["tiny-1"]

        serial = await queue.models.use("broken")

        async def refused() -> bool:
            return all(each.serial == serial for each in (await queue.models.serving()).values())

        await until(refused)
        [serving] = (await queue.models.serving()).values()
        assert serving.version == "tiny-1"
        assert "weights.safetensors" in serving.error
        await ask(queue, MANY + 1)
        assert list((await collected(queue, 1)).values()) == ["tiny-1"]
    assert set(await queue.models.versions()) == {"tiny-0", "tiny-1", "broken"}


async def test_a_worker_that_starts_falls_back_on_what_served_before_a_version_that_does_not_load(
    queue: Queue,
) -> None:
    def load(version: str) -> str:
        if version == "broken":
            raise ModelFolderError("spoilt")
        return f"poet of {version}"

    await queue.models.use("good")
    await queue.models.use("broken")
    model_reload = ModelReload(queue.models, load, "home", list)
    assert await model_reload.poll() == "poet of good"
    assert model_reload.serving.error == "spoilt"
    assert await model_reload.poll() is None
    await queue.models.use("home")
    assert await model_reload.poll() == "poet of home"


BAD_CARDS = (
    b"[" * 100_000,
    b"\xff\xfe",
    b'{"shape": [], "parts": {}}',
    b'{"shape": {"num_layers": 1000000000}, "parts": {"weights.safetensors": "", "vocabulary.json": ""}}',
    b'{"shape": {"num_layers": true}, "parts": {"weights.safetensors": "", "vocabulary.json": ""}}',
    b'{"shape": {}, "parts": {"weights.safetensors": [], "vocabulary.json": ""}}',
    b'{"shape": {}, "parts": {"weights.safetensors": "", "vocabulary.json": ""}, "perplexity": [1]}',
    b'{"shape": {}, "parts": {"weights.safetensors": "", "vocabulary.json": ""}, "perplexity": {"test": [1]}}',
    b'{"shape": {}, "parts": {"weights.safetensors": "", "vocabulary.json": ""}, "parent": "x", "date": {}}',
)


def test_version_folders_that_cannot_be_read_are_passed_over_and_hang_nothing(versions: Versions) -> None:
    for number, card in enumerate(BAD_CARDS):
        (versions.folder / f"bad{number}").mkdir()
        (versions.folder / f"bad{number}" / "card.json").write_bytes(card)
    for name in ("pipe", "device", "folder", "circle"):
        (versions.folder / name).mkdir()
    os.mkfifo(versions.folder / "pipe" / "card.json")
    (versions.folder / "device" / "card.json").symlink_to("/dev/zero")
    (versions.folder / "folder" / "card.json").mkdir()
    (versions.folder / "circle" / "card.json").symlink_to("card.json")
    assert [each.version for each in versions.all_versions()] == ["tiny-0", "tiny-1"]


def test_the_home_folder_is_never_pruned_wherever_it_lies(versions: Versions) -> None:
    inside = Versions(versions.folder / "home", versions.folder)
    shutil.copytree(versions.home, inside.home)
    os.utime(inside.home, (1, 1))
    (versions.folder / "link").symlink_to(inside.home)
    assert inside.prune(1, set()) == []
    assert (inside.home / "card.json").is_file()
    deeper = Versions(versions.folder / "tiny-1" / "home", versions.folder)
    shutil.copytree(versions.home, deeper.home)
    for name in ("home", "tiny-1"):
        os.utime(versions.folder / name, (1, 1))
    assert "tiny-1" not in deeper.prune(1, set())
    assert (deeper.home / "card.json").is_file()


async def test_a_version_asked_for_after_redis_lost_its_data_is_loaded_whatever_was_asked_for_before(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    model_reload = ModelReload(queue.models, str, "home", list)
    await queue.models.use("one")
    assert await model_reload.poll() == "one"
    await redis.delete(f"{prefix}model")
    assert await model_reload.poll() is None
    await queue.models.use("two")
    assert await model_reload.poll() == "two"


async def test_versions_are_published_again_after_redis_lost_its_data(
    queue: Queue, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.serving.worker.PUBLISH_SECONDS", 0.1)
    model_reload: ModelReload[PoetLike] = ModelReload(
        queue.models, lambda _: FakePoet(), "home", lambda: [VersionInfo("home")]
    )
    worker = Worker(queue, FakePoet(), 0.5, model_reload=model_reload)

    async def told() -> bool:
        return bool(await queue.models.versions())

    working = asyncio.create_task(worker.run())
    try:
        await until(told)
        await redis.delete(f"{prefix}versions")
        await until(told)
    finally:
        worker.stop()
        await working
