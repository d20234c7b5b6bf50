"""The only place that loads Paddle, after setting what its CPU build needs."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, Literal, get_args

from engine.model.cpu import available_cores

DeviceChoice = Literal["auto", "cpu", "gpu"]
DEVICE_CHOICES: tuple[DeviceChoice, ...] = get_args(DeviceChoice)


INSTALL_HINT = "training needs: pip install -c constraints.txt -e '.[train]'"


class PaddleMissingError(Exception):
    """Paddle cannot be used as requested; the message says what to install or choose."""


def import_paddle(threads: int | None = None) -> Any:
    """Import Paddle, ready for this processor, and return the module.

    ``threads``: number of compute threads; None: all available cores. It only matters for the first import in a
    process. Environment variables set by the user are kept.
    """
    if "paddle" not in sys.modules:
        prepare_environment(os.environ, _cpu_info(), threads or available_cores())
    try:
        # While loading, Paddle warns about OpenMP threads (meant for OpenBLAS builds) and about a compiler cache;
        # neither matters here.
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _own_signals():
                return importlib.import_module("paddle")
    except ImportError as error:
        raise PaddleMissingError(
            f"Paddle cannot be imported ({error}); {INSTALL_HINT}; on a GPU the extra gpu or train-gpu brings it"
        ) from error


def prepare_environment(environment: MutableMapping[str, str], cpu_info: str, threads: int) -> None:
    """Set environment variables that Paddle's CPU wheels read while loading, unless the user has.

    They bundle an old MKL, which uses one thread unless OMP_NUM_THREADS is set, and a slow path on AMD processors
    unless told to use AVX2 (PaddlePaddle/Paddle#75760): together 5 to 6 times slower. ``cpu_info``: the text of
    ``/proc/cpuinfo``, or an empty string.
    """
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    if "AuthenticAMD" in cpu_info and "avx2" in cpu_info:
        environment.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def choose_device(choice: DeviceChoice, paddle: Any) -> str:
    """Make ``auto``, ``cpu`` or ``gpu`` Paddle's device and return its name there (``cpu``, ``gpu:0``).

    PaddleMissingError: a GPU is requested and this build of Paddle cannot use one or sees none.
    """
    has_gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if choice == "gpu" and not has_gpu:
        raise PaddleMissingError("no GPU that Paddle can use; choose --device cpu, or install Paddle's GPU build")
    name = "gpu:0" if has_gpu and choice != "cpu" else "cpu"
    paddle.set_device(name)
    return name


def gpu_ready() -> bool:
    """Whether Paddle's GPU build is installed and sees a GPU; does not import the CPU build to find out."""
    try:
        importlib.metadata.distribution("paddlepaddle-gpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    paddle = import_paddle()
    return bool(paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the program's SIGTERM handler, which Paddle would replace by one that prints a stack and exits."""
    handler = signal.getsignal(signal.SIGTERM)
    fresh = "paddle" not in sys.modules
    yield
    if fresh:
        sys.modules["paddle"].disable_signal_handler()
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _cpu_info() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""
