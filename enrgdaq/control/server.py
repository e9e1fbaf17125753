"""Answers clients. Lives in the supervisor's loop; never blocks it."""

import contextlib
import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from enrgdaq.control import protocol
from enrgdaq.control.client import control_socket
from enrgdaq.errors import ControlError
from enrgdaq.keys import Role


class Later:
    """An answer that takes longer: whoever works it out calls :meth:`give`, once."""

    def __init__(self) -> None:
        self._answer: protocol.Answer | None = None
        self._send: Callable[[protocol.Answer], None] | None = None

    def give(self, answer: protocol.Answer) -> None:
        """Send the answer, or keep it until the server says how."""
        self._answer = answer
        if self._send is not None:
            self._send(answer)

    def when_given(self, send: Callable[[protocol.Answer], None]) -> None:
        """Called by the server: what to do with the answer."""
        self._send = send
        if self._answer is not None:
            send(self._answer)


Handler = Callable[[protocol.Request, protocol.Caller, Role], protocol.Answer | Later]
Asker = Callable[[zmq.Frame, protocol.Caller], tuple[protocol.Caller, Role] | None]


class RequestDesk:
    """Reads requests from a ROUTER socket and sends the answers.

    ``asker`` says who sent a frame, whatever the client says of itself, and with which role;
    ``None`` for somebody who gets no answer. What cannot be read is counted, never answered.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", asker: Asker) -> None:
        self.rejected = 0
        self._socket = socket
        self._asker = asker
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(protocol.Envelope)

    def answer(self, handler: Handler, *, at_most: int, seconds: float) -> None:
        """Answer the requests that are here now, at most so many and so long a turn."""
        deadline = time.monotonic() + seconds
        for _ in range(at_most):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if len(frames) == 2:
                self._answer_one(frames[0].bytes, frames[1], handler)
            else:
                self.rejected += 1
            if time.monotonic() > deadline:
                return

    def _answer_one(self, peer: bytes, frame: zmq.Frame, handler: Handler) -> None:
        try:
            envelope = self._decoder.decode(frame.buffer)
        except protocol.UNREADABLE:
            self.rejected += 1
            return
        asker = self._asker(frame, envelope.caller)
        if asker is None:
            return

        def send(answer: protocol.Answer) -> None:
            self._send(peer, envelope.request_id, answer)

        if envelope.version != protocol.PROTOCOL_VERSION:
            send(
                protocol.Refused(
                    reason=f"protocol {envelope.version}, this supervisor speaks"
                    f" {protocol.PROTOCOL_VERSION}: use the console of the same version"
                )
            )
            return
        answer = handler(envelope.request, *asker)
        if isinstance(answer, Later):
            answer.when_given(send)
        else:
            send(answer)

    def _send(self, peer: bytes, request_id: int, answer: protocol.Answer) -> None:
        reply = protocol.Reply(
            version=protocol.PROTOCOL_VERSION, request_id=request_id, answer=answer
        )
        # A peer that has left, or does not read, starts anew with its next request; an answer
        # that took long may find the socket closed.
        with contextlib.suppress(zmq.ZMQError):
            self._socket.send_multipart((peer, self._encoder.encode(reply)), zmq.NOBLOCK)


class ControlServer:
    """The bound control socket of a supervisor.

    Mode 0600, or 0660 with the group of ``group_id``: who may connect is decided by the kernel,
    and who it is that asks is what the kernel says, not what the client says.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        runtime: Path,
        *,
        group_id: int | None = None,
    ) -> None:
        self.path = control_socket(runtime)
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 200
        self._socket.setsockopt(zmq.MAXMSGSIZE, protocol.LARGEST_REQUEST)
        self._desk = RequestDesk(self._socket, _attested)
        previous = os.umask(0o177)
        try:
            self._socket.bind(f"ipc://{self.path}")
        finally:
            os.umask(previous)
        if group_id is not None:
            try:
                os.chown(self.path, -1, group_id)
                self.path.chmod(0o660)
            except OSError as error:
                self.close()
                raise ControlError(
                    f"{self.path} cannot be opened to the group {group_id}: {error.strerror}"
                ) from error

    @property
    def rejected(self) -> int:
        """Messages that were no request."""
        return self._desk.rejected

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """For the owner's poll set."""
        return self._socket

    def answer(self, handler: Handler) -> None:
        """Answer the requests that are here now."""
        self._desk.answer(handler, at_most=50, seconds=1.0)

    def close(self) -> None:
        """Close and remove the socket; idempotent."""
        self._socket.close()
        self.path.unlink(missing_ok=True)


def _attested(frame: zmq.Frame, caller: protocol.Caller) -> tuple[protocol.Caller, Role]:
    """The caller under the account that the kernel gives for the other end (``SO_PEERCRED``).

    libzmq adds ``:uid:gid:pid`` to the address of a peer on a Unix socket. Whoever may connect
    there may command.
    """
    user = caller.user
    with contextlib.suppress(zmq.ZMQError, ValueError, IndexError):
        user = account_name(int(str(frame.get("Peer-Address")).split(":")[-3]))
    return msgspec.structs.replace(caller, user=user, address=""), "operator"


def account_name(user_id: int) -> str:
    """Name of a Unix account, or its number where it has none."""
    try:
        return pwd.getpwuid(user_id).pw_name[:64]
    except KeyError:
        return str(user_id)
