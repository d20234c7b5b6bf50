"""The JSON API for other programs; it uses the same queue as Telegram."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from dataclasses import dataclass, field

from aiohttp import web
from redis.exceptions import RedisError

from bot.blocklist import Blocklist
from bot.http.body import read_json
from bot.http.callers import Callers
from bot.http.errors import HttpError, bad_request, json_response
from bot.http.fair_share import FairShare
from bot.http.pending import PendingRequests, PoemOrError
from bot.metrics import Metrics
from bot.submission import LOCAL_SENDER, Submitter, cost_of
from bot.views import http_errors as texts
from bot.views.messages import Language, accepted_language
from bot.views.refusals import rate_limited
from engine.contract import CodecError, Poem, PoemError, PoemRequest
from engine.contract.queue.cards import Card, Cards
from engine.contract.queue.messages import deadline_error

log = logging.getLogger("bot.http.api")


@dataclass(frozen=True)
class Api:
    submitter: Submitter
    cards: Cards
    pending: PendingRequests
    blocklist: Blocklist
    metrics: Metrics
    callers: Callers
    shares: FairShare = field(default_factory=FairShare)

    async def poems(self, request: web.Request) -> web.Response:
        """``POST /api/poems``: takes a request, waits for its poem until the deadline and answers it."""
        language = accepted_language(request.headers.get("Accept-Language"))
        outcome = "poem"
        try:
            poem_request = PoemRequest.from_json(await read_json(request))
            sender = self.callers.sender(request.remote, request.headers)
            if sender != LOCAL_SENDER and not self.shares.has_capacity(sender):
                raise rate_limited(math.ceil(self.submitter.seconds))
            cost = cost_of(poem_request)
            async with contextlib.AsyncExitStack() as turn:
                try:
                    async with asyncio.timeout(self.submitter.seconds):
                        await turn.enter_async_context(self.shares.turn(sender, cost))
                except TimeoutError:
                    raise deadline_error() from None
                poem = await self._write(poem_request, sender, language, cost)
            return json_response(poem.to_json(), headers=await self._keep(poem_request, poem))
        except HttpError as error:
            outcome = error.code
            raise
        except CodecError as error:
            outcome = "bad_request"
            raise bad_request(error) from error
        except PoemError as error:
            outcome = error.code
            raise HttpError.from_poem_error(error) from error
        except RedisError:
            outcome = "no_redis"
            raise
        finally:
            self.metrics.count("poem_requests_total", door="http", outcome=outcome)

    async def stored(self, request: web.Request) -> web.Response:
        """``GET /api/poems/{id}``: a poem that was written here within the last thirty days, whichever model serves
        now."""
        name = request.match_info["id"]
        poem_request, poem = await self.find_card(name)
        return json_response({"id": name, "request": poem_request.brief(), "poem": poem.to_json()})

    async def find_card(self, name: str) -> tuple[PoemRequest, Poem]:
        """Raises HttpError, and RedisError while Redis is unavailable."""
        card = await self.cards.find(name)
        if card is None or card.poem is None:
            raise HttpError(404, "not_found", *texts.NO_POEM)
        screened = self.blocklist.screen(card.poem)
        if isinstance(screened, PoemError):
            raise HttpError.from_poem_error(screened)
        return card.request, screened

    async def _keep(self, poem_request: PoemRequest, poem: Poem) -> dict[str, str]:
        """Stores the poem; returns the header with its link, or none while Redis is unavailable."""
        try:
            name = await self.cards.keep(Card(poem_request, poem))
            await self.cards.note_written(poem)
        except RedisError as error:
            log.warning("Redis: %s", error)
            return {}
        return {"Content-Location": f"/api/poems/{name}"}

    async def queue(self, _: web.Request) -> web.Response:
        status = await self.submitter.queue.status()
        return json_response({"waiting": status.waiting, "wait_seconds": status.wait_seconds})

    async def _write(self, poem_request: PoemRequest, sender: str, language: Language, cost: int) -> Poem:
        content: PoemOrError | None = None
        with self.pending.expecting() as (address, answer):
            try:
                await self.submitter.submit(poem_request, address, language, address.idempotency_key, sender, cost)
                async with asyncio.timeout(self.submitter.seconds):
                    content = await answer
            except TimeoutError:
                raise deadline_error() from None
            finally:
                if content is None:
                    # The deadline passed or the client disconnected: nobody needs the poem any more.
                    with contextlib.suppress(RedisError):
                        await self.submitter.queue.abandon(address.idempotency_key)
        if isinstance(content, Poem):
            content = self.blocklist.screen(content)
        if isinstance(content, PoemError):
            raise content
        return content
