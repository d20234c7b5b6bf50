"""What travels through the queue: a job to a worker, a reply to the bot, and where the reply goes."""

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
    """A place in Telegram: the chat, the message that is answered, the topic of a forum."""

    chat: int
    message: int | None = None
    topic: int | None = None


@dataclass(frozen=True)
class Inline:
    """A message that somebody sent through the bot to a chat that the bot may not be in; it can only be edited."""

    message: str


@dataclass(frozen=True)
class Waiter:
    """An HTTP request that waits in one bot process. ``idempotency_key``: what its job is accepted under."""

    process: str
    id: str

    @property
    def idempotency_key(self) -> str:
        return f"h{self.id}"


Telegram = Chat | Inline
Address = Telegram | Waiter
Request = PoemRequest | CheckRequest
Kind = Literal["message", "picture", "notice", "languages", "welcome"]
"""How a reply is shown: in words, as a picture, in words that go away once the poem of ``job`` is there, with
buttons to choose a language, or with those that write a first poem."""


@dataclass(frozen=True)
class Job:
    """A request on its way to a worker. ``deadline``: after which nobody waits for the answer, by ``Queue.now``;
    ``sender``: who may cancel it."""

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
            "to": _address_json(self.to),
            "language": self.language,
            "deadline": self.deadline,
            "sender": self.sender,
        }
        return {"v": str(VERSION), "body": dumps(body)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read a stream entry; CodecError where it is no job."""
        value = _body(fields)
        wrapped = decode(_JobFields, value)
        return cls(_request(wrapped.request), _address(wrapped.to), wrapped.language, wrapped.deadline, wrapped.sender)


@dataclass(frozen=True)
class WorkDone:
    """What a poem took: seconds in the queue and in writing, poems in hand beside it (itself included), characters
    fed to the model for it, all candidates together."""

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
        body: dict[str, object] = {"to": _address_json(self.to), "language": self.language, "job": self.job}
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
        """Read a stream entry; CodecError where it is no reply."""
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
            raise CodecError("a reply that says nothing")
        request = None if wrapped.request is None else _request(wrapped.request)
        to = _address(wrapped.to)
        return cls(to, wrapped.language, content, request, wrapped.job, wrapped.work, wrapped.kind, wrapped.place)


@dataclass(frozen=True)
class _JobFields:
    """The body of a job's entry; what is inside the mappings is read by their own types."""

    request: dict[str, Any]
    to: dict[str, Any]
    language: str
    deadline: float
    sender: str = ""


@dataclass(frozen=True)
class _ReplyFields:
    """The body of a reply's entry, but for what it says."""

    to: dict[str, Any]
    language: str
    job: str
    text: str | None = None
    request: dict[str, Any] | None = None
    work: WorkDone | None = None
    kind: Kind = "message"
    place: int = 0


def deadline_error() -> PoemError:
    """The apology for a poem that was not begun before its deadline."""
    return PoemError(
        "deadline",
        "抱歉，这首诗没能及时写出来，请再发一次。",
        "Sorry, the poem was not ready in time; please send it again.",
        retry_after=5,
    )


def no_worker_error(retry_after: int = 15) -> PoemError:
    """The apology while no worker lives."""
    return PoemError(
        "no_worker",
        "抱歉，写诗程序暂时没有运行，请过一会儿再发一次。",
        "Sorry, no worker is running just now; please send it again in a little while.",
        retry_after=retry_after,
    )


def attempts_failed_error() -> PoemError:
    """The apology for a job that no worker could finish."""
    return PoemError(
        "deadline",
        "抱歉，这首诗试了几次都没有写成；请换一句再试。",
        "Sorry, several attempts at this poem failed; please try another line.",
    )


def _body(fields: Mapping[str, str]) -> dict[str, Any]:
    if "body" not in fields:
        raise CodecError("a stream entry without a body")
    return loads_object(fields["body"])


def _request(value: Mapping[str, Any]) -> Request:
    return CheckRequest.from_json(value) if "check" in value else PoemRequest.from_json(value)


def _address_json(to: Address) -> dict[str, object]:
    if isinstance(to, Inline):
        return {"inline": to.message}
    if isinstance(to, Chat):
        return {"chat": to.chat, "message": to.message, "topic": to.topic}
    return {"process": to.process, "id": to.id}


def _address(value: Mapping[str, Any]) -> Address:
    if "chat" in value:
        return decode(Chat, value)
    if "inline" in value:
        return decode(Inline, {"message": value["inline"]})
    return decode(Waiter, value)
