"""The laws of the page and its pictures."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from bot.http.page import FILES
from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue
from tests.support.fake_poet import FakePoet
from tests.support.running import running_bot, running_worker

PAGE = Path(__file__).parents[2] / "bot" / "http" / "static"


@pytest.fixture
async def where(server: RedisServer, queue: Queue, redis: Redis, prefix: str) -> AsyncIterator[str]:
    async with running_worker(redis, prefix, FakePoet()), running_bot(server.url, prefix) as where:
        yield where


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def poem(http: aiohttp.ClientSession, where: str, heads: str = "春风") -> dict[str, Any]:
    async with http.post(f"{where}/api/poems", data=json.dumps({"mode": "acrostic", "text": heads})) as answer:
        found: dict[str, Any] = await answer.json()
    return found


async def picture(http: aiohttp.ClientSession, where: str, body: bytes) -> tuple[int, bytes]:
    async with http.post(f"{where}/api/pictures", data=body) as answer:
        return answer.status, await answer.read()


async def test_the_page_and_its_parts_are_served_under_a_policy_that_lets_nothing_else_in(
    http: aiohttp.ClientSession, where: str
) -> None:
    for path in FILES:
        async with http.get(f"{where}{path}") as answer:
            assert answer.status == 200
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
            assert "http" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_asks_nobody_else_and_names_only_parts_that_are_there() -> None:
    text = (PAGE / "index.html").read_text("utf-8")
    assert set(re.findall(r'(?:src|href)="(/[^"]*)"', text)) == set(FILES) - {"/", "/openapi.json"}
    for file in PAGE.iterdir():
        assert "://" not in file.read_text("utf-8"), file.name
    assert not re.search(r"<script(?![^>]*src)|\son\w+=|\sstyle=", text), "inline code, which the policy forbids"


def test_every_text_of_the_page_stands_in_every_language() -> None:
    script, page = ((PAGE / name).read_text("utf-8") for name in ("script.js", "index.html"))
    blocks = re.findall(r'^  (?:"zh-Hans"|"zh-Hant"|en): \{(.*?)^  \},', script, re.MULTILINE | re.DOTALL)
    keys = [set(re.findall(r"(\w+): (?=[\"(])", block)) for block in blocks]
    assert len(keys) == 3
    assert keys[0] == keys[1] == keys[2]
    assert set(re.findall(r'data-text="(\w+)"', page)) | set(re.findall(r"texts\.(\w+)", script)) <= keys[0]


async def test_a_poem_of_the_api_is_drawn(http: aiohttp.ClientSession, where: str) -> None:
    written = await poem(http, where)
    status, png = await picture(http, where, json.dumps(written).encode())
    assert status == 200
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "change",
    [{"lines": []}, {"lines": ["<b>"]}, {"lines": ["hello"]}, {"lines": ["春" * 41]}, {"lines": ["春风"] * 201},
     {"lines": "春风"}, {"lines": [1]}, {"form": "五" * 21}, {"rhyme": 3}, {"colour": "red"}],
)  # fmt: skip
async def test_what_is_no_poem_is_refused_before_it_is_drawn(
    http: aiohttp.ClientSession, where: str, change: dict[str, Any]
) -> None:
    written = await poem(http, where)
    assert (await picture(http, where, json.dumps({**written, **change}).encode()))[0] == 400


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 400), (b"null", 400), (b"x" * 9000, 413)])
async def test_odd_bodies_are_refused_in_words(
    http: aiohttp.ClientSession, where: str, body: bytes, status: int
) -> None:
    answered, text = await picture(http, where, body)
    assert answered == status
    assert json.loads(text)["error"]["message"]


async def test_a_character_that_the_font_lacks_is_named(http: aiohttp.ClientSession, where: str) -> None:
    written = await poem(http, where, "𠮷")
    status, text = await picture(http, where, json.dumps(written).encode())
    assert status == 422
    assert "𠮷" in json.loads(text)["error"]["message"]


async def test_only_what_was_written_here_is_drawn(http: aiohttp.ClientSession, where: str) -> None:
    written = await poem(http, where)
    for change in ({"lines": ["床前明月光", *written["lines"][1:]]}, {"form": "七律"}, {"seed": written["seed"] + 1}):
        status, text = await picture(http, where, json.dumps({**written, **change}).encode())
        assert (status, json.loads(text)["error"]["code"]) == (403, "not_written_here")
    assert (await picture(http, where, json.dumps(written).encode()))[0] == 200


async def test_a_poems_link_shows_the_same_poem_and_its_picture_and_counts_against_no_limit(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix, USER_PER_MINUTE="1", TRUSTED_PROXIES="127.0.0.1") as where,
    ):
        asked = {"mode": "acrostic", "text": "春风", "form": "七言"}
        async with http.post(f"{where}/api/poems", json=asked) as answer:
            written, link = await answer.json(), answer.headers["Content-Location"]
        for _ in range(3):
            async with http.get(where + link) as answer:
                assert answer.status == 200
                found = await answer.json()
        assert found == {"id": link.rpartition("/")[2], "request": asked, "poem": written}
        for path in (link[:-1], link + "A", "/api/poems/0-0.aaaaaaaa", "/api/poems/%20"):
            async with http.get(where + path) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")
        drawn = link.replace("poems", "pictures")
        async with http.get(where + drawn) as answer:
            assert (await answer.read()).startswith(b"\x89PNG")
        # Drawing is work: pictures are held to the limits, counted apart.
        async with http.get(where + drawn) as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 0


async def test_what_the_blocklist_forbids_by_now_is_no_longer_shown(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str, tmp_path: Path
) -> None:
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix) as where,
        http.post(f"{where}/api/poems", json={"mode": "acrostic", "text": "春风"}) as answer,
    ):
        link = answer.headers["Content-Location"]
    words = tmp_path / "words"
    words.write_text("春山", "utf-8")
    async with running_bot(server.url, prefix, BLOCKLIST_FILE=str(words)) as where, http.get(where + link) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "refused")
