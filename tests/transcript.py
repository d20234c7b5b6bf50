"""``python -m tests.transcript [MESSAGE …]``: chats with the real programs, through the fake Bot API, printed.

The model is the released one, or that of ``MODEL_DIR``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.support.fake_bot_api import BOT_NAME, Sent
from tests.support.fake_telegram import FakeTelegram
from tests.support.programs import RunningProgram
from tests.support.stage import BOT, WORKER, stage

MESSAGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/start", {}),
    ("写一首春天的七绝", {}),
    ("/poem 七绝 思乡", {}),
    ("write a poem about autumn", {"language": "en"}),
    ("寫一首藏頭詩：春風十里", {"language": "zh-hant"}),
    ("老夫聊发少年狂，左牵黄，右擎苍", {}),
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
    ("今天天气真好", {}),
)


QUEUE = 40
"""Poems requested at once, so that some users wait."""


async def main(messages: list[str], model: str) -> None:
    async with (
        stage(MODEL_DIR=model) as here,
        here.program("worker", *WORKER) as worker,
        here.program("bot", *BOT),
    ):
        await here.ready()
        for number, (text, options) in enumerate([(m, {}) for m in messages] or list(MESSAGES)):
            where = {"chat": 100 + number} | options
            await here.telegram.write(text, **where)
            [sent] = await here.telegram.messages(1, where["chat"])
            print(f"> {text}\n\n{shown(sent)}\n")
        if not messages:
            for language in LANGUAGES:
                await pleasures(here.telegram, language)
            await queue(here.telegram, worker)
            for scope, commands in sorted(here.telegram.menus.items(), key=str):
                print(f"commands {scope}:\n  " + "\n  ".join(commands))


LANGUAGES = {"zh-hans": (201, "明月清风"), "zh-hant": (202, "長安古道"), "en": (203, "山高水长")}


async def pleasures(telegram: FakeTelegram, language: str) -> None:
    """Buttons, an examination, the language and inline mode, for one user."""
    chat, heads = LANGUAGES[language]
    print(f"======== {language}\n")

    async def write(text: str, **more: Any) -> Sent:
        before = len(telegram._to(chat))
        await telegram.write(text, chat=chat, user=chat, language=language, **more)
        sent = (await telegram.messages(before + 1, chat))[-1]
        print(f"> {text}\n\n{shown(sent)}\n")
        return sent

    async def press(sent: Sent, place: int, wait: str = "") -> str:
        """Press the button at ``place`` and show what comes of it."""
        _, markup = telegram.shown[sent.inline or sent.number]
        label = list(Sent(0, "", None, None, markup=markup).buttons)[place]
        before = len(getattr(telegram, wait)) if wait else 0
        answer = await telegram.answered(await telegram.press(sent, label, user=chat, language=language))
        print(f"> [{label}]  {answer.get('text', '')}".rstrip())
        if wait:
            await telegram.until(lambda: len(getattr(telegram, wait)) > before)
            print(f"\n{shown(getattr(telegram, wait)[-1])}\n")
        else:
            await telegram.until(lambda: telegram.shown[sent.inline or sent.number][1] != markup)
            again = Sent(0, "", None, None, markup=telegram.shown[sent.inline or sent.number][1])
            print(f"  {' '.join(f'[{name}]' for name in again.buttons)}")
        return label

    poem = await write("空山新雨后，天气晚来秋")
    await press(poem, 0, "sent")
    await press(poem, 1)
    await press(poem, 0, "sent")
    await press(poem, 2)
    await press(poem, 1, "sent")
    if len(poem.buttons) == 5:
        await press(poem, 3, "photos")
        await telegram.answered(await telegram.press(poem, list(poem.buttons)[3], user=chat, language=language))
    old = await telegram.answered(await telegram.press_data(poem, "another:1-0", user=chat, language=language))
    print(f"> [an old button]  {old['text']}\n")
    me = {"id": 123456, "is_bot": True, "first_name": "诗", "username": BOT_NAME}
    replied = {"message_id": poem.number, "date": 1, "chat": {"id": chat, "type": "private"}, "from": me}
    await write("/check", extra={"reply_to_message": replied | {"text": poem.plain}})
    await write("/check 春江潮水连海平，海上明月共潮生。滟滟随波千万里，何处春江无月明。")
    await write("/check")
    await write("你好")
    await write("/cancel")
    asked = await write("/language")
    label = list(asked.buttons)[list(LANGUAGES).index(language)]
    answer = await telegram.answered(await telegram.press(asked, label, user=chat, language=language))
    print(f"> [{label}]  {answer['text']}\n")
    results = await telegram.type_inline(heads, user=chat, language=language)
    print(f"> @{BOT_NAME} {heads}\n")
    for result in results:
        print(f"  {result['title']} | {result['description']}")
    sent = await telegram.choose(results[0], heads, user=chat, language=language)
    print(f"\n{shown(sent)}\n")
    if not results[0]["id"].startswith("r"):
        await telegram.until(lambda: any(edit.inline == sent.inline for edit in telegram.edits))
        print(f"(edited)\n{shown(telegram.edits[-1])}\n")
    await press(sent, 0, "edits")


async def queue(telegram: FakeTelegram, worker: RunningProgram) -> None:
    """Many requests at once while the worker is suspended; then it continues."""
    print("======== a queue\n")
    os.kill(worker.pid, signal.SIGSTOP)
    for number in range(QUEUE):
        language = ("zh-hans", "zh-hant", "en")[number % 3]
        await telegram.write("/acrostic 春风十里", chat=300 + number, user=300 + number, language=language)
    await telegram.until(lambda: len(telegram.hushed) > 2)
    await telegram.write("/cancel", chat=301, user=301, language="zh-hant")
    [sent] = await telegram.messages(1, 301)
    print(f"typing in {len({chat for chat, _, _ in telegram.actions})} chats\n> /cancel\n\n{shown(sent)}\n")
    os.kill(worker.pid, signal.SIGCONT)
    await telegram.until(lambda: len({sent.chat for sent in telegram.sent if sent.chat >= 300}) == QUEUE)
    await telegram.until(lambda: len(telegram.deleted) == len(telegram.hushed))
    for notice in telegram.hushed[:6]:
        edits = [edit.plain for edit in telegram.edits if edit.number == notice.number]
        print(f"{notice.chat}: " + "\n  then: ".join([notice.plain, *edits, "(deleted)"]))
    print()


def shown(sent: Sent) -> str:
    buttons = " ".join(f"[{label}]" for label in sent.buttons)
    return f"{sent.plain}\n{buttons}".strip()


if __name__ == "__main__":
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    folder = os.environ.get("MODEL_DIR")
    asyncio.run(main(sys.argv[1:], str(Path(folder).absolute()) if folder else ""))
