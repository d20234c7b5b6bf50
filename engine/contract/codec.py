"""JSON between the programs. All input from outside is validated here, once."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger("codec")
T = TypeVar("T")

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}

unreadable: Counter[str] = Counter()
"""How many values this process could not read and skipped, by kind."""


class CodecError(ValueError):
    """Invalid input; the message names the field."""

    def __init__(self, message: str, zh: str = "") -> None:
        """``zh``: the message in Chinese, if there is one."""
        super().__init__(message)
        self.zh = zh or message


def dumps(value: Mapping[str, object]) -> str:
    """JSON as all programs write it: compact, Chinese unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """Strict JSON. CodecError: invalid JSON, invalid UTF-8, lone surrogates, numbers that are not finite, or nesting
    too deep to parse."""
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_finite)
        # Invalid UTF-8 from Redis is decoded to lone surrogates (see ``connect``); JSON can escape them as well.
        (text if isinstance(text, bytes) else text.encode()).decode()
        if "\\u" in (text if isinstance(text, str) else text.decode()):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise CodecError(f"not readable as JSON: {type(error).__name__}") from None
    return value


def loads_object(text: str | bytes) -> dict[str, Any]:
    """CodecError: not a JSON object."""
    value = loads(text)
    if not isinstance(value, dict):
        raise CodecError("a JSON object is expected")
    return value


def decode(kind: type[T], value: object) -> T:
    """A dataclass from decoded JSON, with every field's type checked. CodecError names the first wrong field."""
    try:
        if kind not in _ADAPTERS:
            _ADAPTERS[kind] = TypeAdapter(kind)
        decoded: T = _ADAPTERS[kind].validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or kind.__name__
        raise CodecError(f"'{place}': {first['msg']}") from None
    except (OverflowError, RecursionError) as error:
        raise CodecError(f"{kind.__name__}: {type(error).__name__}") from None
    return decoded


def encode_text(value: DataclassInstance) -> str:
    """A dataclass as JSON text, for ``decode_text``."""
    return dumps(asdict(value))


def decode_text(kind: type[T], text: str) -> T:
    """A dataclass from JSON text; unknown fields, from a newer program, are ignored. CodecError: it does not fit."""
    return decode(kind, loads_object(text))


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


def or_none(what: str, read: Callable[[], T]) -> T | None:
    """What ``read`` returns; None if it raises CodecError, which is counted and logged."""
    try:
        return read()
    except CodecError as error:
        skip_unreadable(what, error)
        return None


def skip_unreadable(what: str, error: CodecError) -> None:
    """Count an unreadable value; log a warning only the first time, since the same one may be read repeatedly."""
    unreadable[what] += 1
    log.log(logging.WARNING if unreadable[what] == 1 else logging.DEBUG, "unreadable %s skipped: %s", what, error)
