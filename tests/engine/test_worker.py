"""The worker, with a poet without a model and a real Redis server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from engine.contract import Poem, PoemError, PoemRequest
from engine.contract.queue.messages import Chat, Job, Reply
from engine.contract.queue.store import Queue
from engine.contract.queue.stream import Delivery
from engine.serving.batcher import Batcher, BrokenPoetError
from engine.serving.worker import Worker
from tests.support.fake_poet import BUG, REFUSED, FakeHandle, FakePoet, StepByStepPoet
from tests.support.waiting import until

LEASE = 0.3


def job(text: str, *, seconds: float = 60) -> Job:
    return Job(PoemRequest(mode="acrostic", text=text), Chat(7), "zh-hans", time.time() + seconds)


async def submit(queue: Queue, *texts: str) -> None:
    for text in texts:
        assert (await queue.submit(job(text), f"idempotency_key {text}")).kind == "accepted"


async def replies(queue: Queue, count: int) -> list[Reply]:
    """The next ``count`` replies; a test that waits in vain is ended by its time limit."""
    found: list[Reply] = []
    while len(found) < count:
        for delivery in await queue.replies.take("reader", 100, 0.2):
            found.append(Reply.from_fields(delivery.fields))
            await queue.replies.finish(delivery.id)
    return found


def texts(found: list[Reply]) -> list[str]:
    return sorted(reply.request.text for reply in found if reply.request is not None)


@contextlib.asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await task


async def test_what_waits_is_written_together(queue: Queue) -> None:
    poet = FakePoet()
    await submit(queue, "春", "夏", "秋", "冬")
    async with working(Worker(queue, poet, LEASE)):
        found = await replies(queue, 4)
    assert texts(found) == sorted("春夏秋冬")
    assert poet.batches == [["春", "夏", "秋", "冬"]]
    assert all(isinstance(reply.content, Poem) for reply in found)


class ConfusedPoet(FakePoet):
    """Finishes a poem that nobody asked for, and never the one that somebody did."""

    def step(self) -> list[tuple[FakeHandle, Poem]]:
        return [(FakeHandle(handle.request), poem) for handle, poem in super().step()]


async def test_a_worker_whose_poet_finishes_what_nobody_asked_for_ends_and_leaves_its_jobs_to_others(
    queue: Queue,
) -> None:
    await submit(queue, "春", "夏")
    with pytest.raises(BrokenPoetError, match=r"KeyError at batcher\.py"):
        await Worker(queue, ConfusedPoet(), LEASE).run()
    async with working(Worker(queue, FakePoet(), LEASE)):
        found = await replies(queue, 2)
    assert texts(found) == sorted("春夏")


async def test_nothing_waits_for_a_batcher_that_has_ended() -> None:
    batcher = Batcher(ConfusedPoet())
    for _ in range(2):
        with pytest.raises(BrokenPoetError):
            await batcher.write(PoemRequest(mode="acrostic", text="春"))


async def test_no_more_jobs_are_in_flight_than_the_limit(queue: Queue) -> None:
    poet = FakePoet()
    await submit(queue, *"春夏秋冬风")
    async with working(Worker(queue, poet, LEASE, batch=2)):
        await replies(queue, 5)
    assert max(len(batch) for batch in poet.batches) == 2


async def test_a_job_that_comes_while_others_are_written_joins_them(queue: Queue) -> None:
    poet = StepByStepPoet(steps=6)
    await submit(queue, "春")
    async with working(Worker(queue, poet, LEASE)):
        await until(lambda: _true(poet.taken >= 2))
        await submit(queue, "夏")
        await until(lambda: _true(poet.in_flight == 2))
        poet.may_go_on.set()
        found = await replies(queue, 2)
    together = {reply.request.text: reply.work.together for reply in found if reply.request and reply.work}
    assert together == {"春": 2, "夏": 1}


async def test_a_refused_request_is_answered_with_its_reason_and_harms_no_other(queue: Queue) -> None:
    await submit(queue, "春", REFUSED)
    async with working(Worker(queue, FakePoet(), LEASE)):
        found = await replies(queue, 2)
    kinds = {reply.request.text: type(reply.content) for reply in found if reply.request}
    assert kinds == {"春": Poem, REFUSED: PoemError}


async def test_the_jobs_of_a_dead_worker_are_reclaimed_and_written_one_at_a_time(queue: Queue) -> None:
    poet = FakePoet()
    await submit(queue, "春", "夏", "秋")
    assert len(await queue.jobs.take("dead", 10, 0)) == 3
    async with working(Worker(queue, poet, LEASE)):
        found = await replies(queue, 3)
    assert texts(found) == sorted("春夏秋")
    assert sorted(poet.batches) == sorted([["春"], ["夏"], ["秋"]])


async def test_a_job_is_not_reclaimed_while_its_worker_writes(queue: Queue) -> None:
    slow, other = FakePoet(), FakePoet()
    slow.may_go_on.clear()
    await submit(queue, "春")
    async with working(Worker(queue, slow, LEASE)):
        await until(lambda: _true(bool(slow.batches)))
        async with working(Worker(queue, other, LEASE)):
            await asyncio.sleep(5 * LEASE)
            slow.may_go_on.set()
            [reply] = await replies(queue, 1)
    assert isinstance(reply.content, Poem)
    assert other.batches == []


async def test_one_bad_job_is_given_up_after_three_attempts_alone_and_the_others_are_answered(queue: Queue) -> None:
    poet = FakePoet()
    await submit(queue, "春", BUG, "秋")
    async with working(Worker(queue, poet, LEASE)):
        found = await replies(queue, 3)
    answers = {reply.request.text: reply.content for reply in found if reply.request}
    assert isinstance(answers["春"], Poem)
    assert isinstance(answers["秋"], Poem)
    assert isinstance(answers[BUG], PoemError)
    assert poet.batches.count([BUG]) == 3
    [(_, dead, _)] = await queue.dead_letters.letters()
    assert isinstance(dead, Job)
    assert dead.request.text == BUG


async def test_an_orphaned_job_is_not_reclaimed_while_all_workers_are_busy_and_then_is_written_once(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    poets = [StepByStepPoet(steps=3) for _ in range(3)]
    await submit(queue, "风")
    assert len(await queue.jobs.take("dead", 1, 0)) == 1
    async with contextlib.AsyncExitStack() as stack:
        for worker in await _busy(queue, dict(zip("春夏秋", poets, strict=True))):
            await stack.enter_async_context(working(worker))
        await asyncio.sleep(6 * LEASE)
        assert await redis.keys(f"{prefix}tries:*") == []
        for poet in poets:
            poet.may_go_on.set()
        found = await replies(queue, 4)
    assert texts(found) == sorted("春夏秋风")
    assert await queue.dead_letters.letters() == []
    assert await redis.keys(f"{prefix}tries:*") == []


async def test_one_worker_drains_to_reclaim_a_job_and_the_others_take_new_ones(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    poets = [StepByStepPoet(steps=3) for _ in range(2)]
    await submit(queue, "风")
    assert len(await queue.jobs.take("dead", 1, 0)) == 1
    async with contextlib.AsyncExitStack() as stack:
        for worker in await _busy(queue, dict(zip("春夏", poets, strict=True))):
            await stack.enter_async_context(working(worker))
        await until(lambda: _exists(redis, f"{prefix}busy:workers"))  # one of them has stopped taking new jobs
        await submit(queue, *"甲乙丙丁")
        await until(lambda: _true(sum(poet.in_flight for poet in poets) == 6))
        assert sorted(poet.in_flight for poet in poets) == [1, 5]
        for poet in poets:
            poet.may_go_on.set()
        found = await replies(queue, 7)
    assert texts(found) == sorted("春夏风甲乙丙丁")
    assert all(isinstance(reply.content, Poem) for reply in found)


async def test_a_worker_whose_last_job_ends_while_it_looks_for_orphaned_jobs_goes_on(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    poet = StepByStepPoet(steps=3)
    worker = Worker(queue, poet, LEASE)

    async def orphaned(lease: float) -> bool:
        poet.may_go_on.set()
        await until(lambda: _true(not worker._in_flight))
        return True

    monkeypatch.setattr(queue.jobs, "orphaned", orphaned)
    await submit(queue, "春")
    async with working(worker):
        assert texts(await replies(queue, 1)) == ["春"]
        await submit(queue, "夏")
        assert texts(await replies(queue, 1)) == ["夏"]


async def test_a_worker_that_drains_to_reclaim_a_job_still_stops(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.serving.worker.JOB_DRAIN_SECONDS", 0.1)
    poet = StepByStepPoet(steps=3)
    await submit(queue, "风")
    assert len(await queue.jobs.take("dead", 1, 0)) == 1
    worker = Worker(queue, poet, LEASE)
    worker._begin(await _taken(queue, worker, "春"))
    async with asyncio.timeout(30), working(worker):
        await asyncio.sleep(4 * LEASE)
        assert poet.in_flight == 1
    poet.may_go_on.set()
    assert (await queue.status()).waiting == 2


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_worker_whose_clock_is_an_hour_off_writes_what_is_in_time_and_says_by_how_much(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    await submit(queue, "春")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 3600 * hours)
    async with working(Worker(Queue(queue._redis, queue._prefix), FakePoet(), LEASE)):
        [reply] = await replies(queue, 1)
        await until(lambda: _workers(queue, 1))
        assert (await queue.status()).skew == pytest.approx(3600 * hours, abs=60)
    assert isinstance(reply.content, Poem)
    assert reply.work is not None
    assert reply.work.waited < 60
    assert "3600 s" in caplog.text or "3599 s" in caplog.text


async def test_a_job_past_its_deadline_is_apologised_for_and_not_written(queue: Queue) -> None:
    poet = FakePoet()
    await queue.submit(job("春", seconds=-1), "1")
    async with working(Worker(queue, poet, LEASE)):
        [reply] = await replies(queue, 1)
    assert isinstance(reply.content, PoemError)
    assert reply.content.code == "deadline"
    assert poet.batches == []


async def test_an_unreadable_job_becomes_a_dead_letter_and_harms_no_other(queue: Queue, redis: Redis) -> None:
    await redis.xadd(queue.jobs.key, {"v": "1", "body": "{nonsense"})
    await submit(queue, "春")
    async with working(Worker(queue, FakePoet(), LEASE)):
        [reply] = await replies(queue, 1)
    assert texts([reply]) == ["春"]
    [(_, job_, why)] = await queue.dead_letters.letters()
    assert (job_, why) == (None, "unreadable")


async def test_a_stopped_worker_finishes_what_is_in_flight_and_takes_nothing_new(queue: Queue) -> None:
    poet = FakePoet()
    poet.may_go_on.clear()
    await submit(queue, "春")
    worker = Worker(queue, poet, LEASE)
    task = asyncio.create_task(worker.run())
    await until(lambda: _true(bool(poet.batches)))
    worker.stop()
    await asyncio.sleep(3 * LEASE)  # the read that it was in is over
    await submit(queue, "夏")
    poet.may_go_on.set()
    await task
    assert texts(await replies(queue, 1)) == ["春"]
    assert (await queue.status()).waiting == 1


async def test_a_worker_is_seen_while_it_lives_and_not_after(queue: Queue) -> None:
    assert (await queue.status()).workers == 0
    async with working(Worker(queue, FakePoet(), LEASE)):
        await until(lambda: _workers(queue, 1))
    assert (await queue.status()).workers == 0


async def test_a_worker_measures_its_pace(queue: Queue) -> None:
    async with working(Worker(queue, FakePoet(seconds=0.05), LEASE)):
        await submit(queue, "春")
        await replies(queue, 1)
        await until(lambda: _waits(queue))


async def test_two_workers_answer_every_job_once(queue: Queue) -> None:
    heads = [chr(0x4E00 + number) for number in range(60)]
    async with working(Worker(queue, FakePoet(), LEASE, batch=4)), working(Worker(queue, FakePoet(), LEASE, batch=4)):
        await submit(queue, *heads)
        found = await replies(queue, len(heads))
    assert texts(found) == sorted(heads)
    assert await queue.replies.take("reader", 10, 0) == []


@pytest.mark.parametrize("consumers", [1, 3])
async def test_workers_that_stop_leave_no_trace(queue: Queue, redis: Redis, consumers: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(consumers):
            await stack.enter_async_context(working(Worker(queue, FakePoet(), LEASE)))
        await until(lambda: _workers(queue, consumers))
    assert await redis.xinfo_consumers(queue.jobs.key, queue.jobs.group) == []


async def _busy(queue: Queue, poets: dict[str, FakePoet]) -> list[Worker]:
    """A worker for each poet, which has a job in flight before any of them runs and could take another's."""
    workers = [Worker(queue, poet, LEASE) for poet in poets.values()]
    for worker, text in zip(workers, poets, strict=True):
        worker._begin(await _taken(queue, worker, text))
    return workers


async def _taken(queue: Queue, worker: Worker, text: str) -> Delivery:
    """A new job, delivered to ``worker``, which does not run yet."""
    await submit(queue, text)
    [delivery] = await queue.jobs.take(worker.name, 1, 0)
    return delivery


async def _true(value: bool) -> bool:
    return value


async def _exists(redis: Redis, key: str) -> bool:
    return bool(await redis.exists(key))


async def _workers(queue: Queue, count: int) -> bool:
    return (await queue.status()).workers == count


async def _waits(queue: Queue) -> bool:
    return (await queue.status()).wait_seconds > 0
