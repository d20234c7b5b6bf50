"""What HTTP answers when it cannot serve a request: one form, in the caller's language."""

from __future__ import annotations

from aiohttp import web

from bot.views.messages import accepted_language, in_script
from engine.contract import CodecError, PoemError
from engine.contract.poem import dumps

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "poem",
}
_POEM_ERROR_STATUS = {"rate_limited": 429, "busy": 503, "no_worker": 503, "deadline": 504}
_ROUTING = {
    404: (
        "not_found",
        "没有这个地址；所有地址见 /openapi.json。",
        "There is no such address; /openapi.json lists them.",
    ),
    405: (
        "method_not_allowed",
        "这个地址不接受这种方法；可用的方法见 Allow 头。",
        "This address does not take this method; the Allow header names those it takes.",
    ),
}


class HttpError(Exception):
    """A request that is not served. ``zh`` (simplified) and ``en`` are for the person who sent it."""

    def __init__(self, status: int, code: str, zh: str, en: str, retry_after: int | None = None) -> None:
        super().__init__(en)
        self.status = status
        self.code = code
        self.zh = zh
        self.en = en
        self.retry_after = retry_after

    @classmethod
    def of_poem(cls, error: PoemError) -> HttpError:
        status = _POEM_ERROR_STATUS.get(error.code, 400)
        retry_after = error.retry_after or 5 if status in (429, 503) else error.retry_after
        return cls(status, error.code, error.zh, error.en, retry_after)

    @classmethod
    def of_routing(cls, error: web.HTTPException) -> HttpError:
        """What aiohttp answers by itself."""
        code, zh, en = _ROUTING.get(error.status, ("bad_request", "请求有误。", f"{error.reason}."))
        return cls(error.status, code, zh, en)


def bad_request(error: CodecError) -> HttpError:
    return HttpError(400, "bad_request", f"请求有误：{error.zh}。", f"Not a valid request: {error}.")


def too_long(limit: int) -> HttpError:
    return HttpError(413, "too_long", f"正文最多 {limit} 字节。", f"The body may have {limit} bytes.")


def redis_unavailable() -> HttpError:
    return HttpError(503, "busy", "队列暂时没有回应，请稍后再试。", "The queue does not answer; please try again.", 5)


def reply(value: dict[str, object], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    # Half of a surrogate pair, which a message may quote, has no UTF-8.
    body = dumps(value).encode("utf-8", "replace")
    return web.json_response(body=body, status=status, headers=headers)


def error_response(error: HttpError, accept_language: str | None) -> web.Response:
    """``accept_language``: the header of that name."""
    language = accepted_language(accept_language)
    message = error.en if language == "en" else in_script(error.zh, language)
    headers = {} if error.retry_after is None else {"Retry-After": str(max(1, error.retry_after))}
    return reply({"error": {"code": error.code, "message": message}}, error.status, headers)


def secure(response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SECURITY_HEADERS["Server"]
