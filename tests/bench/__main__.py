"""``make bench``: every figure of docs/performance.md but those of growth. The last line is JSON.

Each bench is a process of its own, for what one framework has set up must not be another's handicap.
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
