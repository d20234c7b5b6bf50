"""``POST /api/poems`` and ``GET /api/queue``: the same queue as Telegram, for other programs."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import time
from dataclasses import dataclass

from aiohttp import web
from redis.exceptions import RedisError

from bot.blocklist import Blocklist
from bot.http.pending import Answer, Waiters
from bot.metrics import Metrics
from bot.submission import Desk
from bot.views.messages import Language, accepted_language, error_text
from engine.contract import CodecError, Poem, PoemError, PoemRequest
from engine.contract.poem import dumps
from engine.contract.queue.messages import too_late

log = logging.getLogger("bot.http.api")

MAX_BODY = 8 * 1024
# Not `is_private`, which also holds ranges that are nobody's.
_NEAR = [
    ipaddress.ip_network(n) for n in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7")
]
_STATUS = {"rate_limited": 429, "busy": 503, "no_worker": 503, "deadline": 504}


class TooLargeError(Exception):
    """A body over the limit."""


async def read_limited(request: web.Request, limit: int) -> bytes:
    """The body, or TooLargeError before more than ``limit`` bytes are kept."""
    if (request.content_length or 0) > limit:
        raise TooLargeError
    body = b""
    async for chunk in request.content.iter_chunked(limit + 1):
        body += chunk
        if len(body) > limit:
            raise TooLargeError
    return body


def problem(status: int, code: str, message: str, retry_after: int | None = None) -> web.Response:
    """An error as the interface describes it. ``bad_request`` and ``not_found`` are added to its codes."""
    headers = {} if retry_after is None else {"Retry-After": str(max(1, retry_after))}
    return reply({"error": {"code": code, "message": message}}, status, headers)


def reply(value: dict[str, object], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(text=dumps(value), status=status, headers=headers)


@dataclass(frozen=True)
class Api:
    desk: Desk
    waiters: Waiters
    blocklist: Blocklist
    metrics: Metrics

    async def poems(self, request: web.Request) -> web.Response:
        """A request's fields in, a poem out; waits for it until the deadline."""
        language = accepted_language(request.headers.get("Accept-Language"))
        outcome = "poem"
        try:
            asked = PoemRequest.from_json(json.loads(await read_limited(request, MAX_BODY)))
            sender = f"ip:{client_address(request.remote, request.headers.get('X-Forwarded-For'))}"
            return reply((await self._write(asked, sender, language)).to_json())
        except TooLargeError:
            outcome = "too_large"
            return problem(413, "too_long", f"The body may have {MAX_BODY} bytes.")
        except (CodecError, ValueError, RecursionError) as error:
            outcome = "bad_request"
            reason = str(error) if isinstance(error, CodecError) else "the body must be a JSON object in UTF-8"
            return problem(400, "bad_request", f"Not a request: {reason}.")
        except PoemError as error:
            outcome = error.code
            wait = error.retry_after
            if (status := _STATUS.get(error.code, 400)) in (429, 503):
                wait = wait or 5
            return problem(status, error.code, error_text(error, language), wait)
        except RedisError as error:
            outcome = "no_redis"
            log.warning("Redis: %s", error)
            return problem(503, "busy", "The queue does not answer; please try again.", 5)
        finally:
            self.metrics.count("poem_requests_total", door="http", outcome=outcome)

    async def queue(self, _: web.Request) -> web.Response:
        try:
            status = await self.desk.queue.status()
        except RedisError:
            return problem(503, "busy", "The queue does not answer; please try again.", 5)
        return reply({"waiting": status.waiting, "wait_seconds": status.wait_seconds})

    async def _write(self, asked: PoemRequest, sender: str, language: Language) -> Poem:
        waiter, answer = self.waiters.expect()
        content: Answer | None = None
        try:
            job = await self.desk.ask(asked, waiter, language, waiter.guard, sender, at_once=True)
            assert job is not None
            async with asyncio.timeout(job.deadline - time.time()):
                content = await answer
        except TimeoutError:
            raise too_late() from None
        finally:
            self.waiters.forget(waiter)
            if content is None:
                # Too late, or the client went away: nobody needs the poem any more.
                with contextlib.suppress(RedisError):
                    await self.desk.queue.abandon(waiter.guard)
        if isinstance(content, Poem):
            content = self.blocklist.judge(content)
        if isinstance(content, PoemError):
            raise content
        return content


def client_address(peer: str | None, forwarded: str | None) -> str:
    """Whom to hold to the limits: the peer, or whom a proxy on this host or in a private network names last.

    An IPv6 network of 64 bits counts as one.
    """
    address = _address(peer)
    if forwarded and (address is None or any(address in network for network in _NEAR)):
        address = _address(forwarded.split(",")[-1].strip()) or address
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
