"""Bells: Unix datagrams that wake a sleeping consumer.

The ring is the truth, the bell is a hint. A bell can be missed, so a waiting consumer looks
at its rings by itself every :data:`LOOK_SECONDS`.
"""

import contextlib
import errno
import os
import select
import socket
from pathlib import Path
from typing import Final

from enrgdaq.errors import TransportError

LOOK_SECONDS: Final = 0.1  # 20 idle processes: nothing at 100 ms, 27 % of a core at 5 ms
_LONGEST_PATH: Final = 100  # sockaddr_un holds 108 bytes on Linux, 104 on macOS


def checked_socket_path(path: Path) -> Path:
    """``path``, when a Unix socket can have it.

    Raises :class:`TransportError` naming the runtime folder otherwise.
    """
    length = len(os.fsencode(path))
    if length > _LONGEST_PATH:
        raise TransportError(
            f"socket path {path} has {length} bytes, the system allows {_LONGEST_PATH}:"
            " set XDG_RUNTIME_DIR to a shorter folder"
        )
    return path


class Bell:
    """The consumer's end: a bound datagram socket. One owner, who holds the name's lock."""

    def __init__(self, path: Path) -> None:
        self.path = checked_socket_path(path)
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        previous = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(previous)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def fileno(self) -> int:
        """For use in a poll set."""
        return self._socket.fileno()

    def wait(self, seconds: float) -> bool:
        """Sleep until somebody rings, at most ``seconds``; whether somebody did."""
        rung = bool(self._poll.poll(max(0.0, seconds) * 1000))
        if rung:
            self.hush()
        return rung

    def hush(self) -> None:
        """Take all the rings that have come in."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(16)

    def close(self) -> None:
        """Close and remove the socket; idempotent."""
        self._socket.close()
        self.path.unlink(missing_ok=True)


class BellRinger:
    """The producer's end: one unconnected socket for all bells of a node."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def ring(self, path: str) -> None:
        """Ring a bell; a full queue means that it rings already, no socket that nobody sleeps."""
        try:
            self._socket.sendto(b"!", path)
        except (BlockingIOError, ConnectionRefusedError, FileNotFoundError):
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise TransportError(f"bell {path}: {error}") from error

    def close(self) -> None:
        """Close the socket; idempotent."""
        self._socket.close()
