"""The broker: topic pub/sub for all that is not bulk.

A proxy between an XSUB (publishers connect) and an XPUB (subscribers connect) in a process
of its own. It keeps no data: the rings do. When it is killed, telemetry pauses until the
supervisor has started the next one; every socket reconnects by itself.
"""

import os
from pathlib import Path
from typing import Final

import zmq

from enrgdaq.transport.bell import checked_socket_path

HIGH_WATER_MARK: Final = 10_000  # messages per peer; past it the newest are dropped


def publish_endpoint(runtime: Path) -> str:
    """Where publishers connect."""
    return f"ipc://{checked_socket_path(runtime / 'broker-in')}"


def subscribe_endpoint(runtime: Path) -> str:
    """Where subscribers connect."""
    return f"ipc://{checked_socket_path(runtime / 'broker-out')}"


def run_broker(runtime: Path) -> None:
    """Proxy until the process is ended. Never returns."""
    # A group may come into the folder of these sockets, but not to them.
    os.umask(0o177)
    context = zmq.Context()
    publishers = context.socket(zmq.XSUB)
    subscribers = context.socket(zmq.XPUB)
    for socket in (publishers, subscribers):
        socket.set_hwm(HIGH_WATER_MARK)
        socket.linger = 0
    publishers.bind(publish_endpoint(runtime))
    subscribers.bind(subscribe_endpoint(runtime))
    zmq.proxy(publishers, subscribers)
