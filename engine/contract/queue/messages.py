"""Messages in the queue: a job for a worker, a reply for the bot, and the address of a reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from engine.contract.check import CheckRequest, Examination
from engine.contract.codec import CodecError, decode, dumps, loads_object
from engine.contract.errors import PoemError
from engine.contract.poem import VERSION, Poem, PoemRequest


@dataclass(frozen=True)
class Chat:
    """An address in Telegram: the chat, the message to reply to, the topic of a forum."""

    chat: int
    message: int | None = None
    topic: int | None = None


@dataclass(frozen=True)
class Inline:
    """A message sent by inline mode to a chat that the bot may not be in; it can only be edited."""

    message: str


@dataclass(frozen=True)
class PendingRequest:
    """An HTTP request that waits in one bot process. ``idempotency_key``: that of its job."""

    process: str
    id: str

    @property
    def idempotency_key(self) -> str:
        return f"h{self.id}"


TelegramAddress = Chat | Inline
Address = TelegramAddress | PendingRequest
Request = PoemRequest | CheckRequest
Kind = Literal["message", "picture", "notice", "languages", "welcome"]
"""How a reply is shown: as text, as a picture, as a text that is deleted once the poem of ``job`` is sent, with buttons
to choose a language, or with buttons for a first poem."""


@dataclass(frozen=True)
class Job:
    """A request for a worker. ``deadline``: when the answer is no longer awaited, by ``Queue.now``; ``sender``: who may
    cancel it."""

    request: Request
    to: Address
    language: str
    deadline: float
    sender: str = ""

    def overdue(self, now: float, grace: float = 0.0) -> bool:
        return now > self.deadline + grace

    def fields(self) -> dict[str, str]:
        body: dict[str, object] = {
            "request": self.request.to_json(),
            "to": _encode_address(self.to),
            "language": self.language,
            "deadline": self.deadline,
            "sender": self.sender,
        }
        return {"v": str(VERSION), "body": dumps(body)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Decode a stream entry. CodecError: it is not a job."""
        value = _body(fields)
        wrapped = decode(_JobFields, value)
        request, to = _decode_request(wrapped.request), _decode_address(wrapped.to)
        return cls(request, to, wrapped.language, wrapped.deadline, wrapped.sender)


@dataclass(frozen=True)
class WorkDone:
    """What a poem took: seconds in the queue and in writing, poems in flight (including itself), characters fed to the
    model for all its candidates."""

    waited: float
    wrote: float
    together: int
    characters: int


Content = Poem | Examination | PoemError | str


@dataclass(frozen=True)
class Reply:
    """What is sent back: a poem, an examination, an error, or text (Telegram HTML). ``job``: its id in the logs;
    ``work``: what the worker measured; ``position``: the one a notice shows."""

    to: Address
    language: str
    content: Content
    request: Request | None = None
    job: str = ""
    work: WorkDone | None = None
    kind: Kind = "message"
    position: int = 0

    def fields(self) -> dict[str, str]:
        content = self.content
        body: dict[str, object] = {"to": _encode_address(self.to), "language": self.language, "job": self.job}
        if self.request is not None:
            body["request"] = self.request.to_json()
        if self.work is not None:
            body["work"] = asdict(self.work)
        if self.kind != "message":
            body |= {"kind": self.kind, "place": self.position}
        if isinstance(content, str):
            body["text"] = content
        elif isinstance(content, Poem):
            body["poem"] = content.to_json()
        else:
            body["examination" if isinstance(content, Examination) else "error"] = content.to_json()
        return {"v": str(VERSION), "body": dumps(body)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Decode a stream entry. CodecError: it is not a reply."""
        value = _body(fields)
        wrapped = decode(_ReplyFields, value)
        content: Content
        if "poem" in value:
            content = Poem.from_json(value["poem"])
        elif "examination" in value:
            content = Examination.from_json(value["examination"])
        elif "error" in value:
            content = PoemError.from_json(value["error"])
        elif wrapped.text is not None:
            content = wrapped.text
        else:
            raise CodecError("a reply without content")
        request = None if wrapped.request is None else _decode_request(wrapped.request)
        to = _decode_address(wrapped.to)
        return cls(to, wrapped.language, content, request, wrapped.job, wrapped.work, wrapped.kind, wrapped.place)


@dataclass(frozen=True)
class _JobFields:
    """The body of a job's entry; the nested objects are decoded separately."""

    request: dict[str, Any]
    to: dict[str, Any]
    language: str
    deadline: float
    sender: str = ""


@dataclass(frozen=True)
class _ReplyFields:
    """The body of a reply's entry, without its content."""

    to: dict[str, Any]
    language: str
    job: str
    text: str | None = None
    request: dict[str, Any] | None = None
    work: WorkDone | None = None
    kind: Kind = "message"
    place: int = 0


def deadline_error() -> PoemError:
    """For a poem that was not started before its deadline."""
    return PoemError(
        "deadline",
        "抱歉，这首诗没能及时写出来，请再发一次。",
        "Sorry, the poem was not ready in time; please send it again.",
        retry_after=5,
    )


def no_worker_error() -> PoemError:
    """For requests while no worker is alive."""
    return PoemError(
        "no_worker",
        "抱歉，写诗程序暂时没有运行，请过一会儿再发一次。",
        "Sorry, no worker is running just now; please send it again in a little while.",
        retry_after=15,
    )


def attempts_failed_error() -> PoemError:
    """For a job that no worker could finish."""
    return PoemError(
        "deadline",
        "抱歉，这首诗试了几次都没有写成；请换一句再试。",
        "Sorry, several attempts at this poem failed; please try another line.",
    )


def _body(fields: Mapping[str, str]) -> dict[str, Any]:
    if "body" not in fields:
        raise CodecError("a stream entry without a body")
    return loads_object(fields["body"])


def _decode_request(value: Mapping[str, Any]) -> Request:
    return CheckRequest.from_json(value) if "check" in value else PoemRequest.from_json(value)


def _encode_address(to: Address) -> dict[str, object]:
    if isinstance(to, Inline):
        return {"inline": to.message}
    if isinstance(to, Chat):
        return {"chat": to.chat, "message": to.message, "topic": to.topic}
    return {"process": to.process, "id": to.id}


def _decode_address(value: Mapping[str, Any]) -> Address:
    if "chat" in value:
        return decode(Chat, value)
    if "inline" in value:
        return decode(Inline, {"message": value["inline"]})
    return decode(PendingRequest, value)
