"""What comes from outside and cannot be read is counted and skipped, whatever it is."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from redis.asyncio import Redis

from bot.standalone.redis_server import RedisServer
from engine.contract import CodecError, PoemRequest
from engine.contract.codec import loads, or_none, unreadable
from engine.contract.queue.cards import Card
from engine.contract.queue.messages import Chat, Job, PendingRequest, Reply
from engine.contract.queue.store import Queue
from engine.contract.settings import Settings
from engine.contract.version_info import VersionInfo
from engine.serving import dead_letters
from engine.serving.worker import Worker
from tests.support.fake_poet import FakePoet
from tests.support.waiting import until

DEEP = "[" * 100_000 + "]" * 100_000
DEEP_REQUEST = json.dumps({"request": {}, "to": {}, "language": "en", "deadline": 1})[:-1] + f',"more":{DEEP}}}'
TO = {"process": "p", "id": "1"}
REPLY = {"to": TO, "language": "en", "job": "1"}
JOB = Job(PoemRequest("acrostic", "春"), Chat(7), "en", 2e9)
BODIES: list[Any] = [
    b"",
    b"\xff\xfe\x00",
    b'{"text":"\xff","to":{"process":"p","id":"1"},"language":"en","job":"1"}',
    b'{"text":"\\ud800","to":{"process":"p","id":"1"},"language":"en","job":"1"}',
    b"nonsense",
    b"[]",
    b"17",
    DEEP,
    DEEP_REQUEST,
    json.dumps({**REPLY, "examination": []}),
    json.dumps({**REPLY, "examination": {"v": 1, "form": "", "template": 1, "rhyme": 2, "rhymes": 3, "faults": 4}}),
    json.dumps({**REPLY, "error": ["deadline"]}),
    json.dumps({**REPLY, "error": {"code": "made up", "zh": "", "en": ""}}),
    json.dumps({**REPLY, "poem": {"v": 1, "lines": [1]}}),
    json.dumps({**REPLY, "text": "x", "work": {"waited": []}}),
    json.dumps({**REPLY, "text": "x", "kind": []}),
    json.dumps({**REPLY, "text": "x", "to": 5}),
    json.dumps({**REPLY, "text": ["x"]}),
    JOB.fields()["body"].replace("2000000000.0", "1e999"),
    JOB.fields()["body"].replace("2000000000.0", "NaN"),
    JOB.fields()["body"].replace("2000000000.0", "1" + "0" * 400),
    JOB.fields()["body"].replace('"chat":7', '"chat":[7]'),
    JOB.fields()["body"].replace('{"v":1', '["v"'),
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_is_read_or_is_a_codec_error_and_nothing_else(body: str | bytes) -> None:
    text = body if isinstance(body, str) else body.decode(errors="surrogateescape")
    for kind in (Job, Reply):
        with pytest.raises(CodecError):
            kind.from_fields({"v": "1", "body": text})
    or_none("card", lambda: Card.from_fields({"v": "1", "body": text}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*REPLY, "request", "deadline", "poem"]), inner),
    max_leaves=10,
)


@examples(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*REPLY, "text", "poem", "error", "examination", "work", "kind", "request", "deadline"]),
        json_values,
    )
)
def test_no_object_makes_any_other_error(value: dict[str, Any]) -> None:
    for kind in (Job, Reply):
        try:
            kind.from_fields({"body": json.dumps(value)})
        except CodecError:
            continue


async def test_every_unreadable_job_becomes_a_dead_letter_and_the_others_are_written(
    queue: Queue, redis: Redis
) -> None:
    for body in BODIES:
        await redis.xadd(queue.jobs.key, {"v": "1", "body": body})
    await queue.submit(Job(PoemRequest("acrostic", "春"), Chat(7), "en", time.time() + 60), "g")
    assert await queue.overdue(0) == []
    assert len(await queue.oldest_jobs(100)) == 1

    async def all_buried() -> bool:
        return len(await queue.dead_letters.letters()) == len(BODIES)

    worker = Worker(queue, FakePoet(), 0.5)
    working = asyncio.create_task(worker.run())
    try:
        found: list[Any] = []
        while not found:
            found = await queue.replies.take("reader", 10, 0.2)
        await until(all_buried)
    finally:
        worker.stop()
        await working
    assert {(job, why) for _, job, why in await queue.dead_letters.letters()} == {(None, "unreadable")}
    assert (await queue.status()).dead == len(BODIES)


async def test_unreadable_answers_to_http_are_put_aside_and_the_others_come(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    for body in BODIES:
        await redis.xadd(f"{prefix}http:p", {"v": "1", "body": body})
    fields: dict[Any, Any] = dict(Reply(PendingRequest("p", "1"), "en", "words").fields())
    await redis.xadd(f"{prefix}http:p", fields)
    await redis.expire(f"{prefix}http:p", 60)
    found: list[Reply] = []
    while not found:
        found = await queue.answers("p", 0.2)
    assert [reply.content for reply in found] == ["words"]
    assert {why for _, _, why in await queue.dead_letters.letters()} == {"an unreadable reply"}
    assert len(await queue.dead_letters.letters()) == len(BODIES)


async def test_what_the_store_says_of_models_and_trainings_is_passed_over_where_it_cannot_be_read(
    queue: Queue, redis: Redis, prefix: str
) -> None:
    bad = [*BODIES, '{"version":"v","validation":[1]}', '{"version":[]}']
    await queue.models.publish([VersionInfo("good", validation=100.0)])
    for number, text in enumerate(bad):
        await redis.hset(f"{prefix}versions", f"bad{number}", text)
        await queue.workers.beat(f"bad{number}", 60)
        await redis.set(f"{prefix}serving:bad{number}", text, ex=60)
        await redis.set(f"{prefix}model", text)
        await redis.hset(f"{prefix}training", mapping={"id": "1-0", "order": text, "report": text})
        await redis.expire(f"{prefix}training", 60)
        assert await queue.models.desired() is None
        assert await queue.trainings.current() is None
    assert list(await queue.models.versions()) == ["good"]
    assert await queue.models.serving() == {}
    assert unreadable["Serving"] >= len(bad)
    assert unreadable["VersionInfo"] >= len(bad)
    assert await queue.models.use("good") > 0
    assert (desired := await queue.models.desired()) is not None
    assert desired.version == "good"


@pytest.mark.parametrize("pace", ["nan", "inf", "-1", "fast", "\udcff"])
async def test_a_pace_that_is_none_breaks_no_status(queue: Queue, redis: Redis, prefix: str, pace: str) -> None:
    await redis.set(f"{prefix}pace", pace, ex=60)
    assert (await queue.status()).wait_seconds == 0


@pytest.mark.parametrize("skew", ["nan", "inf", "0x10", "1e999"])
async def test_a_skew_that_is_none_breaks_no_status(queue: Queue, redis: Redis, prefix: str, skew: str) -> None:
    await queue.workers.beat("worker", 10)
    await redis.hset(f"{prefix}skews", "worker", skew)
    assert (await queue.status()).skew == 0


async def test_a_dead_letter_keeps_the_first_of_thousands_of_fields(queue: Queue, redis: Redis, prefix: str) -> None:
    await redis.xadd(queue.jobs.key, {f"field{number}": "x" for number in range(5000)})
    [delivery] = await queue.jobs.take("worker", 1, 0)
    assert await queue.dead_letters.add(delivery, None, "unreadable")
    dead: Any = await redis.xrange(f"{prefix}dead")
    [(_, fields)] = dead
    assert fields["why"] == "unreadable"
    assert 2 < len(fields) <= 100


@pytest.mark.parametrize("entry", ["", "x", "1-1-1", "-", "+", "1", "9" * 30 + "-1"])
async def test_a_job_that_cannot_be_is_not_unfinished(queue: Queue, entry: str) -> None:
    assert not await queue.unfinished(entry)


async def test_dead_letters_are_listed_whatever_is_among_them(
    queue: Queue, redis: Redis, server: RedisServer, prefix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await queue.prepare()
    await redis.xadd(f"{prefix}dead", {"why": b"\xff\xfe", "body": b"\xff"})
    await redis.xadd(f"{prefix}dead", {"why": "an id that is no moment"}, id="9223372036854775807-1")
    settings = Settings.read({"REDIS_URL": server.url, "KEY_PREFIX": prefix}, None)
    for as_json in (False, True):
        asked = argparse.Namespace(action="list", id=None, json=as_json)
        assert await asyncio.to_thread(dead_letters.run, asked, settings) == 0
        assert "an id that is no moment" in capfd.readouterr().out


@pytest.mark.parametrize("text", ["{", "NaN", "[Infinity]", "1e999", '"\\ud800"', "\ud800", DEEP])
def test_json_that_no_program_of_ours_writes_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        loads(text)
