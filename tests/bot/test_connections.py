"""Connections that send nothing, or no HTTP, must not affect others."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import json
import logging
import socket
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest

import bot.http.body
import bot.http.connections
from bot.http.callers import Callers
from bot.http.connections import AcceptErrorLogger
from bot.standalone.redis_server import RedisServer
from tests.support.running import running_bot
from tests.support.waiting import until

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def silent_connections(
    where: str, count: int, start: bytes = b"", address: str = "127.0.0.1"
) -> AsyncIterator[list[Stream]]:
    """So many connections that only send ``start``."""
    host, port = where.removeprefix("http://").split(":")
    streams = [await asyncio.open_connection(host, port, local_addr=(address, 0)) for _ in range(count)]
    for _, writer in streams:
        writer.write(start)
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.close()


async def raw_answer(where: str, words: bytes) -> bytes:
    """Everything that the server answers until it closes the connection."""
    async with silent_connections(where, 1, words) as [(reader, _)]:
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""


async def test_where_connections_are_many_the_oldest_idle_one_makes_room(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.http.connections, "MAX_CONNECTIONS", 16)
    async with (
        running_bot(server.url, prefix) as where,
        silent_connections(where, 40, b"GET /healthz HTTP/1.1\r\nA:") as streams,
    ):
        await until(partial(_closed, streams, 24))
        async with aiohttp.ClientSession() as http, http.get(f"{where}/healthz") as answer:
            assert answer.status == 200
        assert [reader.at_eof() for reader, _ in streams[-8:]] == [False] * 8


async def test_a_request_in_progress_is_not_closed_to_make_room(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.http.connections, "MAX_CONNECTIONS", 8)
    begun = b"POST /api/poems HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{"
    async with running_bot(server.url, prefix) as where, silent_connections(where, 8, begun) as busy:
        await asyncio.sleep(0.2)
        assert await raw_answer(where, b"GET /healthz HTTP/1.1\r\n\r\n") == b""
        for reader, writer in busy:
            writer.write(b"}")
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")


async def test_who_sends_no_request_or_no_body_is_not_waited_for(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.http.connections, "FIRST_REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(bot.http.body, "BODY_SECONDS", 0.2)
    async with running_bot(server.url, prefix) as where:
        assert await raw_answer(where, b"") == b""
        assert await raw_answer(where, b"GET /healthz HTTP/1.1\r\nHost: ") == b""
        slow = await raw_answer(where, b"POST /api/poems HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert slow.startswith(b"HTTP/1.1 408")
        assert json.loads(slow.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_slow"


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA" + b"\r\n\r\n"])
async def test_what_is_no_http_is_answered_in_the_one_form_and_leaves_no_traceback(
    server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture, nonsense: bytes
) -> None:
    async with running_bot(server.url, prefix) as where:
        head, _, body = (await raw_answer(where, nonsense)).partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"nosniff" in head
    assert b"Server: poem" in head
    assert b"aiohttp" not in head + body
    assert json.loads(body)["error"]["code"] == "bad_request"
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]


async def test_a_compressed_body_is_refused_whatever_it_inflates_to(server: RedisServer, prefix: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    async with running_bot(server.url, prefix) as where, aiohttp.ClientSession() as http:
        for path in ("/api/poems", "/api/pictures"):
            async with http.post(f"{where}{path}", data=bomb, headers={"Content-Encoding": "gzip"}) as answer:
                assert answer.status == 415
                assert (await answer.json())["error"]["code"] == "unsupported_encoding"


async def test_failing_to_accept_is_one_line_and_not_one_an_attempt(caplog: pytest.LogCaptureFixture) -> None:
    loop, quiet = asyncio.get_running_loop(), AcceptErrorLogger()
    for _ in range(1000):
        quiet(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "too many files")})
    assert len([record for record in caplog.records if "could not be accepted" in record.message]) == 1


async def _closed(streams: list[Stream], count: int) -> bool:
    for reader, _ in streams:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.001):
                await reader.read(1)
    return sum(reader.at_eof() for reader, _ in streams) >= count


async def test_who_does_not_read_the_answers_keeps_no_connection_for_ever(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.http.connections, "MAX_CONNECTIONS", 8)
    monkeypatch.setattr(bot.http.connections, "FIRST_REQUEST_SECONDS", 0.2)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000
    async with running_bot(server.url, prefix) as where, unread_connections(where, 8, asked):
        await asyncio.sleep(0.2)
        assert await raw_answer(where, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") == b""
        await until(partial(_healthy, where))


async def test_one_caller_has_no_more_than_its_share_of_the_connections(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.http.connections, "MAX_CONNECTIONS", 16)
    monkeypatch.setattr(Callers, "of_connection", lambda _, peer: None if peer == "127.0.0.1" else peer)
    begun = b"POST /api/poems HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{"
    async with running_bot(server.url, prefix) as where, silent_connections(where, 40, begun, "127.0.0.2") as streams:
        await until(partial(_closed, streams, 36))
        assert await _healthy(where)
        kept = [(reader, writer) for reader, writer in streams if not reader.at_eof()]
        assert len(kept) == 4
        for reader, writer in kept:
            writer.write(b"}")
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("peer", "caller"),
    [("127.0.0.1", None), ("10.0.0.9", None), ("203.0.113.5", "ip:203.0.113.5"), ("2001:db8::1", "ip:2001:db8::")],
)
def test_this_machine_and_trusted_proxies_have_no_share_of_their_own(peer: str, caller: str | None) -> None:
    assert Callers((ipaddress.ip_network("10.0.0.0/8"),)).of_connection(peer) == caller


async def _healthy(where: str) -> bool:
    answer = await raw_answer(where, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return answer.startswith(b"HTTP/1.1 200")


@contextlib.asynccontextmanager
async def unread_connections(where: str, count: int, words: bytes) -> AsyncIterator[None]:
    """So many connections that send requests and read nothing."""
    host, port = where.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.setblocking(False)
            connection.send(words)
            await asyncio.sleep(0)
        yield
