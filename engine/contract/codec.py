"""JSON between the programs, and how whatever comes from outside becomes a value of ours: once, here, or not at all."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

log = logging.getLogger("codec")
T = TypeVar("T")

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}

unreadable: Counter[str] = Counter()
"""What this process has passed over because it could not be read, by kind."""


class CodecError(ValueError):
    """What was read is not what it should be; the message names the field."""

    def __init__(self, message: str, zh: str = "") -> None:
        """``zh``: the message in Chinese."""
        super().__init__(message)
        self.zh = zh or message


def dumps(value: Mapping[str, object]) -> str:
    """The one spelling of JSON between the programs: compact, Chinese as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """CodecError: no JSON, or such as no program of ours writes: nested beyond reading, bytes that are no UTF-8, halves
    of characters, numbers that are not finite."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        # Redis' bytes that are no UTF-8 are read as halves of characters; JSON can spell such halves as well.
        (text if isinstance(text, bytes) else text.encode()).decode()
        if "\\u" in (text if isinstance(text, str) else text.decode()):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise CodecError(f"no readable JSON: {type(error).__name__}") from None
    return value


def loads_object(text: str | bytes) -> dict[str, Any]:
    """CodecError: not a JSON object."""
    value = loads(text)
    if not isinstance(value, dict):
        raise CodecError("a JSON object is wanted")
    return value


def decode(kind: type[T], value: object) -> T:
    """A dataclass from JSON's values, each field of its type. CodecError names the first that is not."""
    try:
        if kind not in _ADAPTERS:
            _ADAPTERS[kind] = TypeAdapter(kind)
        found: T = _ADAPTERS[kind].validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or kind.__name__
        raise CodecError(f"'{place}': {first['msg']}") from None
    except (OverflowError, RecursionError) as error:
        raise CodecError(f"{kind.__name__}: {type(error).__name__}") from None
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


def skip_unreadable(what: str, error: CodecError) -> None:
    """Count what cannot be read, and say so the first time: it may be met again and again."""
    unreadable[what] += 1
    log.log(logging.WARNING if unreadable[what] == 1 else logging.DEBUG, "unreadable %s passed over: %s", what, error)
