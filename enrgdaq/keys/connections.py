"""The connections of a TCP endpoint, as libzmq tells of them.

What fails before a key is shown never reaches the gate: no key, a wrong server key, bytes that
are no ZeroMQ at all, silence. libzmq names the descriptor of a connection, not its address, and
closes it when it likes; so the address of one that came and went at once may stay unknown.
"""

import os
import socket
from dataclasses import dataclass
from typing import Final

import zmq
from zmq.utils.monitor import parse_monitor_message

_REASONS: Final[dict[int, str]] = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "it left, or kept silent, before it had proved a key",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "it has no key, or takes this server for another",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "",  # noted by the gate, which knows the key
}
EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


@dataclass
class _Connection:
    address: str
    proved_before: int
    """How many had proved a key when this one was accepted."""


class Connections:
    """Follows the events of one endpoint. Events of one come in order: libzmq has one thread."""

    def __init__(self) -> None:
        self._open: dict[int, _Connection] = {}
        self._proved = 0
        self._failure: str | None = None

    def __len__(self) -> int:
        return len(self._open)

    def take(self, monitor: "zmq.Socket[bytes]", *, at_most: int = 500) -> list[tuple[str, str]]:
        """(address, reason) of connections that failed since the last call; never waits."""
        refused = []
        for _ in range(at_most):
            try:
                event = parse_monitor_message(monitor.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
            kind, descriptor = event["event"], event["value"]
            if kind == zmq.EVENT_ACCEPTED:
                self._open[descriptor] = _Connection(_address_of(descriptor), self._proved)
            elif kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._proved += 1
            elif kind in _REASONS:
                self._failure = _REASONS[kind]
            elif kind == zmq.EVENT_DISCONNECTED:
                found = self._disconnected(descriptor)
                refused += [found] if found else []
            elif kind == zmq.EVENT_CLOSED:
                # The endpoint was closed, and its connections with it.
                self._open.clear()
        return refused

    def _disconnected(self, descriptor: int) -> tuple[str, str] | None:
        connection = self._open.pop(descriptor, None)
        reason, self._failure = self._failure, None
        if connection is None or reason == "":
            return None
        if reason is None and connection.proved_before == self._proved:
            # Nobody has proved a key since: it cannot have been this one.
            reason = "what it sent is no message of this protocol, or too large"
        return None if reason is None else (connection.address, reason)


def _address_of(descriptor: int) -> str:
    """The far end of libzmq's own descriptor; empty when it is closed already.

    Under a flood another connection may have its number by now, and lend it an address that
    has knocked in the same instant.
    """
    try:
        with socket.socket(fileno=os.dup(descriptor)) as duplicate:
            host, port = duplicate.getpeername()[:2]
    except (OSError, ValueError):
        return ""
    return f"{host}:{port}"
