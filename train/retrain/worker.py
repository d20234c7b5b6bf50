"""``python -m train worker``: executes admins' training orders from Redis.

Training runs in its own process (``train.retrain.job``), so that this one stays responsive, renews its lease, and
reports when the other is killed. If a trainer dies, the next one reclaims its order and continues from the last
checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from functools import partial

from engine.contract.codec import CodecError, decode_text
from engine.contract.logs import set_up
from engine.contract.queue.consumer import StreamConsumer
from engine.contract.queue.store import Queue, connect
from engine.contract.queue.stream import Delivery
from engine.contract.queue.training import FINAL_PHASES, Order
from engine.serving.shutdown import asked_to_stop, run_until
from train.retrain.context import TrainerContext, TrainOptions
from train.retrain.order import OrderExecution
from train.settings import TrainSettings

log = logging.getLogger("train.retrain.worker")

ORDER_READ_SECONDS = 0.5


class TrainingWorker(StreamConsumer):
    """One consumer of training orders."""

    def __init__(self, queue: Queue, settings: TrainSettings, options: TrainOptions) -> None:
        super().__init__(queue.trainings.orders)
        self._trainings = queue.trainings
        self._trainer = TrainerContext(self.name, queue, settings, options, self._stopping)
        self._beat_seconds, self._beat_ttl = min(2.0, settings.lease), max(10, round(3 * settings.lease))

    async def run(self) -> None:
        """Serve until ``stop`` is called; retries while Redis is unavailable."""
        await self._persist(self._stream.prepare)
        async with self._consuming((self._beat_seconds, self._beat)):
            while not self._stopping.is_set():
                delivery = await self._persist(self._next)
                if delivery is not None:
                    await self._serve(delivery)

    async def _leave(self) -> None:
        await self._trainings.trainers.leave(self.name)
        await super()._leave()

    async def _next(self) -> Delivery | None:
        if (orphan := await self._stream.reclaim(self.name, self._trainer.lease)) is not None:
            return orphan
        return next(iter(await self._stream.take(self.name, 1, ORDER_READ_SECONDS)), None)

    async def _serve(self, delivery: Delivery) -> None:
        """Execute an order. If told to stop meanwhile, it is left for the next trainer."""
        try:
            order = decode_text(Order, delivery.fields["body"])
        except (CodecError, KeyError) as error:
            log.error("unreadable: %s", error, extra={"job": delivery.id})
            await self._persist(partial(self._stream.finish, delivery.id))
            return
        report = await OrderExecution(self._trainer, delivery.id, order).execute(reclaimed=delivery.redeliveries > 0)
        if report.phase not in FINAL_PHASES:
            return
        # Report before finishing, so that no order disappears without a report.
        if await self._persist(partial(self._trainings.report, delivery.id, report)):
            await self._persist(partial(self._stream.finish, delivery.id))
        log.info("%s %s", report.phase, report.failure or report.version, extra={"job": delivery.id})
        shutil.rmtree(self._trainer.run_folder(delivery.id), ignore_errors=True)

    async def _beat(self) -> None:
        await self._trainings.trainers.beat(self.name, self._beat_ttl)


async def serve_orders(settings: TrainSettings, options: TrainOptions) -> None:
    """Run a trainer until SIGTERM or Ctrl-C."""
    stop = asked_to_stop()
    redis = connect(settings.redis_url)
    worker = TrainingWorker(Queue(redis, settings.key_prefix), settings, options)
    log.info("trainer %s is ready", worker.name)
    await run_until(stop, worker, redis, log)
    log.info("trainer stopped")


def main(settings: TrainSettings, options: TrainOptions) -> None:
    set_up(settings.log_level, settings.log_format)
    asyncio.run(serve_orders(settings, options))
