"""The HTTP API conforms to ``openapi.json``, answer by answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

import bot.http.body
import bot.http.page
from bot.http.page import FILES
from bot.standalone.redis_server import RedisServer
from engine.contract.errors import ERROR_CODES
from engine.contract.queue.store import Queue
from tests.soak.api import fuzz
from tests.support.fake_poet import FakePoet
from tests.support.running import running_bot, running_worker

SPEC: dict[str, Any] = json.loads((Path(bot.http.page.__file__).parent / "openapi.json").read_text("utf-8"))
GOOD = json.dumps({"mode": "acrostic", "text": "春风"}).encode()
NOWHERE = "unix:///nonexistent/redis.sock"
LISTED = {
    (path, int(status))
    for path, item in SPEC["paths"].items()
    for way in item.values()
    for status in way["responses"]
    if status.isdecimal()
}
SEEN_ANSWERS: set[tuple[str, int]] = set()
"""The answers that the tests below have seen."""


async def conforms(
    where: str,
    path: str,
    status: int,
    body: bytes | AsyncIterator[bytes] | None = None,
    query: str = "",
    name: str = "",
    headers: dict[str, str] | None = None,
) -> bytes:
    """Send a request and validate the answer against the description."""
    [(method, told)] = SPEC["paths"][path].items()
    url = where + path.replace("{id}", name) + query
    async with aiohttp.ClientSession() as http, http.request(method, url, data=body, headers=headers) as answer:
        content = await answer.read()
        assert answer.status == status, content
        [(kind, form)] = told["responses"][str(status)]["content"].items()
        assert answer.content_type == kind
        if "schema" in form:
            schema = {**form["schema"], "components": SPEC["components"]}
            Draft202012Validator(schema).validate(json.loads(content))
        if status in (429, 503) and path.startswith("/api"):
            assert int(answer.headers["Retry-After"]) > 0
    SEEN_ANSWERS.add((path, status))
    return content


async def test_what_is_right_is_answered_as_written(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    poem = await conforms(where, "/api/poems", 200, GOOD)
    await conforms(where, "/api/pictures", 200, poem)
    for path in ("/api/queue", "/healthz", "/readyz", "/metrics"):
        await conforms(where, path, 200)
    await conforms(where, "/api/templates", 200, query="?name=五律·平起首句入韵&length=5&lines=8")
    await conforms(where, "/api/templates", 404, query="?name=五律&length=5&lines=8")
    for path in ("/api/poems", "/api/pictures"):
        await conforms(where, path, 400, b"{")
        await conforms(where, path, 413, b"x" * 9000)
        await conforms(where, path, 415, b"{", headers={"Content-Encoding": "gzip"})
        await conforms(where, path, 403, b"{", headers={"Sec-Fetch-Site": "cross-site"})
    await conforms(where, "/api/pictures", 403, json.dumps({**json.loads(poem), "lines": ["春山"]}).encode())
    unknown = await conforms(where, "/api/poems", 200, '{"mode":"acrostic","text":"𠮷"}'.encode())
    await conforms(where, "/api/pictures", 422, unknown)
    monkeypatch.setattr(bot.http.page, "MAX_PICTURES_WAITING", 0)
    await conforms(where, "/api/pictures", 503, poem)
    monkeypatch.setattr(bot.http.body, "BODY_SECONDS", 0.1)
    for path in ("/api/poems", "/api/pictures"):
        await conforms(where, path, 408, slowly())


async def slowly() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(0.5)
    yield b"}"


async def test_a_poems_own_address_is_answered_as_written(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "words").write_text("春山", "utf-8")
    paths = ("/api/poems/{id}", "/api/pictures/{id}")
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, USER_PER_MINUTE="2", TRUSTED_PROXIES="127.0.0.1") as where,
        aiohttp.ClientSession() as http,
    ):
        ids = []
        for heads in ("春风", "𠮷"):
            async with http.post(f"{where}/api/poems", json={"mode": "acrostic", "text": heads}) as answer:
                ids.append(answer.headers["Content-Location"].rpartition("/")[2])
        for path in paths:
            await conforms(where, path, 200, name=ids[0])
            await conforms(where, path, 404, name="0-0.aaaaaaaa")
        await conforms(where, "/api/pictures/{id}", 422, name=ids[1])
        await conforms(where, "/api/pictures/{id}", 429, name=ids[0])
        async with http.post(f"{where}/api/pictures", data=await conforms(where, paths[0], 200, name=ids[0])) as answer:
            assert answer.status == 400  # it contains a poem, but is none
        poem = json.loads(await conforms(where, paths[0], 200, name=ids[0]))["poem"]
        await conforms(where, "/api/pictures", 429, json.dumps(poem).encode())
    async with running_bot(server.url, prefix, BLOCKLIST_FILE=str(tmp_path / "words")) as where:
        for path in paths:
            await conforms(where, path, 400, name=ids[0])


async def test_what_there_is_not_is_answered_in_the_one_form(where: str) -> None:
    validator = Draft202012Validator({**SPEC["components"]["schemas"]["Error"], "components": SPEC["components"]})
    async with aiohttp.ClientSession() as http:
        for method, path, status, code in (
            ("GET", "/nowhere", 404, "not_found"),
            ("POST", "/nowhere", 404, "not_found"),
            ("GET", "/api/poems", 405, "method_not_allowed"),
            ("DELETE", "/api/pictures", 405, "method_not_allowed"),
        ):
            messages = set()
            for language in ("en", "zh-CN", "zh-TW"):
                async with http.request(method, where + path, headers={"Accept-Language": language}) as answer:
                    body = await answer.json()
                assert (answer.status, body["error"]["code"]) == (status, code)
                validator.validate(body)
                messages.add(body["error"]["message"])
            assert len(messages) == 3
            assert status != 405 or answer.headers["Allow"]


def test_every_code_of_an_error_is_named() -> None:
    sources = [*Path(bot.http.page.__file__).parent.glob("*.py")]
    own = {
        code
        for source in sources
        for code in re.findall(
            r'(?:HttpError\(\s*(?:\d+|status|error\.status),|\d: \()\s*"(\w+)"', source.read_text("utf-8")
        )
    }
    listed = SPEC["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"]
    assert own | set(ERROR_CODES) == set(listed)


async def test_too_fast_too_late_and_nobody_there_are_answered_as_written(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, USER_PER_MINUTE="1", TRUSTED_PROXIES="127.0.0.1") as where,
    ):
        await conforms(where, "/api/poems", 200, GOOD)
        await conforms(where, "/api/poems", 429, GOOD)
    poet = FakePoet()
    poet.may_go_on.clear()
    async with running_worker(redis, prefix, poet), running_bot(server.url, prefix, JOB_DEADLINE="0.3") as where:
        await conforms(where, "/api/poems", 504, GOOD)
    async with running_bot(NOWHERE, prefix) as where:
        for path, body in (("/api/poems", GOOD), ("/api/queue", None), ("/readyz", None)):
            await conforms(where, path, 503, body)
        for path in ("/api/poems/{id}", "/api/pictures/{id}"):
            await conforms(where, path, 503, name="0-0.aaaaaaaa")


def test_every_answer_that_is_written_was_seen() -> None:
    if not SEEN_ANSWERS:
        pytest.skip("the tests above were not run")
    assert SEEN_ANSWERS == LISTED


async def test_the_description_is_served_and_names_every_route(where: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{where}/openapi.json") as answer:
        assert await answer.json() == SPEC
    text = Path(bot.http.page.__file__).with_name("server.py").read_text("utf-8")
    routes = set(re.findall(r'web\.(?:get|post)\("([^"]+)"', text))
    assert routes == set(SPEC["paths"])
    assert not routes & set(FILES)


def test_the_description_is_itself_well_formed() -> None:
    for schema in SPEC["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_requests_made_from_the_description_are_answered_as_written(where: str) -> None:
    statuses = await asyncio.to_thread(fuzz, where, 150)
    assert {200, 400} <= set(statuses)
