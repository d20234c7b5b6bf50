"""A Redis Cluster takes scripts whose keys share a slot: with braces in the prefix they do."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis
from redis.exceptions import RedisError

from bot.standalone.redis_server import _binary
from engine.contract import Poem, PoemRequest
from engine.contract.queue.cards import Card
from engine.contract.queue.messages import Chat, Job, Reply
from engine.contract.queue.store import Queue, connect
from engine.contract.queue.training import Order, TrainingReport
from engine.contract.version_info import VersionInfo
from engine.serving.worker import Worker
from tests.support.fake_poet import FakePoet


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster of one node, which has every slot."""
    with tempfile.TemporaryDirectory(prefix="poem-cluster-") as folder:
        socket = Path(folder) / "node.sock"
        options = (
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--dir",
            folder,
            "--save",
            "",
            "--cluster-enabled",
            "yes",
        )
        with subprocess.Popen([_binary(), *options], stdout=subprocess.DEVNULL) as node:
            try:
                with BlockingRedis(unix_socket_path=str(socket)) as redis:
                    _await_node(redis, node)
                    redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                    while b"cluster_state:ok" not in redis.execute_command("CLUSTER", "INFO", NEVER_DECODE=True):
                        time.sleep(0.05)
                yield f"unix://{socket}"
            finally:
                node.kill()


def _await_node(redis: BlockingRedis, node: subprocess.Popen[bytes]) -> None:
    while node.poll() is None:
        try:
            redis.ping()
        except RedisError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the node has ended")


async def test_queue_cards_models_and_trainings_work_in_a_cluster_when_the_prefix_has_braces(cluster: str) -> None:
    redis = connect(cluster)
    queue = Queue(redis, "{poem}:")
    worker = Worker(queue, FakePoet(), 0.5)
    working = asyncio.create_task(worker.run())
    try:
        await queue.submit(
            Job(PoemRequest("acrostic", "春"), Chat(7), "en", await queue.now() + 60, "me"), "idempotency_key"
        )
        found: list[Reply] = []
        while not found:
            found = [Reply.from_fields(each.fields) for each in await queue.replies.take("bot", 10, 0.2)]
        [reply] = found
        assert isinstance(reply.content, Poem)
        assert isinstance(reply.request, PoemRequest)
        name = await queue.cards.keep(Card(reply.request, reply.content))
        assert await queue.cards.find(name) is not None
        await queue.models.publish([VersionInfo("v")])
        await queue.models.use("v")
        assert (await queue.models.desired()) is not None
        assert await queue.models.serving() == {}
        await queue.trainings.orders.prepare()
        _, entry = await queue.trainings.order(order := Order(1.0, "continue", Chat(7), "en"), "idempotency_key")
        assert [each.id for each in await queue.trainings.orders.take("trainer", 1, 0)] == [entry]
        assert await queue.trainings.hold("trainer", entry, order, TrainingReport("training"))
        assert (await queue.status()).workers == 1
    finally:
        worker.stop()
        await working
        await redis.aclose()


async def test_a_prefix_without_braces_is_refused_by_a_cluster(cluster: str) -> None:
    redis = connect(cluster)
    try:
        with pytest.raises(RedisError, match="slot"):
            await Queue(redis, "poem:").submit(
                Job(PoemRequest("acrostic", "春"), Chat(7), "en", 2e9), "idempotency_key"
            )
    finally:
        await redis.aclose()
