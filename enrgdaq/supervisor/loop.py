"""The supervisor's event loop: one thread, one poll set, no locks."""

from collections.abc import Callable
from typing import Any

import zmq

Callback = Callable[[], None]


class Loop:
    """Calls back when a descriptor or ZeroMQ socket can be read."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()
        self._callbacks: dict[Any, Callback] = {}

    def watch(self, source: "int | zmq.Socket[bytes]", callback: Callback) -> None:
        """Call back whenever ``source`` can be read, or has ended."""
        self._callbacks[source] = callback
        self._poller.register(source, zmq.POLLIN)

    def forget(self, source: "int | zmq.Socket[bytes]") -> None:
        """Stop watching; idempotent."""
        if self._callbacks.pop(source, None) is not None:
            self._poller.unregister(source)

    def turn(self, seconds: float) -> None:
        """Wait for events, at most so long, and handle those that came."""
        for source, _ in self._poller.poll(int(seconds * 1000)):
            callback = self._callbacks.get(source)
            # An earlier callback of this turn may have closed it.
            if callback is not None:
                callback()
