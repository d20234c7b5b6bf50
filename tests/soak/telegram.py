"""Errors of every kind from Telegram, for every third user."""

from __future__ import annotations

import random
from collections import Counter

from tests.soak.harness import LONG_DEADLINE, SimulatedUsers, SoakResult, bot_and_workers
from tests.support.fake_bot_api import Fault
from tests.support.fake_telegram import FakeTelegram
from tests.support.stage import WORKER, stage

BLOCKED = 403
REPLIED_GONE = "Bad Request: message to be replied not found"


def faults(chat: int) -> list[Fault]:
    """One of each kind. After "not modified", and where Telegram only reports an error, the message was delivered."""
    return [
        Fault("sendMessage", 429, "Too Many Requests: retry after 2", {"retry_after": 2}, chat),
        Fault("sendMessage", 500, chat=chat),
        Fault("sendMessage", 502, "Bad Gateway", chat=chat, times=2),
        Fault("sendMessage", 0, chat=chat),
        Fault("sendMessage", BLOCKED, "Forbidden: bot was blocked by the user", chat=chat, times=99),
        Fault("sendMessage", 400, REPLIED_GONE, chat=chat),
        Fault("sendMessage", 400, "Bad Request: message is not modified", chat=chat, after=True),
        Fault("sendMessage", 504, "Gateway Timeout", chat=chat, after=True),
        Fault("sendMessage", 504, "Gateway Timeout", chat=chat, seconds=25.0),
    ]


async def faulty(jobs: int = 600, worker: tuple[str, ...] = WORKER, late: bool = True, **environ: str) -> SoakResult:
    """``late``: also answers that arrive after the bot's timeout. ``unreachable``: users who had blocked the bot;
    ``repeated_unavoidably``: messages that Telegram sent but reported as failed."""
    choose = random.Random(7)
    injected: Counter[int] = Counter()
    async with stage(**{**LONG_DEADLINE, **environ}) as here, bot_and_workers(here, worker):
        users = SimulatedUsers(here.telegram)
        blocked, unavoidable = set(), 0
        for chat in range(users.first, users.first + jobs):
            if choose.random() < 1 / 3:
                fault = choose.choice(faults(chat)[: None if late else -1])
                if fault.description == REPLIED_GONE:
                    here.telegram.emptied.add(chat)
                else:
                    here.telegram.faults.append(fault)
                injected[fault.status] += 1
                unavoidable += fault.after and fault.status != 400
                if fault.status == BLOCKED:
                    blocked.add(chat)
        await users.ask(jobs)
        users.expect_no_answer(blocked)
        await users.answered()
        return users.figures(
            "Telegram fails",
            sum(injected.values()),
            unreachable=len(blocked),
            sent_to_unreachable=_sent(here.telegram, blocked),
            repeated_unavoidably=unavoidable,
        )


def _sent(telegram: FakeTelegram, chats: set[int]) -> int:
    return sum(sent.chat in chats for sent in telegram.sent)
