"""The HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bot.app import App
from bot.http.callers import Callers
from bot.http.listening import PortTakenError
from bot.settings import BotSettings
from bot.standalone.launcher import _free_port
from bot.standalone.redis_server import RedisServer
from bot.submission import LOCAL_SENDER
from engine.contract import Poem
from engine.contract.queue.store import Queue, connect
from engine.contract.settings import SettingError
from tests.conftest import immortal
from tests.support.fake_poet import REFUSED, FakePoet
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import answers, free_port
from tests.support.running import running_bot, running_worker
from tests.support.waiting import until, until_waiting

GOOD = {"mode": "acrostic", "text": "春风十里"}
SECRET = "s3cret_token"


async def post(
    http: aiohttp.ClientSession, where: str, body: object, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any], Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post(f"{where}/api/poems", data=data, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers


async def test_a_poem_is_answered_in_its_one_form(http: aiohttp.ClientSession, where: str) -> None:
    status, body, _ = await post(http, where, GOOD)
    assert status == 200
    poem = Poem.from_json(body)
    assert [line[0] for line in poem.lines] == list("春风十里")


BAD: list[tuple[object, int, str]] = [
    (b"", 400, "bad_request"),
    (b"{", 400, "bad_request"),
    (b"\xff\xfe", 400, "bad_request"),
    (b"[" * 5000, 400, "bad_request"),
    ([], 400, "bad_request"),
    ({**GOOD, "colour": "red"}, 400, "bad_request"),
    ({**GOOD, "mode": "haiku"}, 400, "bad_request"),
    ({**GOOD, "seed": "one"}, 400, "bad_request"),
    ({**GOOD, "v": 2}, 400, "bad_request"),
    (json.dumps(GOOD).encode("utf-16"), 400, "bad_request"),
    (json.dumps(GOOD).encode("utf-8-sig"), 400, "bad_request"),
    ({"mode": "acrostic"}, 400, "bad_request"),
    ({**GOOD, "text": ""}, 400, "empty"),
    ({**GOOD, "text": "hello"}, 400, "not_chinese"),
    ({**GOOD, "text": "\ud800春"}, 400, "control_characters"),
    ({**GOOD, "text": "春" * 21}, 400, "too_long"),
    ({**GOOD, "rhyme": "\ud800"}, 400, "unknown_rhyme"),
    ({**GOOD, "\ud800": 1}, 400, "bad_request"),
    ({**GOOD, "form": "sonnet"}, 400, "unknown_form"),
    ({**GOOD, "rhyme": "moon"}, 400, "unknown_rhyme"),
    ({**GOOD, "form": "七律"}, 400, "length_mismatch"),
    ({**GOOD, "text": "支那猪"}, 400, "refused"),
    ({**GOOD, "text": REFUSED}, 400, "refused"),
    ({**GOOD, "text": "春" * 9000}, 413, "too_long"),
]


async def test_a_bad_request_is_refused_with_its_code(http: aiohttp.ClientSession, where: str) -> None:
    for body, status, code in BAD:
        found, answer, _ = await post(http, where, body)
        assert (found, answer["error"]["code"]) == (status, code), body
        assert answer["error"]["message"]


async def test_a_body_without_a_length_is_cut_off_at_the_limit(http: aiohttp.ClientSession, where: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 1024

    async with http.post(f"{where}/api/poems", data=endless()) as answer:
        assert answer.status == 413


async def test_errors_speak_the_callers_language(http: aiohttp.ClientSession, where: str) -> None:
    for sent in ({**GOOD, "text": ""}, b"{", {**GOOD, "colour": "red"}, {**GOOD, "seed": "one"}, b"x" * 9000):
        messages = set()
        for language in ("en", "zh-CN", "zh-TW"):
            _, body, _ = await post(http, where, sent, {"Accept-Language": language})
            messages.add(body["error"]["message"])
        assert len(messages) == 3


async def test_whatever_may_be_left_out_may_be_null(http: aiohttp.ClientSession, where: str) -> None:
    nulls = dict.fromkeys(("form", "rhyme", "mood", "lines", "seed", "candidates"))
    assert (await post(http, where, {**GOOD, **nulls}))[0] == 200


async def test_many_callers_each_get_their_own_poem(http: aiohttp.ClientSession, where: str) -> None:
    heads = [chr(0x4E00 + number) for number in range(40)]
    found = await asyncio.gather(*(post(http, where, {"mode": "acrostic", "text": head}) for head in heads))
    assert [body["lines"][0][0] for _, body, _ in found] == heads


async def test_too_many_requests_are_told_when_to_come_back(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, USER_PER_MINUTE="1", TRUSTED_PROXIES="127.0.0.1") as where,
    ):
        assert (await post(http, where, GOOD))[0] == 200
        for _ in range(2):
            status, body, headers = await post(http, where, GOOD)
            assert (status, body["error"]["code"]) == (429, "rate_limited")
            assert 0 < int(headers["Retry-After"]) <= 60
        # Another caller behind the same proxy.
        assert (await post(http, where, GOOD, {"X-Forwarded-For": "203.0.113.9"}))[0] == 200


async def test_a_person_at_the_machine_itself_is_never_throttled(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, USER_PER_MINUTE="1") as where,
    ):
        assert [(await post(http, where, GOOD))[0] for _ in range(4)] == [200] * 4


async def test_without_a_worker_the_answer_is_503_at_once_and_nothing_is_queued(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, prefix: str
) -> None:
    async with running_bot(server.url, prefix) as where:
        status, body, headers = await post(http, where, GOOD)
        assert (status, body["error"]["code"]) == (503, "no_worker")
        assert int(headers["Retry-After"]) > 0
        async with http.get(f"{where}/readyz") as answer:
            assert answer.status == 503
            assert "worker" in (await answer.json())["reason"]
    assert (await queue.status()).waiting == 0


async def test_a_full_queue_is_503_with_a_time_to_come_back(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    poet = FakePoet()
    poet.may_go_on.clear()
    async with running_worker(redis, prefix, poet), running_bot(server.url, prefix, QUEUE_MAX="1") as where:
        first = asyncio.create_task(post(http, where, GOOD))
        await until_waiting(queue, 1)
        status, body, headers = await post(http, where, GOOD)
        assert (status, body["error"]["code"]) == (503, "busy")
        assert int(headers["Retry-After"]) > 0
        poet.may_go_on.set()
        assert (await first)[0] == 200


async def test_past_the_deadline_the_answer_is_504_and_the_job_is_gone(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    poet = FakePoet()
    poet.may_go_on.clear()
    async with running_worker(redis, prefix, poet), running_bot(server.url, prefix, JOB_DEADLINE="0.3") as where:
        status, body, _ = await post(http, where, GOOD)
        assert (status, body["error"]["code"]) == (504, "deadline")
        assert (await queue.status()).waiting == 0


async def test_who_goes_away_leaves_nothing_behind(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    poet = FakePoet()
    poet.may_go_on.clear()
    async with running_worker(redis, prefix, poet), running_bot(server.url, prefix) as where:
        asking = asyncio.create_task(post(http, where, GOOD))
        await until_waiting(queue, 1)
        asking.cancel()
        await until_waiting(queue, 0)
        poet.may_go_on.set()
        assert (await post(http, where, GOOD))[0] == 200
    assert not {key for key in await immortal(redis, prefix) if "http" in key}


async def test_the_queue_can_be_looked_at(http: aiohttp.ClientSession, where: str) -> None:
    async with http.get(f"{where}/api/queue") as answer:
        assert (await answer.json()).keys() == {"waiting", "wait_seconds"}


async def test_every_answer_carries_the_security_headers_and_invites_no_other_site(
    http: aiohttp.ClientSession, where: str
) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/api/queue", "/nowhere", "/api/poems"):
        async with http.get(f"{where}{path}", headers={"Origin": "https://example.org"}) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "python" not in answer.headers["Server"].lower()


async def test_metrics_count_without_naming_anybody(http: aiohttp.ClientSession, where: str) -> None:
    await post(http, where, GOOD)
    async with http.get(f"{where}/metrics") as answer:
        page = await answer.text()
    assert 'poem_requests_total{door="http",outcome="poem"} 1' in page
    assert "poem_workers 1" in page
    assert "春" not in page


async def test_without_redis_the_bot_lives_and_says_that_it_is_not_ready(http: aiohttp.ClientSession) -> None:
    async with running_bot("unix:///nonexistent/redis.sock", "none:") as where:
        await answers(f"{where}/readyz", 503)
        assert (await post(http, where, GOOD))[0] == 503
        async with http.get(f"{where}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{where}/metrics") as answer:
            assert "poem_redis_up 0" in await answer.text()


async def test_the_webhook_answers_200_only_to_who_knows_the_secret(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str, telegram: FakeTelegram
) -> None:
    settings = {"WEBHOOK_URL": "https://example.org", "WEBHOOK_SECRET": SECRET}
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, telegram, **settings) as where,
    ):

        async def hook(body: bytes, secret: str | None) -> int:
            headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
            async with http.post(f"{where}/telegram", data=body, headers=headers) as answer:
                return answer.status

        async def ready() -> bool:
            return await hook(b"[]", SECRET) != 503

        await telegram.called("setWebhook")
        assert telegram.webhook["url"] == "https://example.org/telegram"
        assert telegram.webhook["secret_token"] == SECRET
        update = json.dumps(telegram.update("/acrostic 春")).encode()
        await until(ready)
        for secret in (None, "", "wrong", SECRET + "x", "é"):
            assert await hook(update, secret) == 403
        for nonsense in (b"", b"{", b"[]", b"{}", b"[" * 100_000):
            assert await hook(nonsense, SECRET) == 400
        # Confirmed, or Telegram would resend it and hold back all others.
        assert await hook(b'{"update_id":1,"message":7}', SECRET) == 200
        assert await hook(b" " * 300_000, SECRET) == 413
        assert telegram.sent == []
        assert [await hook(update, SECRET) for _ in range(3)] == [200, 200, 200]
        [sent] = await telegram.messages(1)
        assert sent.plain.startswith("春")
        await telegram.put(telegram.update("never polled"))
        assert "getUpdates" not in telegram.calls
    assert len(telegram.sent) == 1


async def test_an_update_that_redis_cannot_take_is_not_confirmed(
    http: aiohttp.ClientSession, telegram: FakeTelegram
) -> None:
    settings = {"WEBHOOK_URL": "https://example.org/telegram", "WEBHOOK_SECRET": SECRET}
    async with running_bot("unix:///nonexistent/redis.sock", "none:", telegram, **settings) as where:
        await telegram.called("setWebhook")
        headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
        for _ in range(3):
            body = json.dumps(telegram.update("/acrostic 春")).encode()
            async with http.post(f"{where}/telegram", data=body, headers=headers) as answer:
                assert answer.status == 503


async def test_without_a_webhook_there_is_no_door_for_updates(http: aiohttp.ClientSession, where: str) -> None:
    async with http.post(f"{where}/telegram", data=b"{}") as answer:
        assert answer.status == 404


async def test_a_taken_port_is_one_clear_sentence(server: RedisServer, prefix: str) -> None:
    port = free_port()
    async with running_bot(server.url, prefix, HTTP_PORT=str(port)):
        settings = BotSettings.read({"REDIS_URL": server.url, "HTTP_PORT": str(port)}, None)
        with pytest.raises(PortTakenError, match="HTTP_PORT"):
            await App(settings).run()


async def test_an_address_that_is_not_here_is_not_called_a_taken_port(server: RedisServer) -> None:
    for host in ("nowhere.invalid", "192.0.2.1"):
        settings = BotSettings.read({"REDIS_URL": server.url, "HTTP_HOST": host, "HTTP_PORT": "0"}, None)
        with pytest.raises(SettingError, match=f"HTTP_HOST is wrong: {host} is not an address of this machine"):
            await App(settings).run()
        with pytest.raises(SettingError, match="HTTP_HOST is wrong"):
            _free_port(host, 0)


@pytest.mark.parametrize(
    ("peer", "lines", "sender"),
    [
        ("203.0.113.1", [], "ip:203.0.113.1"),
        ("203.0.113.1", ["198.51.100.7"], "ip:203.0.113.1"),
        ("192.168.0.9", ["198.51.100.7"], "ip:192.168.0.9"),  # in a private network, but not configured
        ("10.0.0.1", ["198.51.100.7"], "ip:198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.7"], "ip:198.51.100.7"),  # the caller's own header comes first
        ("10.0.0.1", ["1.2.3.4, 198.51.100.7, 10.0.0.2"], "ip:198.51.100.7"),  # through two proxies
        ("10.0.0.1", ["[2001:db8:1:2::9]:443"], "ip:2001:db8:1:2::"),
        ("10.0.0.1", ["198.51.100.7:5000"], "ip:198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, nonsense"], "ip:10.0.0.1"),
        ("10.0.0.1", [], "ip:10.0.0.1"),
        ("10.0.0.1", ["127.0.0.1"], LOCAL_SENDER),
        ("2001:db8:1:2:3:4:5:6", [], "ip:2001:db8:1:2::"),
        ("::ffff:203.0.113.1", [], "ip:203.0.113.1"),
        (None, [], "ip:unknown"),
        ("127.0.0.1", [], LOCAL_SENDER),
        ("::1", [], LOCAL_SENDER),
        # A proxy on this machine that is not configured: not a local user.
        ("127.0.0.1", ["198.51.100.7"], "ip:127.0.0.1"),
    ],
)
def test_a_caller_is_the_last_hop_that_configured_proxies_name(peer: str | None, lines: list[str], sender: str) -> None:
    callers = Callers((ip_network("10.0.0.0/8"),))
    assert callers.sender(peer, CIMultiDict([("X-Forwarded-For", line) for line in lines])) == sender


def test_a_trusted_proxy_on_this_machine_is_no_local_user() -> None:
    assert Callers((ip_network("127.0.0.0/8"),)).sender("127.0.0.1", CIMultiDict()) == "ip:127.0.0.1"


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ({"Host": "localhost:8080"}, True),
        ({"Host": "127.0.0.1:8080"}, True),
        ({"Host": "[::1]:8080"}, True),
        ({"Host": "bot:8080"}, True),
        ({"Host": "Poems.example.org"}, True),
        ({"Host": "evil.example.com"}, False),  # a foreign name that resolves to this machine
        ({"Host": "evil.example.com", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Host": ""}, False),
        ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, True),
        ({"Host": "localhost:8080", "Origin": "http://localhost:9000"}, False),
        ({"Host": "localhost:8080", "Origin": "https://evil.example.com"}, False),
        ({"Host": "localhost:8080", "Origin": "null"}, False),
        ({"Host": "localhost:8080", "Origin": "https://poems.example.org"}, True),
        ({"Host": "localhost:8080", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Host": "localhost:8080", "Sec-Fetch-Site": "none"}, True),
        ({"Host": "localhost:8080", "Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8080"}, False),
        ({"Host": "localhost:8080", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
async def test_no_page_of_another_site_makes_a_browser_ask_for_poems(
    http: aiohttp.ClientSession, server: RedisServer, prefix: str, headers: dict[str, str], served: bool
) -> None:
    async with running_bot(server.url, prefix, SITE_NAMES="poems.example.org") as where:
        status, body, _ = await post(http, where, b"{", {"Content-Type": "text/plain", **headers})
        assert (status, body["error"]["code"]) == ((400, "bad_request") if served else (403, "forbidden"))


def test_a_trusted_proxy_may_have_any_name_and_says_which() -> None:
    callers = Callers((ip_network("10.0.0.0/8"),))
    sent = {"Host": "upstream.internal", "X-Forwarded-Host": "poems.example.org"}
    assert callers.same_site("10.0.0.1", CIMultiDict(sent, Origin="https://poems.example.org"))
    assert not callers.same_site("10.0.0.1", CIMultiDict(sent, Origin="https://evil.example.com"))
    assert not callers.same_site("203.0.113.1", CIMultiDict(sent, Origin="https://poems.example.org"))


@pytest.mark.parametrize(
    ("peer", "headers", "origin"),
    [
        ("203.0.113.1", {"Host": "localhost:8080"}, "http://localhost:8080"),
        ("203.0.113.1", {"Host": "[::1]:8080"}, "http://[::1]:8080"),
        (
            "203.0.113.1",
            {"Host": "bot", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
            "http://bot",
        ),
        (
            "10.0.0.1",
            {"Host": "bot", "X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "https"},
            "https://a.example",
        ),
        ("10.0.0.1", {"Host": "bot", "X-Forwarded-Proto": "javascript"}, None),
        ("10.0.0.1", {"Host": "bot", "X-Forwarded-Host": "a.example, b.example"}, None),
        ("203.0.113.1", {"Host": 'a"><script>'}, None),
        ("203.0.113.1", {}, None),
    ],
)
def test_a_server_knows_its_own_address_from_its_visitor_or_a_trusted_proxy(
    peer: str, headers: dict[str, str], origin: str | None
) -> None:
    assert Callers((ip_network("10.0.0.0/8"),)).origin(peer, CIMultiDict(headers)) == origin


async def test_an_error_is_told_in_every_language_at_once_for_who_changes_it(
    http: aiohttp.ClientSession, server: RedisServer, prefix: str
) -> None:
    async with running_bot(server.url, prefix) as where:
        for language in ("zh-Hans", "zh-Hant", "en"):
            status, body, _ = await post(http, where, b'{"mode":"theme","text":"?"}', {"Accept-Language": language})
            messages = body["error"]["messages"]
            assert (status, body["error"]["message"]) == (400, messages[language])
            assert len(set(messages.values())) == 3


async def test_a_training_that_cannot_be_read_leaves_the_bot_ready(server: RedisServer, prefix: str) -> None:
    redis = connect(server.url)
    try:
        await redis.set(f"{prefix}training", "not a hash")
        with pytest.raises(ResponseError):
            await Queue(redis, prefix).trainings.current()
        async with running_worker(redis, prefix, FakePoet()), running_bot(server.url, prefix) as where:
            await answers(f"{where}/readyz")
    finally:
        await redis.aclose()


async def test_a_store_that_takes_no_writes_is_not_ready_and_not_up(own_server: RedisServer, prefix: str) -> None:
    redis = connect(own_server.url)
    try:
        async with (
            running_worker(redis, prefix, FakePoet()),
            running_bot(own_server.url, prefix) as where,
            aiohttp.ClientSession() as http,
        ):
            await redis.config_set("maxmemory", 1)
            async with http.get(f"{where}/readyz") as answer:
                assert (answer.status, (await answer.json())["reason"]) == (503, "Redis refuses to write")
            async with http.get(f"{where}/metrics") as answer:
                assert "poem_redis_up 0" in await answer.text()
            await redis.config_set("maxmemory", 0)
            await answers(f"{where}/readyz")
            async with http.get(f"{where}/readyz") as answer:
                assert abs((await answer.json())["clock_skew_seconds"]) < 60
    finally:
        await redis.config_set("maxmemory", 0)
        await redis.aclose()
