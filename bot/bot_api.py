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
        """Whether the Bot API answered the last call."""

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
            called = url.rpartition("/")[2].partition("?")[0]
            most = MAX_UPDATES_BYTES if called == "getUpdates" else MAX_ANSWER_BYTES
            async with asyncio.timeout(seconds):
                status, body = await self._exchange(url, method, request_data, most)
            checked = _checked(called, status, body)
            reached = True
            return status, checked
        except (TimeoutError, httpx.TimeoutException):
            raise TimedOut(f"no whole answer within {seconds:.0f} s") from None
        except httpx.ConnectError as error:
            raise NetworkError(f"no connection: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            # The message may contain parts of the answer, or the URL with the token.
            raise NetworkError(f"the exchange failed ({type(error).__name__})") from None
        finally:
            self.reached = reached

    async def _exchange(self, url: str, method: str, request_data: RequestData | None, most: int) -> tuple[int, bytes]:
        data = request_data.json_parameters if request_data else None
        files = request_data.multipart_data if request_data else None
        body = bytearray()
        async with self._client.stream(method, url, data=data, files=files or None) as answer:
            async for part in answer.aiter_raw():
                body += part
                if len(body) > most:
                    raise NotTelegramError(f"an answer of more than {most} bytes")
            return answer.status_code, bytes(body)

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            # No compression: the size of a compressed answer is only known after inflating it.
            headers={"Accept-Encoding": "identity"},
            cookies=_NoCookies(),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            verify=_authorities(),
            limits=httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections),
        )


@cache
def _authorities() -> ssl.SSLContext:
    """Whom to trust: read once, because that takes 30 ms, and a bot has several clients."""
    return httpx.create_ssl_context()


def retry_after_seconds(error: RetryAfter) -> float:
    """How long Telegram asks the bot to wait."""
    delay = error.retry_after
    return delay.total_seconds() if isinstance(delay, datetime.timedelta) else float(delay)


class _NoCookies(CookieJar):
    """The Bot API sets no cookies; those of a gateway would be sent back with every call, more each time."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Keep nothing."""


def _checked(method: str, status: int, body: bytes) -> bytes:
    """The answer reduced to the fields that the program reads. Raises NotTelegramError."""
    try:
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("no object")
        if answer.get("ok") is True and 200 <= status <= 299:
            return _dump({"ok": True, "result": _RESULTS.get(method, _yes)(answer["result"])})
        if answer.get("ok") is not False or answer.get("error_code") != status:
            raise ValueError("neither a result nor an error")
        error: dict[str, object] = {"ok": False, "description": _one_line(answer["description"])}
        if "parameters" in answer:
            error["parameters"] = _parameters(answer["parameters"])
        return _dump(error)
    except (KeyError, TypeError, ValueError, RecursionError):
        words = f"{method} was answered by something that is not the Bot API (status {status}, {len(body)} bytes)"
        raise NotTelegramError(words) from None


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()


def _one_line(text: object) -> str:
    """A description that is safe to log."""
    if not isinstance(text, str):
        raise TypeError("description")
    return "".join(each if each.isprintable() else " " for each in text[:MAX_DESCRIPTION])


def _whole(value: object, least: int = 0, most: int = _LARGEST) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError("not such a whole number")
    return value


def _parameters(value: Any) -> dict[str, int]:
    found = {}
    if "retry_after" in value:
        found["retry_after"] = _whole(value["retry_after"], 1, 2**31)
    if "migrate_to_chat_id" in value:
        found["migrate_to_chat_id"] = _whole(value["migrate_to_chat_id"], -_LARGEST)
    return found


def _yes(result: object) -> bool:
    if result is not True:
        raise ValueError("not true")
    return True


def _message(result: Any) -> dict[str, object]:
    """Only the number of a sent message is read."""
    return {"message_id": _whole(result["message_id"], 1), "date": 0, "chat": {"id": 0, "type": "private"}}


def _message_or_yes(result: object) -> object:
    return True if result is True else _message(result)


def _bot(result: Any) -> dict[str, object]:
    name = result["username"]
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isidentifier() or not name.isascii():
        raise ValueError("username")
    inline = result.get("supports_inline_queries") is True
    number = _whole(result["id"], 1)
    return {"id": number, "is_bot": True, "first_name": name, "username": name, "supports_inline_queries": inline}


def _webhook(result: Any) -> dict[str, object]:
    if not isinstance(result["url"], str):
        raise TypeError("url")
    return {"url": result["url"], "has_custom_certificate": False, "pending_update_count": 0}


def _updates(result: object) -> list[Any]:
    """Each update is parsed separately later, so that an unreadable one does not affect the others."""
    if not isinstance(result, list):
        raise TypeError("no list")
    return result


_RESULTS: dict[str, Callable[[Any], object]] = {
    "getMe": _bot,
    "getUpdates": _updates,
    "getWebhookInfo": _webhook,
    "sendMessage": _message,
    "sendPhoto": _message,
    "editMessageText": _message_or_yes,
    "editMessageReplyMarkup": _message_or_yes,
}
"""Parsers for the results of the methods used here; all other methods return ``true``."""
