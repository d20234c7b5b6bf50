"""A client whose WRONGTYPE errors name the key; the server's own do not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

log = logging.getLogger("queue")


class WrongTypeError(ResponseError):
    """A key holds a value of another kind than this program keeps there; the message names it."""


class Client(Redis):
    """Also logs each such key once, because some callers only retry. Errors of pipelines name their command anyway."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._named: set[str] = set()

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            kinds = {key: str(await self.type(key)) for key in _keys(arguments)}
        existing = ", ".join(f"{key} ({kind})" for key, kind in kinds.items() if kind != "none")
        one = "the key" if existing.count("(") == 1 else "one of the keys"
        message = f"{one} {existing} is of another type than this program keeps there; rename or delete it"
        if message not in self._named:
            self._named.add(message)
            log.error("Redis: %s", message)
        raise WrongTypeError(message)


def _keys(command: Sequence[Any]) -> list[str]:
    """The keys of a command in use here."""
    if command[0] in ("EVAL", "EVALSHA"):
        return [str(key) for key in command[3 : 3 + int(command[2])]]
    place = command.index(b"STREAMS") + 1 if b"STREAMS" in command else 1
    return [str(command[place])]
