"""Between a downlink and the connection of its spoke: the hub has one port for both directions.

Nothing is kept here. What is lost on the way the two ends notice by the numbers of their batches.
"""

import time
from typing import Final

import zmq

from enrgdaq.federation import wire
from enrgdaq.federation.receiving import AWAY_SECONDS

_AT_MOST: Final = 64  # messages a turn


class Relay:
    """A Unix socket, in the node's private folder, for the downlink to one node."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(endpoint)
        self._downlink: bytes | None = None
        self._spoke: bytes | None = None
        self._heard_at = 0.0

    def meet(self, spoke: bytes) -> None:
        """The spoke takes what there is on this connection."""
        self._spoke, self._heard_at = spoke, time.monotonic()

    def is_to(self, spoke: bytes) -> bool:
        """Whether a connection is that of this relay's spoke."""
        return spoke == self._spoke

    def pass_on(self, door: "zmq.Socket[bytes]") -> None:
        """To the spoke, what is here now; dropped while it is away."""
        for _ in range(_AT_MOST):
            try:
                address, *frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self._downlink = address.bytes
            is_there = time.monotonic() - self._heard_at < AWAY_SECONDS
            if self._spoke is None or not is_there:
                continue
            try:
                door.send_multipart([self._spoke, *frames], zmq.NOBLOCK)
            except zmq.ZMQError:
                continue

    def pass_back(self, message: wire.FromReceiver) -> None:
        """To the downlink, what the spoke answers."""
        if self._downlink is None:
            return
        try:
            self.socket.send_multipart((self._downlink, wire.encode(message)), zmq.NOBLOCK)
        except zmq.ZMQError:
            return
