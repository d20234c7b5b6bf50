"""HTTP errors: one JSON form, in the caller's language."""

from __future__ import annotations

from aiohttp import web

from bot.views import http_errors as texts
from bot.views.messages import Language, accepted_language, pick
from engine.contract import CodecError, PoemError
from engine.contract.codec import dumps

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "poem",
}
_TAGS: dict[Language, str] = {"zh-hans": "zh-Hans", "zh-hant": "zh-Hant", "en": "en"}
_POEM_ERROR_STATUS = {"rate_limited": 429, "busy": 503, "no_worker": 503, "deadline": 504}
_ROUTING_ERRORS = {404: ("not_found", *texts.NO_ADDRESS), 405: ("method_not_allowed", *texts.WRONG_METHOD)}


class HttpError(Exception):
    """A request that is not served. ``zh`` (simplified) and ``en``: the message for the user."""

    def __init__(self, status: int, code: str, zh: str, en: str, retry_after: int | None = None) -> None:
        super().__init__(en)
        self.status = status
        self.code = code
        self.zh = zh
        self.en = en
        self.retry_after = retry_after

    @classmethod
    def from_poem_error(cls, error: PoemError) -> HttpError:
        status = _POEM_ERROR_STATUS.get(error.code, 400)
        retry_after = error.retry_after or 5 if status in (429, 503) else error.retry_after
        return cls(status, error.code, error.zh, error.en, retry_after)

    @classmethod
    def from_routing_error(cls, error: web.HTTPException) -> HttpError:
        """For errors raised by aiohttp."""
        code, zh, en = _ROUTING_ERRORS.get(error.status, ("bad_request", *texts.other_status(error.reason)))
        return cls(error.status, code, zh, en)


def bad_request(error: CodecError) -> HttpError:
    return HttpError(400, "bad_request", *texts.invalid(error.zh, str(error)))


def body_too_long(limit: int) -> HttpError:
    return HttpError(413, "too_long", *texts.long_body(limit))


def unreadable_body(text: texts.Texts) -> CodecError:
    zh, en = text
    return CodecError(en, zh)


def json_response(value: dict[str, object], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    # A message may quote a lone surrogate, which cannot be encoded.
    body = dumps(value).encode("utf-8", "replace")
    return web.json_response(body=body, status=status, headers=headers)


def error_response(error: HttpError, accept_language: str | None) -> web.Response:
    """``accept_language``: the header of that name. ``messages`` serves a page whose reader changes the language."""
    messages = {tag: pick((error.zh, error.en), language) for language, tag in _TAGS.items()}
    message = messages[_TAGS[accepted_language(accept_language)]]
    headers = {} if error.retry_after is None else {"Retry-After": str(max(1, error.retry_after))}
    fields: dict[str, object] = {"code": error.code, "message": message, "messages": messages}
    return json_response({"error": fields}, error.status, headers)


def add_security_headers(response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SECURITY_HEADERS["Server"]
