"""Who has access, and what is checked before anything else. SECURITY.md names the test of every entry point."""

from __future__ import annotations

import hmac
import json
import random
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
import yaml
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from redis.asyncio import Redis

from bot.http.errors import HttpError
from bot.http.server import Webhook
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.standalone.redis_server import RedisServer
from bot.views.messages import error_html
from engine.contract import PoemError
from engine.contract.queue.store import Queue
from tests.soak.messages import fuzzed_message
from tests.support.fake_poet import FakePoet
from tests.support.running import running_bot, running_worker

ROOT = Path(__file__).parents[2]
SECRET = "the-secret"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


def webhook_request(headers: dict[str, str]) -> web.Request:
    """A request whose body must not be touched."""
    content = Mock(spec=StreamReader)
    content.read.side_effect = content.iter_chunked.side_effect = AssertionError("the body was read")
    return make_mocked_request("POST", "/telegram", headers=headers, payload=content)


def opened() -> Webhook:
    webhook = Webhook(SECRET, Metrics())
    webhook.open(Mock())
    return webhook


async def refused(webhook: Webhook, request: web.Request) -> int:
    with pytest.raises(HttpError) as raised:
        await webhook.receive(request)
    return raised.value.status


@pytest.mark.parametrize("headers", [{}, {HEADER: ""}, {HEADER: "wrong"}, {HEADER: SECRET[:-1]}])
async def test_without_the_secret_a_webhook_is_refused_before_its_body_is_read(headers: dict[str, str]) -> None:
    assert await refused(opened(), webhook_request(headers)) == 403


async def test_a_body_too_large_by_its_own_word_is_refused_unread() -> None:
    assert await refused(opened(), webhook_request({HEADER: SECRET, "Content-Length": str(10**9)})) == 413


async def test_a_compressed_body_is_refused_unread() -> None:
    assert await refused(opened(), webhook_request({HEADER: SECRET, "Content-Encoding": "gzip"})) == 415


async def test_the_secret_is_compared_in_constant_time_and_by_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def watched(given: bytes, wanted: bytes) -> bool:
        compared.append((given, wanted))
        return False

    monkeypatch.setattr(hmac, "compare_digest", watched)
    # The right secret is refused if the constant-time comparison fails, so nothing else decides.
    assert await refused(opened(), webhook_request({HEADER: SECRET})) == 403
    assert compared == [(SECRET.encode(), SECRET.encode())]


async def test_any_body_at_all_is_a_poem_or_a_named_error_over_http(
    server: RedisServer, queue: Queue, redis: Redis, prefix: str
) -> None:
    choose, statuses = random.Random(7), set()
    async with (
        running_worker(redis, prefix, FakePoet()),
        running_bot(server.url, prefix) as where,
        aiohttp.ClientSession() as http,
    ):
        for message in fuzzed_message(500, seed=5):
            text = re.sub("^/[a-z]+ ", "", message.text)[:200].translate({ord(c): "春" for c in "杀错"})
            body: dict[str, Any] = {"mode": choose.choice(("continue", "acrostic", text)), "text": text}
            for name in choose.sample(("form", "rhyme", "mood", "lines", "seed", "candidates", "x"), 2):
                body[name] = choose.choice((text, None, -1, 0, 4, 2**70, 1e400, [], {}, True))
            async with http.post(f"{where}/api/poems", data=json.dumps(body).encode()) as answer:
                statuses.add(answer.status)
                found = await answer.json()
            assert answer.status in (200, 400), body
            assert ("lines" in found) == (answer.status == 200)
            assert answer.status == 200 or found["error"]["message"]
    assert statuses == {200, 400}


def test_an_error_is_escaped_whoever_wrote_its_words() -> None:
    assert error_html(PoemError("refused", "<b>", "<b>&"), "en") == "&lt;b&gt;&amp;"


def test_http_listens_on_loopback_unless_told_otherwise() -> None:
    assert BotSettings.read({}, None).http_host == "127.0.0.1"


def test_every_container_is_without_root_and_rights_and_cannot_write_its_files() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    stages = re.split(r"(?m)^FROM ", (ROOT / "Dockerfile").read_text("utf-8"))[1:]
    assert len(stages) == 3
    for stage in stages:
        users = re.findall(r"(?m)^USER (.+)$", stage)
        # The GPU image installs packages as root; the last USER line decides.
        assert users, stage.splitlines()[0]
        assert users[-1] == "10001:10001"


def test_nothing_that_runs_text_or_opens_pickles_is_in_the_programs() -> None:
    banned = re.compile(r"(?<![\w.])(eval|exec|__import__)\(|os\.system|shell=True|yaml\.load\(|pickle\.loads?\(")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("bot", "engine", "train")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if banned.search(line) or ("allow_pickle" in line and "False" not in line)
    ]
    assert found == []
