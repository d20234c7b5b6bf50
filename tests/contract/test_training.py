"""Training orders in Redis: one at a time, reported by the trainer that has it, finished once."""

from __future__ import annotations

import dataclasses
import json

from redis.asyncio import Redis

from engine.contract.codec import decode_text
from engine.contract.queue.messages import Chat
from engine.contract.queue.store import Queue
from engine.contract.queue.training import Order, TrainingReport

ORDER = Order(1.0, "continue", Chat(7, 8), "en")


async def test_one_order_is_under_way_at_a_time_and_a_repeated_update_adds_none(queue: Queue) -> None:
    trainings = queue.trainings
    kind, first = await trainings.order(ORDER, "u1")
    assert kind == "accepted"
    assert await trainings.order(ORDER, "u1") == ("duplicate", first)
    assert await trainings.order(ORDER, "u2") == ("running", first)
    training = await trainings.current()
    assert training is not None
    assert (training.id, training.order, training.report.phase) == (first, ORDER, "queued")
    await trainings.orders.finish(first)
    assert (await trainings.order(ORDER, "u3"))[0] == "accepted"


async def test_only_the_order_under_way_is_reported_of(queue: Queue) -> None:
    trainings = queue.trainings
    _, old = await trainings.order(ORDER, "u1")
    await trainings.shown_in(old, 99)
    await trainings.orders.finish(old)
    await trainings.order(ORDER, "u2")
    assert not await trainings.report(old, TrainingReport("done"))
    await trainings.close(old)
    training = await trainings.current()
    assert training is not None
    assert (training.report.phase, training.message, training.closed) == ("queued", None, False)


async def test_an_order_that_no_trainer_has_taken_is_cancelled_at_once_and_any_other_by_its_trainer(
    queue: Queue,
) -> None:
    trainings = queue.trainings
    await trainings.order(ORDER, "u1")
    waiting = await trainings.current()
    assert waiting is not None
    await trainings.cancel(waiting)
    ended = await trainings.current()
    assert ended is not None
    assert ended.report.phase == "cancelled"
    assert await trainings.orders.take("trainer", 1, 0) == []

    _, second = await trainings.order(ORDER, "u2")
    assert [delivery.id for delivery in await trainings.orders.take("trainer", 1, 0)] == [second]
    held = await trainings.current()
    assert held is not None
    assert not await trainings.cancelled(second)
    await trainings.cancel(held)
    assert await trainings.cancelled(second)
    assert await trainings.orders.length() == 1


async def test_of_two_bots_one_reports(queue: Queue) -> None:
    assert await queue.trainings.become_reporter("a", 60)
    assert not await queue.trainings.become_reporter("b", 60)
    assert await queue.trainings.become_reporter("a", 60)


async def test_the_version_desired_before_is_remembered(queue: Queue) -> None:
    assert await queue.models.desired() is None
    first = await queue.models.use("one")
    second = await queue.models.use("two")
    assert second > first
    desired = await queue.models.desired()
    assert desired is not None
    assert (desired.version, desired.before, desired.serial) == ("two", "one", second)


def test_what_a_newer_trainer_reports_besides_is_passed_over() -> None:
    newer = json.dumps({**dataclasses.asdict(TrainingReport("training", step=7)), "of_tomorrow": 1})
    assert decode_text(TrainingReport, newer) == TrainingReport("training", step=7)


async def test_a_training_under_way_is_seen_and_cancelled_again_after_the_store_lost_its_data(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    trainings = queue.trainings
    await trainings.orders.prepare()
    _, entry = await trainings.order(ORDER, "1")
    [delivery] = await trainings.orders.take("trainer", 1, 0)
    report = TrainingReport("training", part=0.5)
    assert await trainings.hold("trainer", entry, ORDER, report)
    for key in await redis.keys(f"{prefix}training*"):
        await redis.delete(key)
    assert await trainings.hold("trainer", delivery.id, ORDER, report)
    current = await trainings.current()
    assert current is not None
    assert (current.id, current.order, current.report) == (entry, ORDER, report)
    assert await trainings.orders.held()
    await trainings.cancel(current)
    assert await trainings.cancelled(entry)
    assert await trainings.orders.take("other", 1, 0) == []
    assert (await trainings.order(ORDER, "2"))[0] == "running"
    orphan = await trainings.orders.reclaim("other", 0)
    assert orphan is not None
    assert not await trainings.hold("trainer", entry, ORDER, report)
    assert await trainings.orders.finish(entry)


async def test_an_order_that_another_has_replaced_is_not_put_back(queue: Queue, redis: Redis) -> None:
    trainings = queue.trainings
    await trainings.orders.prepare()
    _, first = await trainings.order(ORDER, "1")
    await trainings.orders.take("trainer", 1, 0)
    await trainings.orders.finish(first)
    await trainings.order(ORDER, "2")
    assert not await trainings.hold("trainer", first, ORDER, TrainingReport("training"))
