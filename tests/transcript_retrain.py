"""``python -m tests.transcript_retrain [EPOCHS [EDITS]]``: a retraining from the chat with the real programs, printed.

Prints every message, edit and picture that the fake Bot API receives, with the seconds since the order. After
``MAX_EDITS`` edits (0: never) the training is cancelled. ``TRAIN_DIR`` and ``MODEL_DIR`` are used if set; the picture
is written to ``loss.png`` in TRAIN_DIR.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from bot.standalone.redis_server import RedisServer
from engine.contract.queue.store import Queue, connect
from tests.support.fake_bot_api import TOKEN
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import answers, free_port, program
from tests.support.waiting import until

ADMIN = 42


async def main(epochs: str, edits: int, home: Path, model: str) -> None:
    telegram = FakeTelegram()
    await telegram.start()
    with tempfile.TemporaryDirectory(prefix="poem-retrain-") as folder:
        store = RedisServer(Path(folder) / "store")
        store.start()
        port = free_port()
        environ = {
            "REDIS_URL": store.url,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_BASE_URL": telegram.base_url,
            "HTTP_PORT": str(port),
            "ADMIN_IDS": str(ADMIN),
            "TRAIN_DIR": str(home),
            "MODEL_DIR": model,
            "USER_PER_MINUTE": "0",
        }
        log = Path(folder) / "programs.log"
        redis = connect(store.url)
        trainings = Queue(redis, "poem:").trainings

        async def trainer_lives() -> bool:
            return await trainings.trainers.alive() > 0

        try:
            async with (
                program(log, "-m", "engine", "--device", "cpu", environ=environ),
                program(log, "-m", "train", "worker", environ=environ),
                program(log, "-m", "bot", environ=environ),
            ):
                await answers(f"http://127.0.0.1:{port}/readyz")
                await until(trainer_lives)
                await _order(telegram, f"/retrain {epochs}", edits)
                if curve := await trainings.curve():
                    (home / "loss.png").write_bytes(curve)
                before = len(telegram.sent)
                await telegram.write("/model", user=ADMIN)
                await telegram.until(lambda: any("/model use" in sent.plain for sent in telegram.sent[before:]))
                print(f"> /model\n\n{telegram.sent[-1].plain}")
        finally:
            print(log.read_text("utf-8", errors="replace"), file=sys.stderr)
            await redis.aclose()
            store.stop()
            await telegram.stop()


async def _order(telegram: FakeTelegram, text: str, edits: int) -> None:
    """Send the order and print the messages about it until its end."""
    began = time.monotonic()
    print(f"> {text}\n", flush=True)
    await telegram.write(text, user=ADMIN)
    shown = {"sent": 0, "edited": 0, "picture": 0}
    asked = False
    while True:
        for kind, messages in (("sent", telegram.sent), ("edited", telegram.edits), ("picture", telegram.photos)):
            for message in messages[shown[kind] :]:
                print(f"[{time.monotonic() - began:.0f} s, {kind}]\n{message.plain}\n", flush=True)
            shown[kind] = len(messages)
        if edits and shown["edited"] >= edits and not asked:
            asked = True
            print("> /retrain cancel\n", flush=True)
            await telegram.write("/retrain cancel", user=ADMIN)
        last = telegram.edits[-1].plain if telegram.edits else ""
        if telegram.photos or "已取消" in last or "失败" in last:
            return
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    words = (*sys.argv[1:], *("1", "0")[len(sys.argv) - 1 :])
    given = os.environ.get("MODEL_DIR")
    where = Path(os.environ.get("TRAIN_DIR") or "runs").absolute()
    asyncio.run(main(words[0], int(words[1]), where, str(Path(given).absolute()) if given else ""))
