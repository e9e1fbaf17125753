"""The broker's process: started, and started again when it ends."""

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from enrgdaq.errors import TransportError
from enrgdaq.supervisor.spawner import Pipes, Spawner

_DELAY_SECONDS: Final = 0.5
_OWN_PAUSE_SECONDS: Final = 3.0  # between two looks: a supervisor that was itself suspended
_LOG = logging.getLogger(__name__)


class BrokerProcess:
    """Keeps one broker running. Data does not need it; telemetry pauses while it is away."""

    def __init__(self, runtime: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._runtime = runtime
        self._clock = clock
        self._pid: int | None = None
        self._number = 0
        self._due: float | None = clock()
        self._pipes: Pipes | None = None
        self._heard_at = self._looked_at = clock()

    def tend(self, spawner: Spawner) -> None:
        """Start it, when that is due."""
        if self._due is None or self._clock() < self._due:
            return
        self._due = None
        try:
            self._start(spawner)
        except (TransportError, OSError) as error:
            # Out of descriptors, or the forkserver died this very moment.
            self._due = self._clock() + _DELAY_SECONDS
            _LOG.error("the broker cannot be started now: %s", error)

    def heard(self) -> None:
        """Something has come through it."""
        self._heard_at = self._clock()

    def look(self, *, is_used: bool, limit_seconds: float) -> None:
        """End a broker that lets nothing through. Call once a second.

        ``is_used``: jobs run, which say something each second.
        """
        now, last = self._clock(), self._looked_at
        self._looked_at = now
        if not is_used or self._pid is None or now - last > _OWN_PAUSE_SECONDS:
            self._heard_at = now
        elif now - self._heard_at > limit_seconds:
            self._heard_at = now
            _LOG.error("the broker hangs: nothing came through it for %g s", limit_seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _start(self, spawner: Spawner) -> None:
        # The broker has nothing to say; the channel only keeps the forkserver's protocol one.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.close()
        runtime = str(self._runtime).encode()
        self._number, self._pipes = spawner.fork("broker", "broker", runtime, theirs)

    def forked(self, number: int, pid: int) -> None:
        """The forkserver says which process a request became."""
        if number == self._number:
            self._pid = pid

    def ended(self, pid: int) -> bool:
        """The forkserver says that a process ended; whether it was the broker."""
        if pid != self._pid:
            return False
        self.lost()
        return True

    def lost(self) -> None:
        """It is gone; the next one starts after a moment."""
        if self._pipes is not None:
            self._pipes.close()
            self._pipes = None
        self._pid = None
        self._due = self._clock() + _DELAY_SECONDS
