"""Where requests are accepted, whichever door they came through: checked, limited, queued."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bot.blocklist import Blocklist
from bot.texts import Language, error_html
from engine.contract import PoemError, PoemRequest, outline
from engine.contract.queue import Limits, Queue
from engine.contract.queue_mail import Address, Chat, Job, Reply, nobody_home


@dataclass(frozen=True)
class Desk:
    """``seconds``: how long a poem is waited for; ``room``: jobs that may wait."""

    queue: Queue
    blocklist: Blocklist
    limits: Limits
    seconds: float
    room: int

    async def ask(
        self, request: PoemRequest, to: Address, language: Language, guard: str, sender: str, *, at_once: bool = False
    ) -> Job | None:
        """Queue a request; durable when this returns. None: the sender was told to slow down before, say no more.

        ``guard`` names the update or waiter, so that a repetition adds nothing. ``at_once``: refuse while no
        worker lives. Raises PoemError, and RedisError while Redis is gone.
        """
        outline(request)
        self.blocklist.check(request)
        if at_once and (await self.queue.status()).workers == 0:
            raise nobody_home()
        job = Job(request, to, language, time.time() + self.seconds)
        verdict = await self.queue.submit(job, guard, sender, self.limits, self.room)
        if verdict.kind == "limited" or (verdict.kind == "silent" and at_once):
            raise rate_limited(verdict.wait)
        if verdict.kind == "busy":
            raise busy((await self.queue.status()).wait_seconds)
        return None if verdict.kind == "silent" else job

    async def say(self, html: str, to: Chat, language: Language, guard: str, sender: str) -> None:
        """Answer in words, through the same durable stream and under the same limits as poems."""
        verdict = await self.queue.submit(Reply(to, language, html), guard, sender, self.limits)
        if verdict.kind == "limited":
            await self.refuse(rate_limited(verdict.wait), to, language, guard)

    async def refuse(self, error: PoemError, to: Chat, language: Language, guard: str) -> None:
        """Answer with an error that is not counted: the sender was counted, or nothing was accepted."""
        await self.queue.submit(Reply(to, language, error_html(error, language)), guard)


def rate_limited(seconds: int) -> PoemError:
    return PoemError(
        "rate_limited",
        f"您要得太快了，请过{seconds}秒再来。",
        f"That was a little fast; please come back in {seconds} seconds.",
        retry_after=seconds,
    )


def busy(seconds: int) -> PoemError:
    seconds = max(1, seconds)
    return PoemError(
        "busy",
        f"求诗的人太多了，大约要等{seconds}秒，请稍后再发。",
        f"Too many are waiting, about {seconds} seconds; please send it again later.",
        retry_after=seconds,
    )
