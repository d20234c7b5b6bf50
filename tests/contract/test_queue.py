"""The queue, on a real Redis server."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from engine.contract import PoemError, PoemRequest
from engine.contract.queue import clock
from engine.contract.queue.acceptance import DAY_SECONDS, Limits
from engine.contract.queue.messages import Address, Chat, Job, PendingRequest, Reply, deadline_error
from engine.contract.queue.models import Serving
from engine.contract.queue.store import Queue
from engine.contract.queue.stream import HTTP_REPLY_TTL_SECONDS
from tests.conftest import immortal

REQUEST = PoemRequest(mode="acrostic", text="春风十里")


def job(to: Chat | PendingRequest | None = None, *, request: PoemRequest = REQUEST, seconds: float = 60) -> Job:
    return Job(request, to or Chat(chat=7, message=8, topic=9), "zh-hans", time.time() + seconds)


def reply(to: Address | None = None, text: str = "好") -> Reply:
    return Reply(to or Chat(7), "zh-hans", text)


async def replies(queue: Queue) -> list[Reply]:
    return [Reply.from_fields(d.fields) for d in await queue.replies.take("reader", 100, 0)]


async def test_a_job_arrives_as_it_was_sent(queue: Queue) -> None:
    sent = job(request=replace(REQUEST, mood="欲穷千里目", rhyme="七阳", seed=3))
    verdict = await queue.submit(sent, "1")
    [delivery] = await queue.jobs.take("w", 10, 0)
    assert verdict.kind == "accepted"
    assert delivery.id == verdict.id
    assert Job.from_fields(delivery.fields) == sent


async def test_a_repeated_submission_adds_nothing_and_names_the_first(queue: Queue) -> None:
    first = await queue.submit(job(), "1")
    again = await queue.submit(job(), "1")
    assert (again.kind, again.id) == ("duplicate", first.id)
    assert len(await queue.jobs.take("w", 10, 0)) == 1


async def test_an_http_request_is_remembered_only_while_somebody_may_wait(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    await queue.submit(job(PendingRequest("process", "1")), "waiter")
    await queue.submit(job(), "update")
    assert await redis.ttl(f"{prefix}guards:wait") <= 60 + HTTP_REPLY_TTL_SECONDS
    assert await redis.ttl(f"{prefix}guards:upda") > DAY_SECONDS


async def test_nothing_is_kept_of_an_http_request_that_was_answered_or_abandoned(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    answered, gone = PendingRequest("process", "1"), PendingRequest("process", "2")
    for waiter in (answered, gone):
        await queue.submit(job(waiter), waiter.idempotency_key)
    assert sum([await redis.hlen(key) for key in await redis.keys(f"{prefix}guards:*")]) == 2
    await queue.abandon(gone.idempotency_key)
    [delivery] = await queue.jobs.take("w", 10, 0)
    await queue.jobs.finish(delivery.id, reply(answered))
    assert [r.to for r in await queue.answers("process", 0.01)] == [answered]
    assert await redis.keys(f"{prefix}guards:*") == []


async def test_a_full_queue_refuses_and_keeps_what_it_has(queue: Queue) -> None:
    for number in range(3):
        assert (await queue.submit(job(), str(number), capacity=3)).kind == "accepted"
    assert (await queue.submit(job(), "3", capacity=3)).kind == "busy"
    [first, *_] = await queue.jobs.take("w", 10, 0)
    await queue.jobs.finish(first.id)
    assert (await queue.submit(job(), "3", capacity=3)).kind == "accepted"


async def test_a_sender_over_the_limit_is_told_once_and_others_are_untouched(queue: Queue) -> None:
    limits = Limits(per_minute=2, per_day=100)
    kinds = [(await queue.submit(job(), f"a{n}", "alice", limits)).kind for n in range(5)]
    assert kinds == ["accepted", "accepted", "limited", "silent", "silent"]
    assert (await queue.submit(job(), "b", "bob", limits)).kind == "accepted"


async def test_the_day_has_a_limit_of_its_own(queue: Queue) -> None:
    limits = Limits(per_minute=100, per_day=1)
    await queue.submit(job(), "1", "alice", limits)
    verdict = await queue.submit(job(), "2", "alice", limits)
    assert verdict.kind == "limited"
    assert verdict.wait > 60


async def test_a_refused_submission_is_not_charged(queue: Queue) -> None:
    limits = Limits(per_minute=1, per_day=1)
    await queue.submit(job(), "0", capacity=1)
    assert (await queue.submit(job(), "1", "alice", limits, capacity=1)).kind == "busy"
    assert (await queue.submit(reply(), "1", "alice", limits)).kind == "accepted"


async def test_a_finished_job_is_answered_once_whoever_comes_second(queue: Queue) -> None:
    await queue.submit(job(), "1")
    [delivery] = await queue.jobs.take("w", 10, 0)
    assert await queue.jobs.finish(delivery.id, reply(text="first"))
    assert not await queue.jobs.finish(delivery.id, reply(text="second"))
    assert [r.content for r in await replies(queue)] == ["first"]
    assert (await queue.status()).waiting == 0


async def test_a_consumer_that_does_not_renew_its_lease_loses_its_job_and_one_that_does_keeps_it(queue: Queue) -> None:
    await queue.submit(job(), "1")
    [delivery] = await queue.jobs.take("dead", 10, 0)
    assert await queue.jobs.reclaim("other", lease=60) is None
    taken = await queue.jobs.reclaim("other", lease=0)
    assert taken is not None
    assert (taken.id, taken.redeliveries) == (delivery.id, 1)
    assert await queue.jobs.renew("other", [taken.id]) == 1


async def test_a_lost_lease_cannot_be_renewed_back(queue: Queue) -> None:
    await queue.submit(job(), "1")
    [delivery] = await queue.jobs.take("stalled", 10, 0)
    await queue.jobs.reclaim("other", lease=0)
    assert await queue.jobs.renew("stalled", [delivery.id]) == 0
    assert await queue.jobs.renew("other", [delivery.id]) == 1


async def test_every_redelivery_is_counted(queue: Queue) -> None:
    await queue.submit(job(), "1")
    await queue.jobs.take("w0", 10, 0)
    counts = [d.redeliveries for n in range(4) if (d := await queue.jobs.reclaim(f"w{n}", lease=0))]
    assert counts == [1, 2, 3, 4]


async def test_the_job_with_the_fewest_deliveries_is_reclaimed_first(queue: Queue) -> None:
    for idempotency_key in "123":
        await queue.submit(job(), idempotency_key)
    assert len(await queue.jobs.take("dead", 3, 0)) == 3
    taken = [await queue.jobs.reclaim(worker, 0) for worker in "abc"]
    assert len({delivery.id for delivery in taken if delivery}) == 3


async def test_a_job_deleted_under_its_consumer_is_not_reclaimed(queue: Queue, redis: Redis) -> None:
    await queue.submit(job(), "1")
    [delivery] = await queue.jobs.take("w", 10, 0)
    await redis.xdel(queue.jobs.key, delivery.id)
    assert await queue.jobs.reclaim("other", lease=0) is None


async def test_a_job_of_a_newer_version_is_out_of_an_older_workers_sight(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    newer = f"{prefix}jobs:v2"
    await redis.xadd(newer, {"v": "2", "body": "{}"})
    assert await queue.jobs.take("w", 10, 0) == []
    assert await queue.jobs.reclaim("w", lease=0) is None
    assert await redis.xlen(newer) == 1
    await redis.delete(newer)


async def test_a_retired_consumer_that_holds_a_job_is_not_forgotten(queue: Queue) -> None:
    await queue.submit(job(), "1")
    [delivery] = await queue.jobs.take("w", 10, 0)
    await queue.jobs.retire("w")
    taken = await queue.jobs.reclaim("other", lease=0)
    assert taken is not None
    assert taken.id == delivery.id


async def test_a_retired_consumer_leaves_no_trace(queue: Queue, redis: Redis) -> None:
    await queue.jobs.take("w", 10, 0)
    await queue.jobs.retire("w")
    assert await redis.xinfo_consumers(queue.jobs.key, queue.jobs.group) == []


async def test_an_http_answer_reaches_exactly_the_process_that_waits(queue: Queue, redis: Redis, prefix: str) -> None:
    for process in ("a", "b"):
        await queue.submit(job(PendingRequest(process, f"of-{process}")), process)
    for delivery in await queue.jobs.take("w", 10, 0):
        to = Job.from_fields(delivery.fields).to
        await queue.jobs.finish(delivery.id, reply(to))
    assert [r.to for r in await queue.answers("a", 0.01)] == [PendingRequest("a", "of-a")]
    assert [r.to for r in await queue.answers("a", 0.01)] == []
    assert f"{prefix}http:b" not in await immortal(redis, prefix)
    assert await replies(queue) == []


async def test_a_dead_letter_is_listed_apologised_for_and_can_be_retried_once(queue: Queue) -> None:
    await queue.submit(job(), "1")
    [delivery] = await queue.jobs.take("w", 10, 0)
    await queue.dead_letters.add(delivery, Job.from_fields(delivery.fields), "why not")
    [apology] = await replies(queue)
    assert isinstance(apology.content, PoemError)
    [(dead, found, why)] = await queue.dead_letters.letters()
    assert found is not None
    assert why == "why not"
    assert await queue.dead_letters.retry(dead, found, 60)
    assert not await queue.dead_letters.retry(dead, found, 60)
    [again] = await queue.jobs.take("w", 10, 0)
    assert Job.from_fields(again.fields).request == REQUEST
    assert await queue.dead_letters.letters() == []


async def test_a_dead_letter_can_be_dropped(queue: Queue) -> None:
    await queue.submit(job(), "1")
    [delivery] = await queue.jobs.take("w", 10, 0)
    await queue.dead_letters.add(delivery, None, "unreadable")
    [(dead, _, _)] = await queue.dead_letters.letters()
    assert await queue.dead_letters.drop(dead)
    assert await queue.dead_letters.letters() == []


async def test_overdue_jobs_are_found_whoever_holds_them(queue: Queue) -> None:
    await queue.submit(job(seconds=-10), "late and held")
    await queue.jobs.take("w", 10, 0)
    await queue.submit(job(seconds=-10), "late and waiting")
    await queue.submit(job(seconds=60), "in time")
    assert len(await queue.overdue(grace=5)) == 2
    assert await queue.overdue(grace=100) == []


async def test_the_wait_grows_with_the_queue_and_shrinks_with_workers(queue: Queue) -> None:
    await queue.workers.beat("a", 10, pace=2.0)
    for number in range(9):
        await queue.submit(job(), str(number))
    alone = await queue.status()
    await queue.workers.beat("b", 10, pace=2.0)
    together = await queue.status()
    assert (alone.waiting, alone.workers, alone.wait_seconds) == (9, 1, 20)
    assert (together.workers, together.wait_seconds) == (2, 10)
    await queue.workers.leave("a")
    await queue.workers.leave("b")
    assert (await queue.status()).workers == 0


async def test_a_server_that_lost_its_data_gets_its_groups_again(queue: Queue, redis: Redis) -> None:
    await redis.delete(queue.jobs.key, queue.replies.key)
    assert await queue.jobs.take("w", 10, 0) == []
    await queue.submit(job(), "1")
    assert len(await queue.jobs.take("w", 10, 0)) == 1
    await queue.prepare()


@pytest.mark.parametrize("content", ["<b>words</b>", deadline_error()])
async def test_a_reply_arrives_as_it_was_sent(content: str | PoemError) -> None:
    sent = Reply(Chat(1, 2, 3), "en", content, REQUEST, "job")
    found = Reply.from_fields(sent.fields())
    assert (found.to, found.language, found.request, found.job) == (sent.to, sent.language, sent.request, sent.job)
    if isinstance(content, PoemError):
        assert isinstance(found.content, PoemError)
        assert found.content.to_json() == content.to_json()
    else:
        assert found.content == content


async def test_a_machine_that_slept_reckons_with_the_servers_time_again(
    redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, slept = Queue(redis, prefix), 0.0
    awake = clock.elapsed
    monkeypatch.setattr(clock, "elapsed", lambda: awake() + slept)
    before = await queue.now()
    slept = 3600.0  # for this process alone: the server's clock did not go on
    assert abs(await queue.now() - before) < 60


def test_time_that_passes_includes_what_the_machine_slept() -> None:
    assert clock.elapsed() >= time.monotonic() - 1
    assert not hasattr(time, "CLOCK_BOOTTIME") or abs(clock.elapsed() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1


async def test_what_serves_is_found_without_a_look_at_all_keys(queue: Queue, redis: Redis) -> None:
    async def scans() -> int:
        counted: Any = await redis.info("commandstats")
        return int(counted.get("cmdstat_scan", {"calls": 0})["calls"])

    before = await scans()
    serving = Serving("tang", 1)
    await queue.workers.beat("alive", 60)
    await queue.models.tell("alive", serving, 60)
    await queue.models.tell("gone", serving, 60)
    assert await queue.models.serving() == {"alive": serving}
    assert await scans() == before
