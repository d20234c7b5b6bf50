"""Limits open connections, so that file descriptors remain for Redis and Telegram and no caller takes all of them.
Closes connections that send no request or leave answers unread.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

from aiohttp import web

from bot.http.callers import Callers
from bot.http.errors import HttpError, add_security_headers, error_response
from bot.views import http_errors as texts
from engine.contract.logs import origin

log = logging.getLogger("bot.http.connections")

MAX_CONNECTIONS = 512
CALLER_SHARE_DIVISOR = 4
"""One caller may have at most a quarter of all connections."""
FIRST_REQUEST_SECONDS = 10.0
"""Time limit of the first request, and interval of checks for unread answers."""
MAX_UNREAD_CHECKS = 2
"""A connection with unread data at this many consecutive checks is closed at the next one."""
KEEP_ALIVE_SECONDS = 75.0
"""Longer than the minute that proxies commonly keep a connection, so that they close it first."""
LINGER_SECONDS = 2.0
"""How long to wait for the rest of a refused body."""


def connection_limit() -> int:
    """At most half of the file descriptors that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(MAX_CONNECTIONS, soft // 2))


class Connections:
    """A protocol factory. If all connections are in use, the oldest one waiting for a request is closed; if a caller
    has its full share, the oldest such of its own."""

    def __init__(self, server: web.Server, callers: Callers) -> None:
        self._server = server
        self._callers = callers
        self._limit = connection_limit()
        self._open: dict[Connection, str | None] = {}

    def __call__(self) -> asyncio.Protocol:
        if len(self._open) >= self._limit:
            idle = next((connection for connection in self._open if connection.idle), None)
            if idle is None:
                return _Refused()
            idle.force_close()
        connection = Connection(self._server, self)
        self._open[connection] = None
        return connection

    def made(self, connection: Connection, peer: str | None) -> None:
        """Register a connection's caller; if that caller has too many connections, close one."""
        caller = self._open[connection] = self._callers.of_connection(peer)
        if caller is None:
            return
        theirs = [each for each, other in self._open.items() if other == caller]
        if len(theirs) > max(1, self._limit // CALLER_SHARE_DIVISOR):
            next((each for each in theirs if each.idle), connection).force_close()

    def lost(self, connection: Connection) -> None:
        self._open.pop(connection, None)


class _Refused(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Connection(web.RequestHandler):
    """One connection. Invalid HTTP is answered like other errors and without a traceback in the log."""

    def __init__(self, server: web.Server, connections: Connections) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]
        )
        self._connections = connections
        self._link: asyncio.Transport | None = None
        self._next_check: asyncio.TimerHandle | None = None
        self._unread = 0

    @property
    def idle(self) -> bool:
        """Whether it is waiting for a request or for the rest of its headers."""
        return self._waiter is not None and not self._waiter.done() and not self._force_close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._link = transport
        self._next_check = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._check)
        peer = transport.get_extra_info("peername")
        self._connections.made(self, peer[0] if peer else None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.lost(self)
        if self._next_check is not None:
            self._next_check.cancel()
        super().connection_lost(exc)

    def force_close(self) -> None:
        """Abort: a transport that is only closed waits for ever for a client that does not read."""
        super().force_close()
        if self._link is not None:
            self._link.abort()

    def _check(self) -> None:
        assert self._link is not None
        unread = self._link.get_write_buffer_size() > 0
        if self._request_count == 0 or (unread and self._unread >= MAX_UNREAD_CHECKS):
            self.force_close()
            return
        self._unread = self._unread + 1 if unread else 0
        self._next_check = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._check)

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
        add_security_headers(response)
        response.force_close()
        return response


class AcceptErrorLogger:
    """An event loop's exception handler that logs failing accepts once per minute instead of once per attempt."""

    LOG_SECONDS = 60.0

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
            self._next_line, self._failed = loop.time() + self.LOG_SECONDS, 0
