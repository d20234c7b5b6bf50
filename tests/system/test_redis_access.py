"""Redis behind TLS and a password: the real programs connect through a TLS proxy, and wrong credentials are refused."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue, connect
from tests.soak.harness import QUICK_WORKER
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import answers, environment, program
from tests.support.stage import BOT
from tests.support.waiting import until

USER, PASSWORD = "poet", "moon-river"


@contextlib.asynccontextmanager
async def encrypted(server: RedisServer, authority: trustme.CA) -> AsyncIterator[int]:
    """A TLS proxy in front of the server's socket; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(server.url.removeprefix("unix://"))
        pumps = [asyncio.create_task(pump(reader, inner_writer)), asyncio.create_task(pump(inner_reader, writer))]
        serving.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, inner_writer):
            end.close()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()

    door = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    try:
        yield door.sockets[0].getsockname()[1]
    finally:
        door.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@pytest.fixture
async def account(redis: Redis, prefix: str) -> AsyncIterator[None]:
    """A Redis user who may only access this test's keys."""
    await redis.acl_setuser(USER, enabled=True, passwords=[f"+{PASSWORD}"], keys=[f"{prefix}*"], categories=["+@all"])
    yield
    await redis.acl_deluser(USER)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


@pytest.mark.usefixtures("account")
async def test_bot_and_worker_speak_tls_with_a_password_and_keep_to_their_prefix(
    server: RedisServer,
    queue: Queue,
    redis: Redis,
    prefix: str,
    telegram: FakeTelegram,
    authority: trustme.CA,
    tmp_path: Path,
) -> None:
    async with encrypted(server, authority) as port:
        url = f"rediss://{USER}:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}"
        environ = environment(url, telegram, KEY_PREFIX=prefix)
        async with (
            program(tmp_path / "worker.log", *QUICK_WORKER, environ=environ) as worker,
            program(tmp_path / "bot.log", *BOT, environ=environ) as bot,
        ):
            await answers(f"http://127.0.0.1:{environ['HTTP_PORT']}/readyz")
            await telegram.write("/acrostic 春")
            [sent] = await telegram.messages(1)
            await until(lambda: _exists(redis, f"{prefix}pace"))
            assert (await worker.end(), await bot.end()) == (0, 0)
            logs = worker.output() + bot.output()
    assert sent.plain.startswith("春")
    # The account may access nothing else; Redis logs violations.
    assert [entry for entry in await redis.acl_log() if entry["username"] == USER and entry["reason"] == "key"] == []
    assert PASSWORD not in logs


@pytest.mark.usefixtures("account")
async def test_a_wrong_password_or_an_unknown_certificate_is_refused(
    server: RedisServer, prefix: str, authority: trustme.CA, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))

    async def connect_with(password: str, certificates: str) -> None:
        redis = connect(f"rediss://{USER}:{password}@localhost:{port}/0?ssl_ca_certs={tmp_path / certificates}")
        try:
            await Queue(redis, prefix).prepare()
        finally:
            await redis.aclose()

    async with encrypted(server, authority) as port:
        await connect_with(PASSWORD, "ca.pem")
        with pytest.raises(AuthenticationError):
            await connect_with("wrong", "ca.pem")
        with pytest.raises(RedisConnectionError, match=r"(?i)certificate"):
            await connect_with(PASSWORD, "other.pem")
        with pytest.raises(RedisError):
            async with Redis(host="localhost", port=port) as plain:
                await plain.ping()


async def _exists(redis: Redis, key: str) -> bool:
    return bool(await redis.exists(key))
