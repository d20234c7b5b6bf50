"""The web page, its pictures, and the templates of regulated verse."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from aiohttp import web
from redis.exceptions import RedisError

from bot.http.api import Api
from bot.http.body import read_json
from bot.http.errors import HttpError, bad_request, json_response, unreadable_body
from bot.views import http_errors as texts
from bot.views.drawing import Draw
from bot.views.poem import head_count
from bot.views.preview import Preview
from bot.views.refusals import rate_limited
from engine.contract import CodecError, Poem, PoemError
from engine.contract.queue.chats import Chats
from engine.contract.templates import named
from engine.contract.text import only_chinese

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data: blob:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
FILES = {
    "/page/style.css": ("static/style.css", "text/css"),
    "/page/script.js": ("static/script.js", "text/javascript"),
    "/page/texts.js": ("static/texts.js", "text/javascript"),
    "/page/icon.svg": ("static/icon.svg", "image/svg+xml"),
    "/page/icon-180.png": ("static/icon-180.png", "image/png"),
    "/page/icon-512.png": ("static/icon-512.png", "image/png"),
    "/manifest.webmanifest": ("static/manifest.webmanifest", "application/manifest+json"),
    "/openapi.json": ("openapi.json", "application/json"),
}
"""Files served unchanged."""
MAX_LINES, MAX_LINE_CHARACTERS, MAX_CHARACTERS = 200, 40, 400
MAX_DRAWN_AT_ONCE, MAX_PICTURES_WAITING = 1, 8
"""How many pictures are drawn at the same time, and how many requests may wait."""


@dataclass
class Site:
    """``draw`` None: pictures are not installed."""

    api: Api
    chats: Chats
    draw: Draw | None
    _drawing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_DRAWN_AT_ONCE))
    _waiting: int = 0

    async def file(self, request: web.Request) -> web.Response:
        path, kind = FILES[request.path]
        body = (resources.files("bot.http") / path).read_bytes()
        return _page_response(body, kind)

    async def page(self, request: web.Request) -> web.Response:
        """``GET /``: the page with an example poem."""
        return _page(Preview(origin=self._origin(request)))

    async def poem_page(self, request: web.Request) -> web.Response:
        """``GET /poems/{id}``: the page with a stored poem. Without one, the page's script shows the reason."""
        name, origin = request.match_info["id"], self._origin(request)
        try:
            poem_request, poem = await self.api.find_card(name)
        except HttpError as error:
            return _page(Preview(origin=origin), error.status)
        except RedisError:
            return _page(Preview(origin=origin), 503)
        return _page(Preview(poem_request, poem, name, origin, self.draw is not None))

    def _origin(self, request: web.Request) -> str | None:
        return self.api.callers.origin(request.remote, request.headers)

    async def template(self, request: web.Request) -> web.Response:
        """``GET /api/templates``: the tones of a template, line by line."""
        name, length, lines = (request.query.get(key, "") for key in ("name", "length", "lines"))
        numbers = [int(number) for number in (length, lines) if number.isdecimal() and len(number) < 4]
        template = named(name, *numbers) if len(numbers) == 2 else None
        if template is None:
            raise HttpError(404, "not_found", *texts.NO_TEMPLATE)
        line_tones = [{"tones": line.pattern, "rhymes": line.rhymes} for line in template.lines]
        return json_response({"name": template.name, "lines": line_tones})

    async def picture(self, request: web.Request) -> web.Response:
        """``POST /api/pictures``: takes a poem as the API returned it, answers its picture if it was written here."""
        draw = self._require_draw()
        try:
            poem = parse_poem(await read_json(request))
        except CodecError as error:
            raise bad_request(error) from error
        screened = self.api.blocklist.screen(poem)
        if isinstance(screened, PoemError):
            raise HttpError.from_poem_error(screened)
        if not await self.api.cards.was_written(poem):
            raise HttpError(403, "not_written_here", *texts.NOT_WRITTEN_HERE)
        return await self._drawn(request, draw, poem)

    async def stored_picture(self, request: web.Request) -> web.Response:
        """``GET /api/pictures/{id}``: the picture of a stored poem."""
        draw = self._require_draw()
        poem_request, poem = await self.api.find_card(request.match_info["id"])
        return await self._drawn(request, draw, poem, head_count(poem, poem_request))

    def _require_draw(self) -> Draw:
        if self.draw is None:
            raise HttpError(503, "no_pictures", *texts.NO_PICTURES, 3600)
        return self.draw

    async def _drawn(self, request: web.Request, draw: Draw, poem: Poem, heads: int | None = None) -> web.Response:
        await self._limit(self.api.callers.sender(request.remote, request.headers))
        if self._waiting >= MAX_PICTURES_WAITING:
            raise HttpError(503, "busy", *texts.TOO_MANY_PICTURES, 2)
        self._waiting += 1
        try:
            async with self._drawing:
                drawn = await asyncio.to_thread(draw, poem, heads)
        finally:
            self._waiting -= 1
        if isinstance(drawn, str):
            raise HttpError(422, "no_glyphs", *texts.no_glyphs(drawn))
        return web.Response(body=drawn, content_type="image/png")

    async def _limit(self, sender: str) -> None:
        """Pictures have their own counts, with the same limits as poems."""
        limits = self.api.submitter.limits_of(sender)
        if not await self.chats.allow(f"picture:{sender}", limits.per_minute, limits.per_day):
            raise HttpError.from_poem_error(rate_limited(60))


def _page(preview: Preview, status: int = 200) -> web.Response:
    page = (resources.files("bot.http") / "static/index.html").read_text("utf-8")
    return _page_response(preview.fill(page).encode(), "text/html", status)


def _page_response(body: bytes, kind: str, status: int = 200) -> web.Response:
    """A response with a part of the page, under its content security policy."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    charset = None if kind == "image/png" else "utf-8"
    return web.Response(body=body, status=status, content_type=kind, charset=charset, headers=headers)


def parse_poem(value: Any) -> Poem:
    """CodecError: it is not a poem, or too large."""
    try:
        poem = Poem.from_json({**value, "lines": list(value["lines"]) if isinstance(value["lines"], list) else []})
    except (ValueError, TypeError, KeyError) as error:
        raise unreadable_body(texts.NOT_A_POEM) from error
    lines = poem.lines
    if not lines or len(lines) > MAX_LINES or not all(_is_line(line) for line in lines):
        raise unreadable_body(texts.NOT_LINES)
    if sum(map(len, lines)) > MAX_CHARACTERS or not all(_is_note(n) for n in (poem.form, poem.template, poem.rhyme)):
        raise unreadable_body(texts.TOO_LARGE_A_POEM)
    return poem


def _is_line(line: object) -> bool:
    return isinstance(line, str) and 0 < len(line) <= MAX_LINE_CHARACTERS and only_chinese(line) == line


def _is_note(note: object) -> bool:
    return note is None or (isinstance(note, str) and len(note) <= 20)
