"""A bot that stands still with answers in its hands while another one takes its place."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.soak.harness import PATIENT, QUICK_WORKER, SoakResult, bot_and_workers, crew
from tests.support.programs import free_port
from tests.support.stage import BOT, stage

CHAT = 5


async def stalled(answers: int = 16, worker: tuple[str, ...] = QUICK_WORKER, **environ: str) -> SoakResult:
    """All for one chat, so that they leave one after another. At the moment of the stop one may be on its way."""
    async with stage(**{**PATIENT, "LEASE": "1", **environ}) as here, bot_and_workers(here, worker) as (bots, _):
        for _ in range(answers):
            await here.telegram.write("/acrostic 春", chat=CHAT, user=CHAT)
        await here.telegram.messages(2, CHAT)
        before = len(here.telegram.sent)
        stopped = bots.members[0].pid
        os.kill(stopped, signal.SIGSTOP)
        async with crew(here, "other", BOT, HTTP_PORT=str(free_port())):
            await here.telegram.messages(answers, CHAT)
            os.kill(stopped, signal.SIGCONT)
            await asyncio.sleep(5.0)
        # What is left of two dead bots' work, if anything, is sent now.
        await asyncio.sleep(3.0)
        sent = len(here.telegram.sent)
        return SoakResult(
            "a bot stalled with answers in hand",
            answers - before,
            answers,
            max(0, answers - sent),
            max(0, sent - answers),
            {"programs_that_ended": sum(member.has_ended for member in bots.members)},
        )
