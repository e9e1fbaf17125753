"""Answers clients. Lives in the supervisor's loop; never blocks it."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from enrgdaq.control import protocol
from enrgdaq.control.client import control_socket

Handler = Callable[[protocol.Request, protocol.Caller], protocol.Answer]


class ControlServer:
    """The bound control socket of a supervisor, mode 0600."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", runtime: Path) -> None:
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

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """For the owner's poll set."""
        return self._socket

    def answer(self, handler: Handler, *, at_most: int = 50) -> None:
        """Answer the requests that are here now, at most so many a turn."""
        for _ in range(at_most):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(frames) == 2:
                self._answer_one(frames[0], frames[1], handler)
            else:
                self.rejected += 1

    def close(self) -> None:
        """Close and remove the socket; idempotent."""
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _answer_one(self, peer: bytes, body: bytes, handler: Handler) -> None:
        try:
            envelope = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.rejected += 1
            return
        answer: protocol.Answer
        if envelope.version != protocol.PROTOCOL_VERSION:
            answer = protocol.Refused(
                reason=f"protocol {envelope.version}, this supervisor speaks"
                f" {protocol.PROTOCOL_VERSION}: use the console of the same version"
            )
        else:
            answer = handler(envelope.request, envelope.caller)
        reply = protocol.Reply(
            version=protocol.PROTOCOL_VERSION, request_id=envelope.request_id, answer=answer
        )
        try:
            self._socket.send_multipart((peer, self._encoder.encode(reply)), zmq.NOBLOCK)
        except zmq.ZMQError:
            # The peer left, or does not read; its next request starts anew.
            self.rejected += 1
