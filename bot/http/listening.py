"""Explains why the HTTP server cannot listen."""

from __future__ import annotations

import errno
import socket

from engine.contract.settings import SettingError


class PortTakenError(Exception):
    """The HTTP port is in use; the message is one sentence."""


def explain_listen_error(error: OSError, host: str, port: int) -> SettingError | PortTakenError:
    """The exception to raise for ``error``: an invalid setting, or a port in use."""
    # socket.create_server passes on the negative error number of a failed look-up, but not its type.
    unknown = isinstance(error, socket.gaierror) or (error.errno or 0) < 0
    if unknown or error.errno == errno.EADDRNOTAVAIL:
        return SettingError(
            f"HTTP_HOST is wrong: {host} is not an address of this machine; use 127.0.0.1 to serve this machine only, "
            "or 0.0.0.0 to serve all its networks."
        )
    if error.errno == errno.EACCES:
        return SettingError(
            f"HTTP_PORT is wrong: ports below 1024, such as {port}, are for root; use a higher one, such as 8080."
        )
    return PortTakenError(f"Port {port} on {host} is taken: set another one, for example HTTP_PORT=8090.")
