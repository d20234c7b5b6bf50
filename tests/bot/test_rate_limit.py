"""Telegram's limits on the rate of messages."""

from __future__ import annotations

from bot.delivery.rate_limit import RateLimiter


class Clock:
    """Time that only passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_messages_keep_telegrams_gaps() -> None:
    clock = Clock()
    pace = RateLimiter(overall=2, private=1.5, group=3.0, clock=clock, sleep=clock.sleep)
    moments = []
    for chat in (1, 2, 3, 1, 4, -1, -1):
        await pace.turn(chat)
        moments.append(clock.now - 100)
    assert moments == [0.0, 0.0, 1.0, 1.5, 2.0, 2.5, 5.5]


async def test_a_message_that_comes_late_delays_none_after_it_while_the_second_has_room() -> None:
    clock = Clock()
    pace = RateLimiter(overall=4, clock=clock, sleep=clock.sleep)
    for chat, arrives in enumerate((0.0, 0.75, 0.75, 0.75, 1.0, 1.25)):
        clock.now = max(clock.now, 100 + arrives)
        await pace.turn(chat)
        assert clock.now == 100 + max(arrives, 1.75 if chat == 5 else 0.0)
