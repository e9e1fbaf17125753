"""Telemetry that a job takes: one thread receives, another hands it to the job."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

import zmq

from enrgdaq.daq.counters import Counters
from enrgdaq.daq.models import DAQJobMessage, DAQJobStopError
from enrgdaq.errors import CodecError
from enrgdaq.transport import codec
from enrgdaq.transport.telemetry import TelemetrySubscriber

_WAITING: Final = 1_000
_A_TURN: Final = 1_000


class TelemetryIn:
    """A bounded queue between the two threads; what it has no room for is counted."""

    def __init__(
        self, subscriber: TelemetrySubscriber, counters: Counters, log: logging.Logger
    ) -> None:
        self.dropped = 0
        self._subscriber = subscriber
        self._counters = counters
        self._log = log
        self._waiting: queue.Queue[DAQJobMessage] = queue.Queue(maxsize=_WAITING)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """For the poll set of the thread that receives."""
        return self._subscriber.socket

    def take(self) -> None:
        """Receive what is there; a flood costs a bounded turn."""
        for topic, body in self._subscriber.receive(at_most=_A_TURN):
            try:
                message = codec.decode(body, DAQJobMessage)
            except CodecError as error:
                self._log.debug("telemetry on %s dropped: %s", topic, error)
                continue
            now_ns = time.time_ns()
            sent_ns = int(message.timestamp.timestamp() * 1e9) if message.timestamp else now_ns
            self._counters.took(len(body), sent_ns, now_ns)
            try:
                self._waiting.put_nowait(message)
            except queue.Full:
                self.dropped += 1

    def start_handling(
        self, handle: Callable[[DAQJobMessage], object], stopping: threading.Event
    ) -> None:
        """Hand over on a thread of its own: a handler that waits must not stop the heart."""
        threading.Thread(
            target=self._handle, args=(handle, stopping), name="telemetry", daemon=True
        ).start()

    def close(self) -> None:
        """Close the socket; idempotent. By the thread that receives."""
        self._subscriber.close()

    def _handle(self, handle: Callable[[DAQJobMessage], object], stopping: threading.Event) -> None:
        while not stopping.is_set():
            message = self._waiting.get()
            try:
                handle(message)
            except DAQJobStopError:
                return
            except Exception:  # noqa: BLE001 - telemetry is no reason for a job to end
                self._log.exception("handling %s failed", type(message).__name__)
