"""The page and its pictures."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from bot.http.page import FILES, POLICY
from bot.standalone.redis_server import RedisServer
from bot.views.preview import SAMPLE, SAMPLE_REQUEST
from engine.contract import Poem, PoemRequest
from engine.contract.queue.cards import Card
from engine.contract.queue.store import Queue
from engine.contract.text import clauses
from engine.generation.poet import RELEASED, read_prosody
from engine.prosody.check import check
from tests.support.fake_poet import FakePoet
from tests.support.running import running_bot, running_worker

PAGE = Path(__file__).parents[2] / "bot" / "http" / "static"


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


async def test_the_page_is_served_under_the_same_policy(http: aiohttp.ClientSession, where: str) -> None:
    for path, status in (("/", 200), ("/poems/0-0.aaaaaaaa", 404)):
        async with http.get(f"{where}{path}") as answer:
            assert (answer.status, answer.content_type) == (status, "text/html")
            assert answer.headers["Content-Security-Policy"] == POLICY
            assert "{{" not in await answer.text()


def test_the_page_asks_nobody_else_and_names_only_parts_that_are_there() -> None:
    page = (PAGE / "index.html").read_text("utf-8")
    script, manifest = ((PAGE / name).read_text("utf-8") for name in ("script.js", "manifest.webmanifest"))
    named = set(re.findall(r'(?:src|href)="(/[^"]*)"', page)) | set(re.findall(r'from "(/[^"]*)"', script))
    named |= {icon["src"] for icon in json.loads(manifest)["icons"]}
    assert named == set(FILES) - {"/openapi.json"}
    for file in PAGE.iterdir():
        text = file.read_bytes().replace(b"http://www.w3.org/2000/svg", b"")
        assert b"://" not in text, file.name
    assert not re.search(r"<script(?![^>]*src)|\son\w+=|\sstyle=", page), "inline code, which the policy forbids"


def test_every_text_of_the_page_stands_in_every_language() -> None:
    texts, script, page = ((PAGE / name).read_text("utf-8") for name in ("texts.js", "script.js", "index.html"))
    blocks = re.findall(r'^  (?:"zh-Hans"|"zh-Hant"|en): \{(.*?)^  \},', texts, re.MULTILINE | re.DOTALL)
    keys = [set(re.findall(r"(\w+): (?=[\"(])", block)) for block in blocks]
    assert len(keys) == 3
    assert keys[0] == keys[1] == keys[2]
    wanted = set(re.findall(r'data-text="(\w+)"', page)) | set(re.findall(r"texts\.(?!js)(\w+)", script))
    wanted |= set(re.findall(r'text\("(\w+)"', script)) | set(re.findall(r"TEXTS\[language\]\.(\w+)", script))
    assert wanted <= keys[0]


def test_the_example_is_a_poem_that_keeps_the_rules() -> None:
    poem = SAMPLE
    assert "".join(line[0] for line in poem.lines) == SAMPLE_REQUEST.text
    assert tuple(clauses(poem.text)) == poem.lines
    found = check(poem.lines, read_prosody(RELEASED))
    assert found.faults == ()
    assert (found.template, found.rhyme) == (poem.template, poem.rhyme)


async def test_a_link_is_previewed_with_its_poem_and_picture(http: aiohttp.ClientSession, where: str) -> None:
    async with http.post(f"{where}/api/poems", json={"mode": "acrostic", "text": "春风"}) as answer:
        written, name = await answer.json(), answer.headers["Content-Location"].rpartition("/")[2]
    tags = preview(await text_of(http, f"{where}/poems/{name}"))
    assert tags["og:title"] == written["lines"][0]
    assert written["text"].replace("\n", "") in tags["og:description"]
    assert "Written by a program" in tags["og:description"]
    assert tags["og:url"] == f"{where}/poems/{name}"
    assert tags["og:image"] == f"{where}/api/pictures/{name}"
    async with http.get(tags["og:image"]) as answer:
        assert (await answer.read()).startswith(b"\x89PNG")
    tags = preview(await text_of(http, f"{where}/"))
    assert tags["og:image"] == f"{where}/page/icon-512.png"
    assert tags["og:title"]


async def test_the_picture_of_a_stored_poem_marks_only_the_characters_that_were_given(
    http: aiohttp.ClientSession,
    server: RedisServer,
    queue: Queue,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marked: list[int | None] = []

    def note_heads(_: Poem, heads: int | None) -> bytes:
        marked.append(heads)
        return b""

    monkeypatch.setattr("bot.app.load_draw", lambda: note_heads)
    name = await queue.cards.keep(Card(replace(SAMPLE_REQUEST, text="春风", lines=4), SAMPLE))
    async with running_bot(server.url, prefix) as where, http.get(f"{where}/api/pictures/{name}") as answer:
        assert answer.status == 200
    assert marked == [2]


async def test_a_preview_names_the_server_as_its_visitors_know_it(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, prefix: str
) -> None:
    told = {"X-Forwarded-Host": "poems.example.org", "X-Forwarded-Proto": "https"}
    for trusted, origin in (("127.0.0.1", "https://poems.example.org"), ("", None)):
        async with running_bot(server.url, prefix, TRUSTED_PROXIES=trusted) as where:
            tags = preview(await text_of(http, f"{where}/", told))
            assert tags["og:url"] == f"{origin or where}/"
            for host in ('a"><script>', "a b", "ä"):
                tags = preview(await text_of(http, f"{where}/", {"Host": host}))
                assert "og:url" not in tags


async def test_what_a_person_typed_is_text_on_the_page(
    http: aiohttp.ClientSession, redis: Redis, queue: Queue, where: str
) -> None:
    card = Card(PoemRequest("theme", '"><b>春</b>'), SAMPLE)
    page = await text_of(http, f"{where}/poems/{await queue.cards.keep(card)}")
    assert "<b>春" not in page
    assert "&lt;b&gt;春" in page


async def test_a_poems_page_shows_it_whatever_serves_now_and_counts_against_no_limit(
    http: aiohttp.ClientSession, server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    name = await queue.cards.keep(Card(SAMPLE_REQUEST, SAMPLE))
    # No worker is alive, and a remote caller may request one poem per day.
    async with running_bot(server.url, prefix, USER_PER_DAY="1", TRUSTED_PROXIES="127.0.0.1") as where:
        for _ in range(3):
            page = await text_of(http, f"{where}/poems/{name}")
            assert [re.sub(r"<.*?>", "", line) for line in re.findall(r"<span>(<.*?)</span>", page)][:4] == list(
                SAMPLE.lines
            )


def preview(page: str) -> dict[str, str]:
    return {name: html.unescape(content) for name, content in re.findall(r'property="(.*?)" content="(.*?)"', page)}


async def text_of(http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> str:
    async with http.get(url, headers=headers) as answer:
        return await answer.text()


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
        # Pictures have the same limits as poems, but separate counts.
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
