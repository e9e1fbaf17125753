"""The hub's end of its links: records of spokes come in, and others go out to spokes by here."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import zmq
from msgspec import Meta, field

from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.endpoints import DEFAULT_LINK_PORT, downlink_name, host_and_port
from enrgdaq.federation.mirroring import MOST_WAITING, MirrorConfig, MirrorJob, split_frames
from enrgdaq.federation.receiving import Receiver
from enrgdaq.federation.relay import Relay
from enrgdaq.keys import Door, Gate, KeyFolder


class DAQJobMirrorConfig(MirrorConfig, kw_only=True):
    """Made from ``[federation]`` of ``supervisor.toml``."""

    listen: Annotated[str, Meta(description="where spokes link to, tcp://HOST:PORT")]
    send_to: Annotated[dict[str, str], Meta(description="sockets of downlinks, by node")] = field(
        default_factory=dict
    )


class DAQJobMirror(MirrorJob):
    """Takes what spokes send; relays what downlinks send to spokes that take it."""

    config_type = DAQJobMirrorConfig
    config: DAQJobMirrorConfig

    def start(self) -> None:
        """Let spokes in, until told to stop."""
        keys = KeyFolder(Path(self.config.keys_dir))
        host, port = host_and_port(self.config.listen, DEFAULT_LINK_PORT)
        with ExitStack() as stack:
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.destroy, linger=200)
            self._gate = Gate(context, keys)
            stack.callback(self._gate.close)
            self._door = Door(
                context,
                self._gate,
                zmq.ROUTER,
                host=host,
                port=port,
                own=None if self.config.insecure else keys.secret(self.supervisor_id),
                domain="link",
                roles=("node",),
                largest_bytes=max(wire.FIRST_FRAME_BYTES, self.process.ring.capacity // 2),
                most_waiting=MOST_WAITING,
            )
            stack.callback(self._door.close)
            self._relays = {
                node: Relay(context, endpoint) for node, endpoint in self.config.send_to.items()
            }
            self.log.info("links come in at %s", self._door.endpoint)
            self.run()

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """Where spokes come in."""
        return self._door.socket

    @property
    def others(self) -> "list[zmq.Socket[bytes]]":
        """Questions for keys, connections, what is to go to spokes."""
        relays = [relay.socket for relay in self._relays.values()]
        return [self._gate.socket, self._door.monitor, *relays]

    def take(self, receiver: Receiver) -> bool:
        """Take one message of a spoke."""
        try:
            address, *frames = self._door.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        peer = self._door.peer(frames[-1] if frames else address)
        if peer is None:
            return True
        try:
            message, body = split_frames(frames, wire.SPOKE_DECODER)
            name = None if self._door.is_insecure else peer.name
            if isinstance(message, wire.Receive):
                self._meet(address.bytes, name, message)
            elif isinstance(message, wire.FromReceiver):
                self._relay_back(address.bytes, message)
            else:
                receiver.take(address.bytes, name, message, body)
        except TransportError as error:
            self.reject(peer.name or peer.address, error)
        return True

    def look(self) -> None:
        """Answer questions for keys; relay."""
        self._gate.look()
        self._door.look()
        for relay in self._relays.values():
            relay.pass_on(self._door.socket)

    def expects(self, node: str) -> bool:
        """A node whose key was revoked has left for good."""
        return self._door.admits(node)

    def way_back_to(self, node: str) -> str:
        """The downlink to the node."""
        return downlink_name(node)

    def send(self, address: bytes, message: wire.FromReceiver) -> None:
        """Send to a spoke."""
        _send(self._door.socket, address, message)

    def may_bring(self, sender: str, home: str) -> bool:
        """A spoke sends what is its own."""
        return sender == home

    def _meet(self, address: bytes, name: str | None, message: wire.Receive) -> None:
        node = message.node.supervisor_id
        if name is not None and name != node:
            raise TransportError(f"the key {name!r} is not that of a node called {node!r}")
        relay = self._relays.get(node)
        if relay is None or message.version != wire.LINK_VERSION:
            reason = (
                f"sends nothing to {node}: write it into send_to in [federation]"
                if relay is None
                else f"speaks version {wire.LINK_VERSION} of the link, not {message.version}"
            )
            _send(self._door.socket, address, wire.Refused(reason=reason))
            return
        relay.meet(address)

    def _relay_back(self, address: bytes, message: wire.FromReceiver) -> None:
        for relay in self._relays.values():
            if relay.is_to(address):
                relay.pass_back(message)
                return
        raise TransportError("an answer to nothing that was sent")


def _send(socket: "zmq.Socket[bytes]", address: bytes, message: wire.FromReceiver) -> None:
    # To one that has gone, ROUTER drops it: the spoke will begin anew.
    try:
        socket.send_multipart((address, wire.encode(message)), zmq.NOBLOCK)
    except zmq.ZMQError:
        return
