"""Reads request bodies: limited in size and time, uncompressed, JSON in UTF-8."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from bot.http.errors import HttpError, body_too_long, unreadable_body
from bot.views import http_errors as texts

MAX_BODY_BYTES = 8 * 1024
BODY_SECONDS = 10.0


async def read_body(request: web.Request, limit: int) -> bytes:
    """Raises HttpError before more than ``limit`` bytes are kept. Compressed bodies are refused, since their length
    does not limit what they inflate to."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise HttpError(415, "unsupported_encoding", *texts.COMPRESSED_BODY)
    if (request.content_length or 0) > limit:
        raise body_too_long(limit)
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_chunked(limit + 1):
                body += chunk
                if len(body) > limit:
                    raise body_too_long(limit)
    except TimeoutError:
        raise HttpError(408, "too_slow", *texts.SLOW_BODY) from None
    return body


async def read_json(request: web.Request) -> Any:
    """Raises HttpError, or CodecError if the body is not JSON."""
    body = await read_body(request, MAX_BODY_BYTES)
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise unreadable_body(texts.NOT_JSON) from error
