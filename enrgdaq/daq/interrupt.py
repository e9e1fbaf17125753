"""Ends a ``start()`` that does not look at ``stopping``: an exception in the main thread."""

import signal
import threading
from threading import get_ident
from types import FrameType, TracebackType
from typing import Final

from enrgdaq.daq.models import DAQJobStopError

_REASON: Final = "told to stop"


class Interrupt:
    """Raises :class:`DAQJobStopError` in the main thread, wherever that is.

    Put off while the main thread publishes: what was half done there is finished first, and
    a put that waits for room ends by itself.
    """

    def __init__(self) -> None:
        self._is_armed = False
        self._holders = 0
        self._was_put_off = False
        self._main = threading.main_thread().ident

    def arm(self) -> None:
        """From now on :meth:`strike` interrupts. Call in the main thread."""
        signal.signal(signal.SIGUSR1, self._on_signal)
        self._is_armed = True

    def disarm(self) -> None:
        """The job's work is over; its clean-up is not interrupted."""
        self._is_armed = False

    def strike(self) -> None:
        """Interrupt the main thread, when it has published; from any other thread."""
        if self._is_armed and self._main is not None:
            signal.pthread_kill(self._main, signal.SIGUSR1)

    def __enter__(self) -> None:
        if get_ident() == self._main:
            self._holders += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if get_ident() != self._main:
            return
        self._holders -= 1
        # A loop that only publishes would hardly ever be met outside of it.
        if self._was_put_off and self._is_armed and not self._holders and kind is None:
            raise DAQJobStopError(_REASON)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._holders:
            self._was_put_off = True
        elif self._is_armed:
            raise DAQJobStopError(_REASON)
