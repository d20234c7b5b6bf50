"""The number of CPU cores this process may use."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cores(cgroup: Path = CGROUP) -> int:
    """The cores available to this process; fewer if its container has a CPU limit (cgroup v2 or v1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _limit(cgroup)
    return cores if limit is None else max(1, min(cores, math.ceil(limit)))


def thread_count(text: str) -> int:
    """Parse a number of threads. ValueError: not a number, or more than this machine has cores."""
    most = os.cpu_count() or 1
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= most:
        raise ValueError(f"must be a whole number from 1 to {most}, the cores of this machine")
    return number


def threads_argument(text: str) -> int:
    """``thread_count`` for a command line."""
    try:
        return thread_count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _limit(cgroup: Path) -> float | None:
    """The container's CPU limit in cores; None: no limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text("ascii").strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text("ascii").strip()
        except (OSError, ValueError):
            return None
    return int(quota) / int(period) if quota.isdecimal() and int(period) else None
