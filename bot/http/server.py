"""The HTTP server: routes, webhook, probes and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError, ResponseError
from telegram import Update

from bot.http.api import Api
from bot.http.body import read_body
from bot.http.callers import Callers
from bot.http.errors import HttpError, add_security_headers, error_response, json_response
from bot.http.page import FILES, Site
from bot.metrics import ClusterState, Metrics
from bot.updates.polling import UpdateHandler, handle_safely, parse_update
from bot.views import http_errors as texts
from bot.views.preview import POEM_PATH
from engine.contract.logs import origin
from engine.contract.queue.clock import MAX_SKEW_SECONDS
from engine.contract.queue.store import Queue

log = logging.getLogger("bot.http.server")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
WEBHOOK_PATH = "/telegram"
PAGE_PATH = "/"
MAX_UPDATE_BYTES = 256 * 1024
READY_SECONDS = 3.0


class Webhook:
    """``POST /telegram``; answers 503 until ``open`` sets the handler of updates."""

    def __init__(self, secret: str, metrics: Metrics) -> None:
        self._secret = secret.encode()
        self._metrics = metrics
        self._handle: UpdateHandler | None = None

    def open(self, handle: UpdateHandler) -> None:
        self._handle = handle

    async def receive(self, request: web.Request) -> web.Response:
        """Answers 200 only after the result of the update is in Redis; any other status makes Telegram resend it."""
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._secret):
            raise HttpError(403, "forbidden", *texts.WRONG_SECRET)
        if self._handle is None:
            raise HttpError(503, "busy", *texts.NOT_READY, 1)
        try:
            raw = json.loads(await read_body(request, MAX_UPDATE_BYTES))
        except (ValueError, RecursionError):
            raw = None
        update = parse_update(raw, self._metrics)
        if update is None:
            raise HttpError(400, "bad_request", *texts.NOT_AN_UPDATE)
        # An unreadable one is confirmed too, or Telegram would resend it and hold back the others.
        if isinstance(update, Update):
            await handle_safely(self._handle, update)
        return json_response({"ok": True})


@dataclass(frozen=True)
class Probes:
    """``telegram``: the state of the connection to Telegram."""

    queue: Queue
    metrics: Metrics
    telegram: Callable[[], Literal["off", "connecting", "on"]]

    async def health(self, _: web.Request) -> web.Response:
        return json_response({"status": "alive", "telegram": self.telegram()})

    async def ready(self, _: web.Request) -> web.Response:
        """Ready: Redis answers and accepts writes, and a worker is alive."""
        state = await self._state()
        if not state.writes:
            return json_response({"status": "not ready", "reason": "Redis refuses to write"}, 503)
        if state.status is None:
            return json_response({"status": "not ready", "reason": "Redis does not answer"}, 503)
        if state.status.workers == 0:
            return json_response({"status": "not ready", "reason": "no worker is alive"}, 503)
        skew = max(state.status.skew, state.skew, key=abs)
        warning = {"warning": f"a clock is {skew:+.0f} s off Redis'"} if abs(skew) > MAX_SKEW_SECONDS else {}
        answer = {"status": "ready", "workers": state.status.workers, "clock_skew_seconds": round(skew, 1)}
        return json_response({**answer, **warning})

    async def metrics_page(self, _: web.Request) -> web.Response:
        state, queue = await self._state(), self.queue
        # Left out while Redis does not answer, which `_state` has already waited for once.
        if state.status is not None:
            with contextlib.suppress(RedisError, TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    serving, training = await queue.models.serving(), await queue.trainings.current()
                    state = replace(state, serving=serving, training=training)
        page = self.metrics.text(state)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _state(self) -> ClusterState:
        """Whether Redis answers and accepts writes, and the state of queue and workers."""
        state, queue = ClusterState(), self.queue
        try:
            async with asyncio.timeout(READY_SECONDS):
                await queue.now()
                state = ClusterState(await queue.status(), skew=queue.clock.skew)
                await queue.probe()
        except ResponseError:
            return replace(state, writes=False)
        except (RedisError, TimeoutError):
            return ClusterState()
        return state


def application(api: Api, probes: Probes, site: Site, webhook: Webhook | None) -> web.Application:
    app = web.Application(middlewares=[_errors, _same_site(api.callers)])
    app.add_routes(
        [
            web.post("/api/poems", api.poems),
            web.get("/api/poems/{id}", api.stored),
            web.post("/api/pictures", site.picture),
            web.get("/api/pictures/{id}", site.stored_picture),
            web.get("/api/templates", site.template),
            web.get("/api/queue", api.queue),
            web.get("/healthz", probes.health),
            web.get("/readyz", probes.ready),
            web.get("/metrics", probes.metrics_page),
            web.get(PAGE_PATH, site.page),
            web.get(f"{POEM_PATH}{{id}}", site.poem_page),
            *(web.get(path, site.file) for path in FILES),
        ]
    )
    if webhook is not None:
        app.router.add_post(WEBHOOK_PATH, webhook.receive)
    app.on_response_prepare.append(_add_security_headers)
    return app


async def _add_security_headers(_: web.Request, response: web.StreamResponse) -> None:
    add_security_headers(response)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """All errors in one form, including those of Redis and of aiohttp (404, 405); bugs become a plain 500."""
    allow = None
    try:
        return await handler(request)
    except HttpError as raised:
        error = raised
    except RedisError as raised:
        log.warning("Redis: %s", raised)
        error = HttpError(503, "busy", *texts.NO_REDIS, 5)
    except web.HTTPException as raised:
        error, allow = HttpError.from_routing_error(raised), raised.headers.get("Allow")
    except Exception as bug:
        log.error("%s %s failed: %s", request.method, request.rel_url.path, origin(bug))
        error = HttpError(500, "internal", *texts.INTERNAL)
    response = error_response(error, request.headers.get("Accept-Language"))
    if allow is not None:
        response.headers["Allow"] = allow
    return response


def _same_site(callers: Callers) -> Middleware:
    """Refuses requests caused by pages of other sites. Telegram is identified by its secret instead."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        changes = request.method not in ("GET", "HEAD") and request.path != WEBHOOK_PATH
        if changes and not callers.same_site(request.remote, request.headers):
            raise HttpError(403, "forbidden", *texts.FOREIGN_SITE)
        return await handler(request)

    return check
