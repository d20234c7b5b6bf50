"""Open connections: few enough that Redis and Telegram always have descriptors left, and none silent for long."""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

from aiohttp import web

from bot.http.errors import HttpError, error_response, secure
from bot.views import http_errors as texts
from engine.contract.logs import origin

log = logging.getLogger("bot.http.connections")

MAX_CONNECTIONS = 512
FIRST_REQUEST_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75.0
"""More than the minute that proxies commonly keep a connection, so that they close it first."""
LINGER_SECONDS = 2.0
"""For the rest of a body that was refused."""


def connection_limit() -> int:
    """At most half of the descriptors that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(MAX_CONNECTIONS, soft // 2))


class Connections:
    """A protocol factory. Where there is no room, the oldest connection that waits for a request makes it."""

    def __init__(self, server: web.Server, most: int | None = None) -> None:
        self._server = server
        self._most = most or connection_limit()
        self._open: dict[Connection, None] = {}

    def __call__(self) -> asyncio.Protocol:
        if len(self._open) >= self._most:
            idle = next((connection for connection in self._open if connection.idle), None)
            if idle is None:
                return _Refused()
            idle.force_close()
        connection = Connection(self._server, self._open)
        self._open[connection] = None
        return connection


class _Refused(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Connection(web.RequestHandler):
    """One connection. What is no HTTP is answered in the one form of errors and without a traceback."""

    def __init__(self, server: web.Server, registry: dict[Connection, None]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]
        )
        self._registry = registry
        self._silence: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether it waits for a request, or for the rest of one's headers."""
        return self._waiter is not None and not self._waiter.done() and not self._force_close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._silence = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._close_if_silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._registry.pop(self, None)
        if self._silence is not None:
            self._silence.cancel()
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        if status < 500:
            log.debug("not HTTP: %s", type(exc).__name__)
            error = HttpError(status, "bad_request", *texts.NOT_HTTP)
        else:
            log.error("a request failed: %s", "" if exc is None else origin(exc))
            error = HttpError(status, "internal", *texts.INTERNAL)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = error_response(error, request.headers.get("Accept-Language"))
        secure(response)
        response.force_close()
        return response


class QuietAccepting:
    """A loop's exception handler: one line a minute where connections cannot be accepted, not one an attempt."""

    EVERY_SECONDS = 60.0

    def __init__(self) -> None:
        self._next_line = 0.0
        self._failed = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "socket.accept" not in str(context.get("message")):
            loop.default_exception_handler(context)
            return
        self._failed += 1
        if loop.time() >= self._next_line:
            log.error("%d connections could not be accepted: %s", self._failed, context.get("exception"))
            self._next_line, self._failed = loop.time() + self.EVERY_SECONDS, 0
