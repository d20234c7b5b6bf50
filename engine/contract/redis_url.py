"""Validates ``REDIS_URL`` before anything connects."""

from __future__ import annotations

import codecs
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError


def check_redis_url(url: str) -> None:
    """Raises ValueError without quoting the URL, which may have a password; the libraries' messages quote it."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    try:
        parts = urlsplit(url)
        database = parts.path.strip("/")
        # A password with a bare '/', '?' or '#' ends the host early and leaves its rest, with the '@', in a later part.
        valid = "@" not in f"{parts.path}{parts.query}{parts.fragment}" and not parts.fragment
        valid = valid and (parts.scheme == "unix" or not database or database.isdecimal())
        if valid:
            pool = ConnectionPool.from_url(url)
            connection = pool.connection_class(**pool.connection_kwargs)  # refuses options that it does not know
            codecs.lookup(connection.encoder.encoding)
    except (ValueError, TypeError, AttributeError, LookupError, RedisError):
        valid = False
    if not valid:
        raise ValueError(
            "it must have the form redis://user:password@host:port/0 or unix:///path; "
            "in a password write %2F for '/', %3F for '?', %23 for '#' and %40 for '@'"
        ) from None
