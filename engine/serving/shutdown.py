"""Running a service until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError


class StoppableService(Protocol):
    def stop(self) -> None:
        """Finish what is in flight, start nothing new, then end."""

    async def run(self) -> None:
        """Serve until ``stop`` is called. RedisError: it was stopped while Redis was unavailable."""


def asked_to_stop() -> asyncio.Event:
    """An event that SIGTERM and Ctrl-C set from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def run_until(stop: asyncio.Event, service: StoppableService, redis: Redis, log: logging.Logger) -> None:
    """Run ``service`` until ``stop`` is set, then close ``redis``."""
    running = asyncio.create_task(service.run())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        service.stop()
        await running
    except RedisError as error:
        log.error("stopped without Redis: %s", error)
    finally:
        stopped.cancel()
        await redis.aclose()
