"""Checks one job while the supervisor's loop goes on turning."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

from enrgdaq.supervisor.check import (
    LARGEST,
    LONGEST_IMPORT_SECONDS,
    START_SECONDS,
    fork_check,
    hangs,
    request_for,
    result_of,
)
from enrgdaq.supervisor.config import JobFile
from enrgdaq.supervisor.facts import CheckResult
from enrgdaq.supervisor.loop import Loop
from enrgdaq.supervisor.spawner import Spawner


class CheckAside:
    """One check in a process of its own; ``done`` is called once, from the loop.

    Raises ``ValueError`` for a file that is too large, and
    :class:`~enrgdaq.errors.TransportError` when no process can be started.
    """

    def __init__(
        self,
        job: JobFile,
        spawner: Spawner,
        loop: Loop,
        done: Callable[[CheckResult], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = job
        self._request = request_for(job)
        self._loop = loop
        self._done = done
        self._clock = clock
        self._pid = 0
        self._channel, self._pipes = fork_check(spawner)
        self._channel.setblocking(False)
        self._deadline = clock() + START_SECONDS
        self._descriptor = self._channel.fileno()
        loop.watch(self._descriptor, self._hear)

    def tick(self) -> None:
        """Give up on a file whose import hangs."""
        if self._clock() >= self._deadline:
            if self._pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
            self._end(hangs(self._job, LONGEST_IMPORT_SECONDS))

    def close(self) -> None:
        """Let go of the process, which ends by itself; idempotent."""
        self._loop.forget(self._descriptor)
        self._channel.close()
        self._pipes.close()

    def _hear(self) -> None:
        try:
            data = self._channel.recv(LARGEST)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data and not self._pid:
            self._pid = int(data)
            self._deadline = self._clock() + LONGEST_IMPORT_SECONDS
            with contextlib.suppress(ConnectionError):
                self._channel.send(self._request)
            return
        self._end(result_of(self._job, data, self._pipes))

    def _end(self, result: CheckResult) -> None:
        self.close()
        self._done(result)
