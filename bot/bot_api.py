"""HTTP for the Bot API: every answer is validated here, and becomes either its method's result or an error.

Gateways, captive portals and broken proxies may answer anything at any speed. Only a well-formed answer of the Bot API
decides the outcome of a call; anything else is ``NotTelegramError``, after which the call is retried. Error messages
contain nothing of an answer but Telegram's own description.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
from collections.abc import Callable
from functools import cache
from http.cookiejar import CookieJar
from typing import Any

import httpx
from telegram.error import NetworkError, RetryAfter, TimedOut
from telegram.request import BaseRequest, RequestData

CALL_SECONDS = 30.0
"""Total time limit of a call, from waiting for a free connection to the last byte of the answer."""
CONNECT_SECONDS = 10.0
MAX_ANSWER_BYTES = 1 << 20
"""A sent message, with the one that it replies to, takes a tenth of this at most."""
MAX_UPDATES_BYTES = 1 << 24
"""A hundred updates, the maximum in one answer, take about a third of this."""
MAX_DESCRIPTION = 200
"""Maximum length of Telegram's description of an error."""
MAX_UPDATE_ID = 2**31 - 1
_LARGEST = 2**63 - 1


class NotTelegramError(NetworkError):
    """An answer that is not from the Bot API."""


class BotApiRequest(BaseRequest):
    """HTTP for python-telegram-bot, which only sees validated answers. ``seconds``: total time limit of a call."""

    def __init__(self, connections: int = 64, seconds: float = CALL_SECONDS) -> None:
        self._connections = connections
        self._seconds = seconds
        self._client = self._new_client()
        self.reached = False
        """Whether the last call was answered by the Bot API."""

    @property
    def read_timeout(self) -> float:
        return self._seconds

    async def initialize(self) -> None:
        if self._client.is_closed:
            self._client = self._new_client()

    async def shutdown(self) -> None:
        await self._client.aclose()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,  # noqa: ARG002  # the library's interface
        connect_timeout: object = BaseRequest.DEFAULT_NONE,  # noqa: ARG002  # the library's interface
        pool_timeout: object = BaseRequest.DEFAULT_NONE,  # noqa: ARG002  # the library's interface
    ) -> tuple[int, bytes]:
        """Raises TelegramError. A ``read_timeout`` is the call's total time limit; the other timeouts are ignored."""
        seconds = float(read_timeout) if isinstance(read_timeout, int | float) else self._seconds
        reached = False
        try:
            api_method = url.rpartition("/")[2].partition("?")[0]
            limit = MAX_UPDATES_BYTES if api_method == "getUpdates" else MAX_ANSWER_BYTES
            async with asyncio.timeout(seconds):
                status, body = await self._exchange(url, method, request_data, limit)
            validated = _validated(api_method, status, body)
            reached = True
            return status, validated
        except (TimeoutError, httpx.TimeoutException):
            raise TimedOut(f"no whole answer within {seconds:.0f} s") from None
        except httpx.ConnectError as error:
            raise NetworkError(f"no connection: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            # The message may contain parts of the answer, or the URL with the token.
            raise NetworkError(f"the exchange failed ({type(error).__name__})") from None
        finally:
            self.reached = reached

    async def _exchange(self, url: str, method: str, request_data: RequestData | None, limit: int) -> tuple[int, bytes]:
        data = request_data.json_parameters if request_data else None
        files = request_data.multipart_data if request_data else None
        body = bytearray()
        async with self._client.stream(method, url, data=data, files=files or None) as answer:
            async for part in answer.aiter_raw():
                body += part
                if len(body) > limit:
                    raise NotTelegramError(f"an answer of more than {limit} bytes")
            return answer.status_code, bytes(body)

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            # No compression: the size of a compressed answer is only known after inflating it.
            headers={"Accept-Encoding": "identity"},
            cookies=_NoCookies(),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            verify=_tls_context(),
            limits=httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections),
        )


