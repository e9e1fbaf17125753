"""Answers clients. Lives in the supervisor's loop; never blocks it."""

import contextlib
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from enrgdaq.control import protocol
from enrgdaq.control.client import control_socket
from enrgdaq.errors import ControlError


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


Handler = Callable[[protocol.Request, protocol.Caller], protocol.Answer | Later]


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
        self.rejected = 0
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(protocol.Envelope)
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 200
        self._socket.setsockopt(zmq.MAXMSGSIZE, protocol.LARGEST_REQUEST)
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
    def socket(self) -> "zmq.Socket[bytes]":
        """For the owner's poll set."""
        return self._socket

    def answer(self, handler: Handler, *, at_most: int = 50) -> None:
        """Answer the requests that are here now, at most so many a turn."""
        for _ in range(at_most):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if len(frames) == 2:
                self._answer_one(frames[0].bytes, frames[1], handler)
            else:
                self.rejected += 1

    def close(self) -> None:
        """Close and remove the socket; idempotent."""
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _answer_one(self, peer: bytes, frame: zmq.Frame, handler: Handler) -> None:
        try:
            envelope = self._decoder.decode(frame.buffer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.rejected += 1
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
        answer = handler(envelope.request, _attested(envelope.caller, frame))
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


def _attested(caller: protocol.Caller, frame: zmq.Frame) -> protocol.Caller:
    """The caller under the account that the kernel gives for the other end (``SO_PEERCRED``).

    libzmq adds ``:uid:gid:pid`` to the address of a peer on a Unix socket.
    """
    try:
        address = str(frame.get("Peer-Address"))
        user_id = int(address.split(":")[-3])
    except (zmq.ZMQError, ValueError, IndexError):
        return caller
    return msgspec.structs.replace(caller, user=account_name(user_id))


def account_name(user_id: int) -> str:
    """Name of a Unix account, or its number where it has none."""
    try:
        return pwd.getpwuid(user_id).pw_name[:64]
    except KeyError:
        return str(user_id)
