"""``python -m engine.serving.healthcheck``: whether a worker runs on this host, for a container's health check."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from redis.exceptions import RedisError

from engine.contract.arguments import ArgumentParser
from engine.contract.queue.store import Queue, connect
from engine.contract.settings import SettingError, Settings


async def alive(settings: Settings) -> bool:
    """Whether a worker with this host's name has sent a heartbeat recently. Raises RedisError."""
    redis = connect(settings.redis_url)
    try:
        workers = await Queue(redis, settings.key_prefix).workers.heartbeats.names()
    finally:
        await redis.aclose()
    return any(name.startswith(f"{socket.gethostname()}-") for name in workers)


def main() -> int:
    """Exit code 0: a worker is alive, 1: none is, 2: invalid setting."""
    ArgumentParser(
        prog="python -m engine.serving.healthcheck",
        description="Whether a worker is alive on this host, for a container's health check.",
        epilog="example: REDIS_URL=redis://127.0.0.1:6379 python -m engine.serving.healthcheck",
    ).parse_args()
    try:
        if asyncio.run(alive(Settings.read(os.environ))):
            return 0
        print("No worker is alive on this host.", file=sys.stderr)
        return 1
    except RedisError as error:
        print(f"Redis does not answer ({error}); check REDIS_URL.", file=sys.stderr)
        return 1
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
