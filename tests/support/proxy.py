"""A proxy between a program and its Redis that a test can block in either direction, or close."""

from __future__ import annotations

import asyncio
import contextlib


class Proxy:
    """Forwards TCP to a Unix socket. Data that arrives while a direction is blocked waits."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._requests, self._answers = asyncio.Event(), asyncio.Event()
        self._held = asyncio.Event()
        self._mark: bytes | None = None
        self._gate = self._requests
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self) -> None:
        self.open()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def stop(self) -> None:
        """Close all connections; blocked data is lost."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def open(self) -> None:
        self._mark = None
        self._requests.set()
        self._answers.set()

    def shut_requests(self, mark: bytes) -> None:
        """From the first request on that contains ``mark``, nothing reaches Redis any more."""
        self._held.clear()
        self._mark, self._gate = mark, self._requests

    def shut_answers(self, mark: bytes) -> None:
        """From the first request on that contains ``mark``, Redis executes requests, but its answers are blocked."""
        self._held.clear()
        self._mark, self._gate = mark, self._answers

    async def held(self) -> None:
        """Wait until something has been blocked."""
        await self._held.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._path)
        pumps = [
            asyncio.create_task(self._pump(reader, upstream_writer, self._requests)),
            asyncio.create_task(self._pump(upstream_reader, writer, self._answers)),
        ]
        self._tasks.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
            self._tasks.discard(pump)
        await asyncio.gather(*pumps, return_exceptions=True)
        for end in (writer, upstream_writer):
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if gate is self._requests and self._mark is not None and self._mark in data:
                    self._gate.clear()
                if not gate.is_set():
                    self._held.set()
                    await gate.wait()
                writer.write(data)
                await writer.drain()
