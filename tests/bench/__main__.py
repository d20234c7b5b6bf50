"""``make bench``: all figures of docs/performance.md except growth. The last line is JSON.

Each benchmark is a process of its own, so that the settings of one framework do not affect another.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

BENCHES = ("speed", "candidates", "training", "workers", "load")


def main() -> int:
    found: dict[str, Any] = {}
    for name in BENCHES:
        print(f"-- {name}", flush=True)
        run = subprocess.run(
            [sys.executable, "-m", f"tests.bench.{name}"], check=False, stdout=subprocess.PIPE, text=True
        )
        *said, last = run.stdout.splitlines() or [""]
        print("\n".join(said), flush=True)
        if run.returncode:
            print(f"{name} failed", file=sys.stderr)
            return 1
        found |= json.loads(last)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
