"""Reports a training to the administrator who ordered it: one message that is edited as the
training proceeds, and a table with the loss curve at the end.

The message is remembered in Redis, so that a restarted bot continues with it. Of several bots only one reports. A bot
that dies between sending and remembering sends the message twice, as with poems.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from redis.exceptions import RedisError
from telegram import Bot, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError

from bot.bot_api import retry_after_seconds
from bot.views import admin_messages as texts
from bot.views.messages import as_language
from engine.contract.logs import origin
from engine.contract.queue.messages import Reply
from engine.contract.queue.models import Requester
from engine.contract.queue.retry import sleep_unless
from engine.contract.queue.store import Queue
from engine.contract.queue.training import FINAL_PHASES, Training

log = logging.getLogger("bot.delivery.training_progress")

TRAINING_POLL_SECONDS = 1.0
"""Interval between reads of the training's state."""
REPORTER_SECONDS = 10.0
"""Seconds after which another bot reports if this one stops responding."""
MIN_EDIT_SECONDS, EDIT_SHARE = 10.0, 0.1
"""Minimum pause between edits: in seconds, and as a share of the time the training has taken so far."""
REPORT_BACKOFF_SECONDS = (5.0, 300.0)
"""First and longest pause between attempts while Telegram fails."""
RELOAD_REPORT_SECONDS = 60.0
"""How long to wait for every worker to answer a request for another version; requests ten times as old are ignored."""


class EditSchedule:
    """Decides when to edit the message: at every change of state, and in between at growing intervals."""

    def __init__(self) -> None:
        self._training = ""
        self._state: object = None
        self._began = self._last = 0.0

    def due(self, training: Training, alive: bool, now: float) -> bool:
        """Whether to edit now; if so, the next pause starts now."""
        report = training.report
        state = (training.id, report.phase, report.interruptions, report.resumed, report.validation, alive)
        if training.id != self._training:
            self._training, self._began = training.id, now
        if state == self._state and now - self._last < max(MIN_EDIT_SECONDS, EDIT_SHARE * (now - self._began)):
            return False
        self._state, self._last = state, now
        return True


class TrainingProgress:
    """Runs beside the outbox."""

    def __init__(self, queue: Queue, bot: Bot) -> None:
        self._queue = queue
        self._trainings = queue.trainings
        self._bot = bot
        self._name = secrets.token_hex(6)
        self._schedule = EditSchedule()
        self._shown = ""

    async def run(self, stopping: asyncio.Event) -> None:
        """Report until ``stopping`` is set; retries while Redis or Telegram fail."""
        pause, longest = REPORT_BACKOFF_SECONDS
        while not stopping.is_set():
            wait = TRAINING_POLL_SECONDS
            try:
                if await self._trainings.become_reporter(self._name, REPORTER_SECONDS):
                    await self._report_training()
                    await self._report_reload()
                pause = REPORT_BACKOFF_SECONDS[0]
            except RetryAfter as error:
                wait = min(retry_after_seconds(error), longest)
            except RedisError as error:
                log.debug("Redis: %s", error)
            except TelegramError as error:
                log.warning("Telegram: %s; next attempt in %.0f s", error, pause)
                wait, pause = pause, min(2 * pause, longest)
            except Exception as error:
                log.error("reporting the training failed: %s", origin(error))
                wait = REPORT_BACKOFF_SECONDS[1]
            await sleep_unless(stopping, wait)

    async def _report_training(self) -> None:
        training = await self._trainings.current()
        if training is None or training.closed:
            return
        over = training.report.phase in FINAL_PHASES
        alive = over or await self._trainings.trainers.alive() > 0
        try:
            if training.message is None:
                await self._send_progress(training, alive)
            elif self._schedule.due(training, alive, time.monotonic()):
                await self._edit_progress(training, training.message, alive)
            if over:
                await self._send_result(training)
        except (Forbidden, BadRequest) as error:
            # Telegram refuses this chat or message for good, so retrying is pointless.
            log.warning("the training is no longer reported: %s", error)
            await self._trainings.close(training.id)

    async def _send_progress(self, training: Training, alive: bool) -> None:
        to = training.order.to
        text = _progress_text(training, alive)
        replying_to = None if to.message is None else ReplyParameters(to.message, allow_sending_without_reply=True)
        sent = await self._bot.send_message(to.chat, text, parse_mode=ParseMode.HTML, reply_parameters=replying_to)
        self._shown = text
        await self._trainings.shown_in(training.id, sent.message_id)
        self._schedule.due(training, alive, time.monotonic())

    async def _edit_progress(self, training: Training, message: int, alive: bool) -> None:
        text = _progress_text(training, alive)
        if text == self._shown:
            return
        try:
            await self._bot.edit_message_text(text, training.order.to.chat, message, parse_mode=ParseMode.HTML)
        except BadRequest as error:
            if "not modified" not in str(error).lower():
                log.warning("the message cannot be edited: %s", error)
        self._shown = text

    async def _send_result(self, training: Training) -> None:
        """Send the table and loss curve, if the training finished; otherwise its progress message is enough."""
        if training.report.phase == "done":
            chat, text = training.order.to.chat, texts.ending(training.report, as_language(training.order.language))
            curve = await self._trainings.curve()
            if curve is not None:
                await self._bot.send_photo(chat, curve, caption=text, parse_mode=ParseMode.HTML, filename="loss.png")
            else:
                await self._bot.send_message(chat, text, parse_mode=ParseMode.HTML)
        await self._trainings.close(training.id)

    async def _report_reload(self) -> None:
        """Report the outcome of a request for another model version once the workers have answered it."""
        models = self._queue.models
        desired = await models.desired()
        requester = None if desired is None else Requester.of(desired.by)
        if desired is None or requester is None:
            return
        age = await self._queue.now() - desired.at
        if age > 10 * RELOAD_REPORT_SECONDS:
            return
        serving = list((await models.serving()).values())
        answered = [each for each in serving if each.serial == desired.serial]
        if (serving and len(answered) == len(serving)) or age > RELOAD_REPORT_SECONDS:
            language = as_language(requester.language)
            text = texts.version_changed(desired, answered, language)
            # The idempotency key ensures that only one bot reports it.
            await self._queue.submit(Reply(requester.to, language, text), f"desired{desired.serial}")


def _progress_text(training: Training, alive: bool) -> str:
    return texts.progress(training.order, training.report, alive, as_language(training.order.language))