@cache
def _tls_context() -> ssl.SSLContext:
    """Cached, because loading the certificate authorities takes 30 ms and a bot has several clients."""
    return httpx.create_ssl_context()


def retry_after_seconds(error: RetryAfter) -> float:
    """How long Telegram asks the bot to wait."""
    delay = error.retry_after
    return delay.total_seconds() if isinstance(delay, datetime.timedelta) else float(delay)


class _NoCookies(CookieJar):
    """The Bot API sets no cookies; those of a gateway would be sent back with every call, more each time."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Keep nothing."""


def _validated(method: str, status: int, body: bytes) -> bytes:
    """The answer, reduced to the fields that this program reads. Raises NotTelegramError."""
    try:
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("no object")
        if answer.get("ok") is True and 200 <= status <= 299:
            return _to_json({"ok": True, "result": _RESULT_PARSERS.get(method, _parse_true)(answer["result"])})
        if answer.get("ok") is not False or answer.get("error_code") != status:
            raise ValueError("neither a result nor an error")
        error: dict[str, object] = {"ok": False, "description": _printable(answer["description"])}
        if "parameters" in answer:
            error["parameters"] = _error_parameters(answer["parameters"])
        return _to_json(error)
    except (KeyError, TypeError, ValueError, RecursionError):
        error_text = f"{method} was answered by something that is not the Bot API (status {status}, {len(body)} bytes)"
        raise NotTelegramError(error_text) from None


def _to_json(value: object) -> bytes:
    return json.dumps(value).encode()


def _printable(text: object) -> str:
    """A description on one line that is safe to log."""
    if not isinstance(text, str):
        raise TypeError("description")
    return "".join(each if each.isprintable() else " " for each in text[:MAX_DESCRIPTION])


def _integer(value: object, minimum: int = 0, maximum: int = _LARGEST) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise ValueError("not such a whole number")
    return value


def _error_parameters(value: Any) -> dict[str, int]:
    parameters = {}
    if "retry_after" in value:
        parameters["retry_after"] = _integer(value["retry_after"], 1, 2**31)
    if "migrate_to_chat_id" in value:
        parameters["migrate_to_chat_id"] = _integer(value["migrate_to_chat_id"], -_LARGEST)
    return parameters


def _parse_true(result: object) -> bool:
    if result is not True:
        raise ValueError("not true")
    return True


def _parse_sent_message(result: Any) -> dict[str, object]:
    """Only the number of a sent message is used; python-telegram-bot requires the other fields."""
    return {"message_id": _integer(result["message_id"], 1), "date": 0, "chat": {"id": 0, "type": "private"}}


def _parse_sent_message_or_true(result: object) -> object:
    return True if result is True else _parse_sent_message(result)


def _parse_bot(result: Any) -> dict[str, object]:
    name = result["username"]
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isidentifier() or not name.isascii():
        raise ValueError("username")
    inline = result.get("supports_inline_queries") is True
    number = _integer(result["id"], 1)
    return {"id": number, "is_bot": True, "first_name": name, "username": name, "supports_inline_queries": inline}


def _parse_webhook(result: Any) -> dict[str, object]:
    if not isinstance(result["url"], str):
        raise TypeError("url")
    return {"url": result["url"], "has_custom_certificate": False, "pending_update_count": 0}


def _parse_updates(result: object) -> list[Any]:
    """Each update is parsed separately later, so that an unreadable one does not affect the others."""
    if not isinstance(result, list):
        raise TypeError("no list")
    return result


_RESULT_PARSERS: dict[str, Callable[[Any], object]] = {
    "getMe": _parse_bot,
    "getUpdates": _parse_updates,
    "getWebhookInfo": _parse_webhook,
    "sendMessage": _parse_sent_message,
    "sendPhoto": _parse_sent_message,
    "editMessageText": _parse_sent_message_or_true,
    "editMessageReplyMarkup": _parse_sent_message_or_true,
}
"""Parsers for the results of the methods used here; all other methods return ``true``."""
