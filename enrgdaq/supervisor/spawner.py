"""The supervisor's end of the forkserver."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from enrgdaq.errors import TransportError
from enrgdaq.supervisor.forkserver import LARGEST_REQUEST, Ended, Forked, ForkRequest, Notice

_NOTICES: msgspec.msgpack.Decoder[Notice] = msgspec.msgpack.Decoder(Notice)


@dataclass
class Pipes:
    """The read ends of a child's stdout and stderr."""

    stdout: int
    stderr: int

    def close(self) -> None:
        """Close both; idempotent."""
        for name in ("stdout", "stderr"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)


class Spawner:
    """Starts processes through one forkserver.

    Call from a thread that lives as long as the supervisor: the kernel ties the forkserver's
    life to it.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._socket.setblocking(False)
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(
            # -P: a file of the current directory must not hide a library of its name.
            [sys.executable, "-P", "-m", "enrgdaq.supervisor.forkserver", str(os.getpid())],
            stdin=theirs.fileno(),
            start_new_session=True,
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """The forkserver's process id."""
        return self._process.pid

    def fileno(self) -> int:
        """For the owner's poll set."""
        return self._socket.fileno()

    def fork(
        self, target: str, name: str, argument: bytes, channel: socket.socket
    ) -> tuple[int, Pipes]:
        """Ask for a process; returns the request's number and the ends of its output.

        ``channel`` is passed to the child and closed here. The process id comes as a
        :class:`Forked` notice.
        """
        number = next(self._numbers)
        request = ForkRequest(number=number, target=target, name=name, argument=argument)
        encoded = msgspec.msgpack.encode(request)
        if len(encoded) > LARGEST_REQUEST:
            raise TransportError(f"{name}: configuration of {len(encoded)} bytes is too large")
        out_reader, out_writer = os.pipe2(os.O_CLOEXEC)
        err_reader, err_writer = os.pipe2(os.O_CLOEXEC)
        self._socket.setblocking(True)
        self._socket.settimeout(5.0)
        try:
            socket.send_fds(self._socket, [encoded], [channel.fileno(), out_writer, err_writer])
        except OSError as error:
            os.close(out_reader)
            os.close(err_reader)
            raise TransportError(f"the forkserver does not take requests: {error}") from error
        finally:
            self._socket.setblocking(False)
            os.close(out_writer)
            os.close(err_writer)
            channel.close()
        for descriptor in (out_reader, err_reader):
            os.set_blocking(descriptor, False)
        return number, Pipes(out_reader, err_reader)

    def notices(self) -> Iterator[Notice]:
        """What has happened. Raises :class:`TransportError` when the forkserver is gone."""
        while True:
            try:
                data = self._socket.recv(65_536)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                raise TransportError(f"the forkserver (process {self.pid}) is gone")
            notice = _NOTICES.decode(data)
            yield notice

    def close(self) -> None:
        """End the forkserver and, with it, every process that it started; idempotent."""
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5.0)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


__all__ = ["Ended", "Forked", "Notice", "Pipes", "Spawner"]
