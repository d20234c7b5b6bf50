"""The first connection: another bot's webhook is not deleted, and no method is called before that is known."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from bot.app import App
from bot.settings import BotSettings
from bot.standalone.launcher import _greet
from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue
from engine.contract.settings import SettingError
from tests.support.fake_bot_api import TOKEN, Fault
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import free_port
from tests.support.running import running_bot

HOOK = "https://other.example.org/secret-path"


async def test_a_polling_bot_refuses_to_delete_a_webhook_it_was_not_told_to(
    server: RedisServer, prefix: str, telegram: FakeTelegram
) -> None:
    telegram.webhook = {"url": HOOK}
    environ = {"REDIS_URL": server.url, "KEY_PREFIX": prefix, "HTTP_PORT": str(free_port())}
    environ |= {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_BASE_URL": telegram.base_url}
    with pytest.raises(SettingError, match="DELETE_WEBHOOK") as refused:
        await App(BotSettings.read(environ, None)).run()
    assert "other.example.org" in str(refused.value)
    assert "secret-path" not in str(refused.value)
    assert telegram.webhook == {"url": HOOK}
    assert telegram.calls["deleteWebhook"] == 0


async def test_a_polling_bot_that_was_told_to_deletes_the_webhook(
    server: RedisServer, queue: Queue, prefix: str, telegram: FakeTelegram
) -> None:
    telegram.webhook = {"url": HOOK}
    async with running_bot(server.url, prefix, telegram, DELETE_WEBHOOK="true"):
        await telegram.called("getUpdates")
    assert telegram.webhook == {}


async def test_a_token_that_telegram_refuses_is_a_wrong_setting(
    server: RedisServer, prefix: str, telegram: FakeTelegram
) -> None:
    environ = {"REDIS_URL": server.url, "KEY_PREFIX": prefix, "HTTP_PORT": str(free_port())}
    environ |= {"TELEGRAM_BOT_TOKEN": "654321:another", "TELEGRAM_BASE_URL": telegram.base_url}
    with pytest.raises(SettingError, match="TELEGRAM_BOT_TOKEN is refused by Telegram") as refused:
        await App(BotSettings.read(environ, None)).run()
    assert "another" not in str(refused.value)


@pytest.mark.parametrize("body", ["<html>log in</html>", '{"ok": true}', '{"ok": true, "result": {"url": 5}}'])
@pytest.mark.parametrize("method", ["setWebhook", "getWebhookInfo", "deleteWebhook"])
async def test_how_updates_come_is_settled_whatever_is_answered_before_telegram_answers(
    server: RedisServer, queue: Queue, prefix: str, telegram: FakeTelegram, method: str, body: str
) -> None:
    fault = Fault(method, 200, body=body, times=2)
    telegram.faults.append(fault)
    telegram.webhook = {"url": HOOK}
    own = {"WEBHOOK_URL": "https://example.org", "WEBHOOK_SECRET": "word"}
    more = own if method == "setWebhook" else {"DELETE_WEBHOOK": "true"}
    async with running_bot(server.url, prefix, telegram, **more):
        await telegram.called("setWebhook" if method == "setWebhook" else "getUpdates", 3 if more is own else 1)
        await telegram.called("setMyCommands")
    assert fault.times == 0
    assert telegram.webhook.get("url") == ("https://example.org/telegram" if more is own else None)


@pytest.mark.parametrize("body", ["<html>log in</html>", '{"ok": true, "result": {"username": 5}}', '{"ok": true}'])
async def test_health_says_whether_telegram_is_reached(
    server: RedisServer, queue: Queue, prefix: str, telegram: FakeTelegram, body: str
) -> None:
    telegram.faults.append(Fault("getMe", 200, body=body, times=2))
    async with running_bot(server.url, prefix, telegram) as where, aiohttp.ClientSession() as http:

        async def telegram_state() -> str:
            async with http.get(f"{where}/healthz") as answer:
                return str((await answer.json())["telegram"])

        assert await telegram_state() == "connecting"
        await telegram.called("getUpdates")
        assert await telegram_state() == "on"


@pytest.mark.parametrize(
    ("chats", "reached", "words"),
    [
        (True, True, ["The Telegram bot is on."]),
        (True, False, ["cannot be reached yet", "The Telegram bot is on."]),
        (False, False, ["No TELEGRAM_BOT_TOKEN is set"]),
    ],
)
async def test_make_run_says_that_the_bot_is_on_when_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, chats: bool, reached: bool, words: list[str]
) -> None:
    monkeypatch.setattr("bot.standalone.launcher.TELEGRAM_SECONDS", 0.3)
    asked = 0

    async def health(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"telegram": "on" if reached or asked > 3 else "connecting"})

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready"})

    app = web.Application()
    app.add_routes([web.get("/healthz", health), web.get("/readyz", ready)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with asyncio.timeout(20):
            await _greet(f"http://127.0.0.1:{runner.addresses[0][1]}", chats)
    finally:
        await runner.cleanup()
    output = capsys.readouterr().out
    places = [output.index(each) for each in words]
    assert places == sorted(places)
    assert output.count("The Telegram bot is on.") == words.count("The Telegram bot is on.")
