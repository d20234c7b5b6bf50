"""``python -m bot``: the bot and its HTTP server."""

from __future__ import annotations

import asyncio
import os
import sys

from engine.contract.arguments import ArgumentParser
from engine.contract.logs import set_up
from engine.contract.settings import SettingError


def main() -> int:
    """Exit code 0: stopped by SIGTERM or Ctrl-C, 1: environment error, 2: invalid setting."""
    ArgumentParser(
        prog="python -m bot",
        description="The Telegram bot and its HTTP server. All settings come from the environment or a .env file.",
        epilog="Example: TELEGRAM_BOT_TOKEN=123456:ABC-def REDIS_URL=redis://127.0.0.1:6379 python -m bot",
    ).parse_args()
    # Otherwise python-telegram-bot warns of a future change of types at every "too many requests".
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    from bot.app import run_bot
    from bot.http.listening import PortTakenError
    from bot.settings import BotSettings

    try:
        settings = BotSettings.read(os.environ)
        set_up(settings.log_level, settings.log_format)
        asyncio.run(run_bot(settings))
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except PortTakenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
