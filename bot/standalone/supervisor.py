"""Keeps programs running: one that dies is restarted after a pause, which grows while it keeps dying."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from engine.contract.child_process import die_with_parent, read_lines
from engine.contract.queue.retry import sleep_unless

FIRST_PAUSE_SECONDS, MAX_RESTART_PAUSE_SECONDS = 0.5, 30.0
"""Pause before a restart, doubling each time."""
EARLY_EXIT_SECONDS, EARLY_KILL_SECONDS = 10.0, 2.0
"""Runs shorter than this count as early exits. SIGKILL comes from outside, for example when memory runs out, so after
one only a very short run counts."""
SETTLED_SECONDS = 60.0
"""After running this long a program is restarted with the first pause again."""
MAX_EARLY_EXITS = 5
STOP_SECONDS = 15.0
"""How long a program may take to stop before it is killed."""
SETTING_EXIT_CODE = 2
"""Exit code of a program with invalid settings; restarting it would not help."""
MAX_LINE_BYTES = 1 << 16
"""Longer output lines are split, in bytes."""
LAST_OUTPUT_SECONDS = 2.0


class FailedError(Exception):
    """Ends the launcher: one sentence for the terminal, and the exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


class SupervisedService(Protocol):
    """A service that can be supervised. ``start`` raises FailedError."""

    name: str

    async def start(self) -> None: ...

    async def ended(self) -> int:
        """Wait until it has ended; returns its exit code, negative for a signal. A service never started has ended."""
        ...

    async def stop(self, hurry: asyncio.Event) -> None: ...


def print_line(name: str, line: str) -> None:
    """Print a program's output line; a closed terminal is ignored."""
    with contextlib.suppress(OSError):
        print(f"{name:<7} | {line}", flush=True)


class RestartPolicy:
    """Decides how long to wait before a restart."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS
        self._early_exits = 0

    def pause_after(self, uptime: float, code: int) -> float | None:
        """Seconds; None: too many early exits in a row. ``uptime``: seconds from start to end."""
        shortest = EARLY_KILL_SECONDS if code == -signal.SIGKILL else EARLY_EXIT_SECONDS
        self._early_exits = self._early_exits + 1 if uptime < shortest else 0
        if self._early_exits >= MAX_EARLY_EXITS:
            return None
        if uptime >= SETTLED_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        pause, self._pause = self._pause, min(2 * self._pause, MAX_RESTART_PAUSE_SECONDS)
        return pause


class ServiceKeeper:
    """Keeps one service running until ``stop``. ``task`` fails with FailedError if the service keeps failing."""

    def __init__(self, service: SupervisedService, hurry: asyncio.Event) -> None:
        self.service = service
        self.task: asyncio.Task[None] | None = None
        self._hurry = hurry
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Raises FailedError if the first start fails."""
        await self.service.start()
        self.task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Stop the service; a failure of its keeper is ignored."""
        self._stopping.set()
        if self.task is not None:
            await asyncio.gather(self.task, return_exceptions=True)

    async def _keep(self) -> None:
        service, restarts = self.service, RestartPolicy()
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            code = await self._wait_for_exit()
            if code is None:
                await service.stop(self._hurry)
                return
            ended = _describe_exit(code)
            if code == SETTING_EXIT_CODE:
                raise FailedError(f"The {service.name} {ended}: see the reason above.", SETTING_EXIT_CODE)
            pause = restarts.pause_after(clock() - began, code)
            if pause is None:
                raise FailedError(
                    f"The {service.name} {ended} at once {MAX_EARLY_EXITS} times in a row; see the reason above."
                )
            print_line(service.name, f"{ended}; restarting in {pause:g} s")
            await sleep_unless(self._stopping, pause)
            if self._stopping.is_set():
                return
            try:
                await service.start()
            except FailedError as error:
                print_line(service.name, str(error))

    async def _wait_for_exit(self) -> int | None:
        """Wait for the service to end; returns its exit code, or None if it is to be stopped before."""
        ended, stopping = asyncio.create_task(self.service.ended()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._stopping.is_set():
            ended.cancel()
            return None
        return await ended


class Program:
    """``python WORDS``; its output lines are prefixed with its name."""

    def __init__(self, name: str, *arguments: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._arguments = arguments
        self._environ = {**environ, "PYTHONUNBUFFERED": "1"}
        self._process: asyncio.subprocess.Process | None = None
        self._printing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it in its own session, since Ctrl-C in the terminal is handled by the launcher."""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._arguments,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGTERM),
            )
        except OSError as error:
            self._process = None
            raise FailedError(f"The {self.name} could not be started: {error.strerror or error}.") from error
        assert process.stdout is not None
        self._printing = asyncio.create_task(self._print_output(process.stdout))

    async def ended(self) -> int:
        """Its exit code, after its last line has been shown."""
        if self._process is None or self._printing is None:
            return 1
        code = await self._process.wait()
        # A child it left behind may keep the pipe open; do not wait for that.
        await asyncio.wait([self._printing], timeout=LAST_OUTPUT_SECONDS)
        return code

    async def stop(self, hurry: asyncio.Event) -> None:
        """Terminate it and wait; kill it if it takes too long or ``hurry`` is set."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        ending, hurried = asyncio.create_task(self.ended()), asyncio.create_task(hurry.wait())
        done, _ = await asyncio.wait([ending, hurried], timeout=STOP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if ending not in done:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await ending

    async def _print_output(self, output: asyncio.StreamReader) -> None:
        async for line in read_lines(output, MAX_LINE_BYTES):
            print_line(self.name, line.decode(errors="replace").rstrip())


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
