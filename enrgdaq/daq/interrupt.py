"""Ends a ``start()`` that does not look at ``stopping``: an exception in the main thread."""

import signal
import threading
from types import FrameType, TracebackType

from enrgdaq.daq.models import DAQJobStopError


class Interrupt:
    """Raises :class:`DAQJobStopError` in the main thread, wherever that is.

    Held off while the main thread publishes: what was half done there is finished first, and
    a put that waits for room ends by itself.
    """

    def __init__(self) -> None:
        self._is_armed = False
        self._holders = 0
        self._main = threading.main_thread().ident

    def arm(self) -> None:
        """From now on :meth:`strike` interrupts. Call in the main thread."""
        signal.signal(signal.SIGUSR1, self._on_signal)
        self._is_armed = True

    def disarm(self) -> None:
        """The job's work is over; its clean-up is not interrupted."""
        self._is_armed = False

    def strike(self) -> None:
        """Interrupt the main thread, unless it publishes; from any other thread."""
        if self._is_armed and not self._holders and self._main is not None:
            signal.pthread_kill(self._main, signal.SIGUSR1)

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._holders += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if threading.get_ident() == self._main:
            self._holders -= 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_armed and not self._holders:
            raise DAQJobStopError("told to stop")
