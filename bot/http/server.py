"""The HTTP server: the JSON API, the webhook, and what an operator's tools ask for."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError
from telegram import Update

from bot.http.api import Api, TooLargeError, problem, read_limited, reply
from bot.http.page import FILES, Site
from bot.metrics import Metrics, Sight
from bot.updates.polling import Handle, readable, safely
from engine.contract.logs import origin
from engine.contract.queue.store import Queue

log = logging.getLogger("bot.http.server")

MAX_UPDATE = 256 * 1024
READY_SECONDS = 3.0
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "poem",
}


class Webhook:
    """``POST /telegram``. Not there until ``open`` says who handles the updates."""

    def __init__(self, secret: str, metrics: Metrics) -> None:
        self._secret = secret.encode()
        self._metrics = metrics
        self._handle: Handle | None = None

    def open(self, handle: Handle) -> None:
        self._handle = handle

    async def receive(self, request: web.Request) -> web.Response:
        """200 only once Redis has what the update leads to; anything else makes Telegram send it again."""
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._secret):
            return problem(403, "forbidden", "The secret token is wrong.")
        if self._handle is None:
            return problem(503, "busy", "Not ready yet.", 1)
        try:
            raw = json.loads(await read_limited(request, MAX_UPDATE))
        except TooLargeError:
            return problem(413, "too_long", f"An update may have {MAX_UPDATE} bytes.")
        except (ValueError, RecursionError):
            raw = None
        update = readable(raw, self._metrics)
        if update is None:
            return problem(400, "bad_request", "Not an update.")
        if not isinstance(update, Update):
            # Confirmed, or Telegram would bring it again and keep the others back.
            return reply({"ok": True})
        try:
            await safely(self._handle, update)
        except RedisError as error:
            log.warning("Redis: %s", error)
            return problem(503, "busy", "The queue does not answer.", 1)
        return reply({"ok": True})


@dataclass(frozen=True)
class Probes:
    """``telegram``: whether the bot and Telegram talk."""

    queue: Queue
    metrics: Metrics
    telegram: Callable[[], Literal["off", "connecting", "on"]]

    async def health(self, _: web.Request) -> web.Response:
        return reply({"status": "alive", "telegram": self.telegram()})

    async def ready(self, _: web.Request) -> web.Response:
        """Ready is: Redis answers and a worker lives."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                status = await self.queue.status()
        except (RedisError, TimeoutError):
            return reply({"status": "not ready", "reason": "Redis does not answer"}, 503)
        if status.workers == 0:
            return reply({"status": "not ready", "reason": "no worker lives"}, 503)
        return reply({"status": "ready", "workers": status.workers})

    async def metrics_page(self, _: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(READY_SECONDS):
                sight = Sight(
                    await self.queue.status(), await self.queue.models.serving(), await self.queue.trainings.current()
                )
        except (RedisError, TimeoutError):
            sight = Sight()
        return web.Response(body=self.metrics.page(sight), headers={"Content-Type": CONTENT_TYPE_LATEST})


def application(api: Api, probes: Probes, site: Site, webhook: Webhook | None) -> web.Application:
    app = web.Application(middlewares=[_in_words])
    app.add_routes(
        [
            web.post("/api/poems", api.poems),
            web.post("/api/pictures", site.picture),
            web.get("/api/templates", site.template),
            web.get("/api/queue", api.queue),
            web.get("/healthz", probes.health),
            web.get("/readyz", probes.ready),
            web.get("/metrics", probes.metrics_page),
            *(web.get(path, site.file) for path in FILES),
        ]
    )
    if webhook is not None:
        app.router.add_post("/telegram", webhook.receive)
    app.on_response_prepare.append(_secure)
    return app


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = _HEADERS["Server"]


@web.middleware
async def _in_words(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What aiohttp answers by itself (404, 405) as JSON too, and bugs as a plain 500."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        answer = problem(error.status, "not_found", f"{error.reason}.")
        if allow := error.headers.get("Allow"):
            answer.headers["Allow"] = allow
        return answer
    except Exception as error:
        log.error("%s %s failed: %s", request.method, request.rel_url.path, origin(error))
        return problem(500, "internal", "Something is wrong here; it was logged.")
