"""A program that serves until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError


class StoppableService(Protocol):
    def stop(self) -> None:
        """End soon: finish what is in hand, take nothing more."""
        ...

    async def run(self) -> None:
        """Serve until ``stop``. RedisError: it was asked to stop while Redis was gone."""
        ...


def asked_to_stop() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def run_until(stop: asyncio.Event, service: StoppableService, redis: Redis, log: logging.Logger) -> None:
    """Run ``service`` until ``stop`` is set, and close ``redis`` after it."""
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
