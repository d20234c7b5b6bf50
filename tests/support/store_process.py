"""The process of an embedded server: its ID, and killing it."""

from __future__ import annotations

import os
import signal

from redis import Redis

from bot.standalone.redis_server import RedisServer


def store_pid(store: RedisServer) -> int:
    with Redis.from_url(store.url) as client:
        return int(client.info("server")["process_id"])


def kill_store(store: RedisServer) -> None:
    """Kill it, like a crash, and wait for its end."""
    os.kill(store_pid(store), signal.SIGKILL)
    store.exit_code()
