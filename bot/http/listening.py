"""Why the HTTP server cannot listen, in one sentence."""

from __future__ import annotations

import errno
import socket

from engine.contract.settings import SettingError


class PortTakenError(Exception):
    """The HTTP port cannot be had; the message is one sentence."""


def cannot_listen(error: OSError, host: str, port: int) -> SettingError | PortTakenError:
    """What to raise for ``error``: a wrong setting, or a port that another program has."""
    # socket.create_server hands on the number of a failed look-up, which is negative, and not its kind.
    unknown = isinstance(error, socket.gaierror) or (error.errno or 0) < 0
    if unknown or error.errno == errno.EADDRNOTAVAIL:
        return SettingError(
            f"HTTP_HOST is wrong: {host} is no address of this machine; 127.0.0.1 serves this machine alone, "
            "0.0.0.0 every network it is in."
        )
    if error.errno == errno.EACCES:
        return SettingError(f"HTTP_PORT is wrong: ports below 1024, as {port}, are for root; take one above, as 8080.")
    return PortTakenError(f"Port {port} on {host} is taken: set HTTP_PORT to another, as in HTTP_PORT=8090.")
