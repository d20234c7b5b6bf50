"""Wires the bot together, runs it, and shuts it down in order."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web
from redis.exceptions import RedisError
from telegram import Bot
from telegram.error import InvalidToken, TelegramError

from bot.best_effort import BestEffortSender
from bot.blocklist import Blocklist
from bot.bot_api import BotApiRequest
from bot.command_menu import CommandMenu
from bot.daily_stats import record_daily_counts
from bot.delivery.outbox import Outbox
from bot.delivery.packer import Packer, has_inline_mode
from bot.delivery.queue_notices import QueueNotices
from bot.delivery.rate_limit import RateLimiter
from bot.delivery.sender import Sender
from bot.delivery.training_progress import TrainingProgress
from bot.expiry import end_overdue_jobs
from bot.http.api import Api
from bot.http.callers import Callers
from bot.http.connections import AcceptErrorLogger, Connections
from bot.http.listening import explain_listen_error
from bot.http.page import Site
from bot.http.pending import PendingRequests
from bot.http.server import Probes, Webhook, application
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.submission import Submitter
from bot.updates.handlers import Handlers
from bot.updates.polling import UpdatePoller
from bot.updates.reading import UPDATE_KINDS
from bot.views.drawing import load_draw
from engine.contract.queue.acceptance import Limits
from engine.contract.queue.retry import sleep_unless
from engine.contract.queue.store import Queue, connect
from engine.contract.settings import SettingError

log = logging.getLogger("bot")

BEST_EFFORT_SECONDS = 10.0
"""Time limit of a best-effort call."""
HTTP_DRAIN_SECONDS = 6.0
"""How long HTTP requests in progress may take after a signal."""


class App:
    """One bot process. ``run`` returns after ``stop``, when everything has drained."""

    def __init__(self, settings: BotSettings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._listening: asyncio.Server
        self._redis = connect(settings.redis_url)
        self._queue = Queue(self._redis, settings.key_prefix)
        self._blocklist = Blocklist.load(settings.blocklist_file)
        self._metrics = Metrics()
        self._pending = PendingRequests(self._queue, self._metrics)
        self._submitter = Submitter(
            self._queue,
            self._blocklist,
            Limits(settings.user_per_minute, settings.user_per_day),
            settings.job_deadline,
            settings.queue_max,
        )
        secret = settings.webhook_secret
        self._webhook = Webhook(secret.get_secret_value(), self._metrics) if settings.webhook_url and secret else None

        self._connection_probe: BotApiRequest | None = None
        """The client whose last call tells whether Telegram can be reached; None until the bot has connected."""

    def _telegram_state(self) -> Literal["off", "connecting", "on"]:
        if self._settings.telegram_bot_token is None:
            return "off"
        return "on" if self._connection_probe is not None and self._connection_probe.reached else "connecting"

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Raises PortTakenError; SettingError if Telegram refuses the token or HTTP_HOST is another machine's."""
        runner = await self._listen()
        answering = asyncio.create_task(self._pending.run())
        sweeping = asyncio.create_task(end_overdue_jobs(self._queue, 2 * self._settings.lease, self._stopping))
        recording = record_daily_counts(self._metrics, self._queue.daily_counts, self._stopping)
        running = [asyncio.create_task(recording)]
        if self._settings.telegram_bot_token is None:
            log.info("no TELEGRAM_BOT_TOKEN: serving HTTP only")
        else:
            running.append(asyncio.create_task(self._telegram(self._settings.telegram_bot_token.get_secret_value())))
        try:
            await self._until_stopped(answering, sweeping, *running)
        finally:
            self._stopping.set()
            self._listening.close()
            await runner.cleanup()
            # Cancel as well, to end at once; `stop` alone must do, because redis-py may swallow CancelledError.
            self._pending.stop()
            answering.cancel()
            sweeping.cancel()
            results = await asyncio.gather(answering, sweeping, *running, return_exceptions=True)
            await self._redis.aclose()
        log.info("bot stopped")
        for result in results:
            if isinstance(result, RedisError):
                log.warning("stopped without Redis: %s", result)
            elif isinstance(result, Exception):
                raise result

    async def _until_stopped(self, *tasks: asyncio.Task[None]) -> None:
        """Wait until ``stop`` is called or one of the tasks ends."""
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    async def _listen(self) -> web.AppRunner:
        callers = Callers(self._settings.trusted_proxies, self._settings.site_names)
        api = Api(self._submitter, self._queue.cards, self._pending, self._blocklist, self._metrics, callers)
        site = Site(api, self._queue.chats, load_draw())
        probes = Probes(self._queue, self._metrics, self._telegram_state)
        app = application(api, probes, site, self._webhook)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=HTTP_DRAIN_SECONDS)
        await runner.setup()
        host, port = self._settings.http_host, self._settings.http_port
        assert runner.server is not None
        loop = asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(Connections(runner.server, callers), host, port)
        except OSError as error:
            await runner.cleanup()
            await self._redis.aclose()
            raise explain_listen_error(error, host, port) from error
        for socket in self._listening.sockets:
            log.info("HTTP on http://%s:%s", *socket.getsockname()[:2])
        return runner

    async def _telegram(self, token: str) -> None:
        settings = self._settings
        # Separate connection pools, so that best-effort calls never delay poems.
        requests = updates, calls, spare = BotApiRequest(1), BotApiRequest(64), BotApiRequest(16, BEST_EFFORT_SECONDS)
        bot = Bot(token, settings.telegram_base_url, request=calls, get_updates_request=updates)
        best_effort = BestEffortSender(
            Bot(token, settings.telegram_base_url, request=spare, get_updates_request=updates)
        )
        draw = load_draw()
        packer = Packer(self._queue, bot, self._blocklist, best_effort, draw)
        sender = Sender(bot, RateLimiter(), self._metrics, settings.reply_deadline)
        outbox = Outbox(self._queue, packer, sender, self._metrics, settings.lease)
        try:
            name = await self._connect(bot)
            if name is None:
                return
            self._connection_probe = calls if self._webhook else updates
            self._connection_probe.reached = True
            menu = CommandMenu(best_effort, settings.admin_ids)
            drawn = draw is not None
            handlers = Handlers(
                self._submitter, best_effort, name, bot.id, menu, self._metrics, drawn, has_inline_mode(bot)
            )
            menu.publish()
            sending = asyncio.create_task(outbox.run())
            ended = asyncio.Event()
            reporters = TrainingProgress(self._queue, bot), QueueNotices(self._queue, best_effort)
            reporting = [asyncio.create_task(reporter.run(ended)) for reporter in reporters]
            poller = UpdatePoller(updates, bot.base_url, handlers.handle, self._metrics)
            reading = asyncio.create_task(self._read(poller, handlers))
            await self._until_stopped(sending, reading)
            await _cancel(reading)
            ended.set()
            outbox.stop()
            await asyncio.gather(sending, *reporting)
            await best_effort.stop()
        finally:
            for request in requests:
                await request.shutdown()

    async def _read(self, poller: UpdatePoller, handlers: Handlers) -> None:
        if self._webhook is None:
            await poller.run(self._stopping)
        else:
            self._webhook.open(handlers.handle)
            await self._stopping.wait()

    async def _connect(self, bot: Bot) -> str | None:
        """Retry until connected to Telegram. Returns the bot's user name; None: ``stop`` was called first."""
        wait = 0.5
        while not self._stopping.is_set():
            try:
                await bot.initialize()
                await self._set_up_updates(bot)
            except InvalidToken as error:
                raise SettingError(
                    "TELEGRAM_BOT_TOKEN is refused by Telegram: use the one BotFather gave you."
                ) from error
            except TelegramError as error:
                log.warning("Telegram: %s; next attempt in %.1f s", error, wait)
            else:
                log.info("connected to Telegram as @%s", bot.username)
                return bot.username
            await sleep_unless(self._stopping, wait)
            wait = min(2 * wait, 30.0)
        return None

    async def _set_up_updates(self, bot: Bot) -> None:
        settings = self._settings
        if settings.webhook_url is None or settings.webhook_secret is None:
            await self._leave_webhook(bot)
            return
        url = settings.webhook_url
        if url.count("/") < 3 or url.endswith("/"):
            url = f"{url.rstrip('/')}/telegram"
        await bot.set_webhook(
            url, secret_token=settings.webhook_secret.get_secret_value(), allowed_updates=UPDATE_KINDS
        )

    async def _leave_webhook(self, bot: Bot) -> None:
        """Raises SettingError if polling would delete the webhook of another bot."""
        url = urlsplit((await bot.get_webhook_info()).url)
        if not any(url):
            return
        if not self._settings.delete_webhook:
            raise SettingError(
                f"Telegram sends this bot's updates to a webhook at {_safe_host(url.hostname)}: set WEBHOOK_URL and "
                "WEBHOOK_SECRET to receive them there, or DELETE_WEBHOOK=true to remove it and poll."
            )
        await bot.delete_webhook()
        log.warning("deleted the webhook at %s, because DELETE_WEBHOOK is set", _safe_host(url.hostname))


def _safe_host(host: str | None) -> str:
    return host if host is not None and re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", host) else "another address"


async def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task; if it has already ended, raise its exception."""
    if not task.cancel():
        task.result()
    await asyncio.gather(task, return_exceptions=True)


async def run_bot(settings: BotSettings) -> None:
    """Run until SIGTERM or Ctrl-C."""
    app = App(settings)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(AcceptErrorLogger())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop)
    await app.run()
