"""``python -m tests.transcript [MESSAGE …]``: a chat with the real programs, through the fake Bot API, printed.

The model is the released one, or that of ``MODEL_DIR``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from tests.fake_telegram import BOT_NAME
from tests.stage import BOT, WORKER, stage

MESSAGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/start", {}),
    ("/continue 老夫聊发少年狂", {}),
    ("/continue 七绝 月落乌啼霜满天 | 欲穷千里目，更上一层楼", {}),
    ("/continue 明月几时有，把酒问青天", {}),
    ("/acrostic 春风十里", {}),
    ("/acrostic 七言 夜月一帘幽梦 | 大漠孤烟直", {}),
    ("/acrostic 長安一片月", {"language": "zh-hant"}),
    (f"/acrostic@{BOT_NAME} 春江花月夜", {"chat": -100, "kind": "supergroup", "topic": 5}),
    ("/continue", {}),
    ("/continue hello", {"language": "en"}),
    ("/continue 五绝 七个字的句子啊", {}),
    ("/continue 六绝 床前明月光", {}),
    ("/acrostic 支那猪", {}),
    ("/retrain 1", {}),
    ("/privacy", {"language": "en"}),
    ("你好", {}),
)


async def main(messages: list[str], model: str) -> None:
    async with (
        stage(MODEL_DIR=model) as here,
        here.program("worker", *WORKER),
        here.program("bot", *BOT),
    ):
        await here.ready()
        for number, (text, options) in enumerate([(m, {}) for m in messages] or list(MESSAGES)):
            where = {"chat": 100 + number} | options
            await here.telegram.write(text, **where)
            [sent] = await here.telegram.messages(1, where["chat"])
            print(f"> {text}\n\n{sent.text}\n")


if __name__ == "__main__":
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    folder = os.environ.get("MODEL_DIR")
    asyncio.run(main(sys.argv[1:], str(Path(folder).absolute()) if folder else ""))
