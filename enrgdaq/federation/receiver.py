"""The spoke's mirror: records of the hub and of other spokes come in here."""

import contextlib
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import zmq
from msgspec import Meta

from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.endpoints import DEFAULT_LINK_PORT, UPLINK, endpoint
from enrgdaq.federation.mirroring import MOST_WAITING, MirrorConfig, MirrorJob, split_frames
from enrgdaq.federation.receiving import Receiver
from enrgdaq.keys import KeyFolder, LastingClient

_HELLO_SECONDS: Final = 1.0


class DAQJobReceiverConfig(MirrorConfig, kw_only=True):
    """Made from ``[federation]`` of ``supervisor.toml``."""

    server: Annotated[str, Meta(description="the hub's link, tcp://HOST:PORT")]
    server_key: Annotated[
        str | None, Meta(description="name of the hub's public key; the only one if unset")
    ] = None


class DAQJobReceiver(MirrorJob):
    """Takes what the hub sends to this node."""

    config_type = DAQJobReceiverConfig
    config: DAQJobReceiverConfig

    def start(self) -> None:
        """Take what comes from the hub, until told to stop."""
        largest = max(wire.FIRST_FRAME_BYTES, self.process.ring.capacity // 2)
        with ExitStack() as stack:
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.destroy, linger=200)
            keys = KeyFolder(Path(self.config.keys_dir))
            is_secret = not self.config.insecure
            self._client = LastingClient(
                context,
                endpoint(self.config.server, DEFAULT_LINK_PORT),
                own=keys.secret(self.supervisor_id) if is_secret else None,
                server=keys.server(self.config.server_key) if is_secret else None,
                largest_bytes=largest,
                most_waiting=MOST_WAITING,
            )
            self._hello_due = 0.0
            self.run()

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """The connection to the hub."""
        return self._client.socket

    @property
    def others(self) -> "list[zmq.Socket[bytes]]":
        """Nothing else."""
        return []

    def take(self, receiver: Receiver) -> bool:
        """Take one message of the hub."""
        try:
            frames = self._client.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        try:
            message, body = split_frames(frames, wire.HUB_DECODER)
            if isinstance(message, wire.Refused):
                self.refused = f"{self.config.server}: {message.reason}"
            else:
                self.refused = ""
                receiver.take(b"", None, message, body)
        except TransportError as error:
            self.reject(self.config.server, error)
        return True

    def look(self) -> None:
        """Say every second that this node takes what there is."""
        self._client.look()
        now = time.monotonic()
        if now >= self._hello_due:
            self._hello_due = now + _HELLO_SECONDS
            self._say(wire.Receive(version=wire.LINK_VERSION, node=self.process.supervisor))

    def expects(self, node: str) -> bool:
        """The hub, always."""
        return True

    def way_back_to(self, node: str) -> str:
        """The uplink, for whatever node: it sends only what is this node's own."""
        return UPLINK

    def send(self, address: bytes, message: wire.FromReceiver) -> None:
        """Send to the hub."""
        self._say(message)

    def may_bring(self, sender: str, home: str) -> bool:
        """The hub sends what is of any other node."""
        return home != self.supervisor_id

    def _say(self, message: wire.FromReceiver | wire.Receive) -> None:
        # What cannot be sent now is asked for again.
        with contextlib.suppress(zmq.ZMQError):
            self._client.socket.send(wire.encode(message), zmq.NOBLOCK)
