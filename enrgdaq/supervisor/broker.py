"""The broker's process: started, and started again when it ends."""

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from enrgdaq.errors import TransportError
from enrgdaq.supervisor.spawner import Pipes, Spawner

_DELAY_SECONDS: Final = 0.5
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
