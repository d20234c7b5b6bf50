"""``python -m bot.standalone``: the launcher. Ctrl-C ends it without a traceback, also while it is still importing."""

from __future__ import annotations

import sys


def main() -> int:
    try:
        from bot.standalone.launcher import main as launch

        return launch()
    except KeyboardInterrupt:
        print("all stopped", flush=True)
        return 0


if __name__ == "__main__":
    sys.exit(main())
