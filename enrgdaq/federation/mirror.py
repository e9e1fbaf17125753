"""The hub's link: a producer whose data come from other nodes."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import zmq
from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.host import ProcessHost
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.places import routes_path
from enrgdaq.daq.topics import Topic
from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.endpoints import DEFAULT_LINK_PORT, host_and_port
from enrgdaq.federation.positions import Positions
from enrgdaq.federation.receiving import HEADER_ROOM, Receiver
from enrgdaq.keys import Door, Gate, KeyFolder
from enrgdaq.transport.ring import RingFile
from enrgdaq.transport.routes import load_routes

_IDLE_MS: Final = 200
_FULL_MS: Final = 2
_MESSAGES_A_TURN: Final = 64
_SECONDS_A_TURN: Final = 0.05
_ROUTES_SECONDS: Final = 0.5
_WAITING: Final = 64  # messages of each spoke that wait to be read
_RETRY_SECONDS: Final = 1.0


class DAQJobMirrorConfig(DAQJobConfig, kw_only=True):
    """Made from ``[federation]`` of ``supervisor.toml``."""

    listen: Annotated[str, Meta(description="where spokes link to, tcp://HOST:PORT")]
    keys_dir: Annotated[str, Meta(description="folder of this node's keys")]
    positions_dir: Annotated[str, Meta(description="folder for how far each node was taken")]
    insecure: Annotated[bool, Meta(description="ask nobody for a key")] = False


class DAQJobMirror(DAQJob):
    """Writes the records of other nodes into its ring, each once, and acknowledges them."""

    config_type = DAQJobMirrorConfig
    config: DAQJobMirrorConfig
    is_mirror = True

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.rejected = 0
        """Messages that no spoke of ours would send."""
        self._warn_after = 0.0

    def start(self) -> None:
        """Take what comes until told to stop."""
        with self._open() as (gate, door):
            receiver = Receiver(
                self.process.supervisor,
                self._positions(),
                self.process.pass_on,
                lambda address, message: _send(door, address, message),
                largest_bytes=self.process.ring.capacity // 2 - HEADER_ROOM,
            )
            poller = zmq.Poller()
            for one in (gate.socket, door.monitor):
                poller.register(one, zmq.POLLIN)
            self._run(receiver, gate, door, poller)

    @property
    def process(self) -> ProcessHost:
        """The process around this job."""
        if not isinstance(self._host, ProcessHost):
            raise TransportError("a link runs in a supervisor's process only")
        return self._host

    def _run(self, receiver: Receiver, gate: Gate, door: Door, poller: zmq.Poller) -> None:
        routes_due = 0.0
        while not self.stopping:
            self._watchdog.reset()
            began = time.monotonic()
            if receiver.is_full:
                poller.poll(_FULL_MS)
            else:
                poller.register(door.socket, zmq.POLLIN)
                poller.poll(_IDLE_MS)
                poller.unregister(door.socket)
            gate.look()
            door.look()
            if not receiver.is_full:
                self._take(receiver, door)
            else:
                self.process.add_waited(time.monotonic() - began)
            self._work(receiver)
            if began >= routes_due:
                routes_due = began + _ROUTES_SECONDS
                receiver.want(self._wanted())
                self.process.links = receiver.figures()

    def _take(self, receiver: Receiver, door: Door) -> None:
        deadline = time.monotonic() + _SECONDS_A_TURN
        for _ in range(_MESSAGES_A_TURN):
            try:
                frames = door.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            peer = door.peer(frames[-1])
            if peer is None:
                continue
            try:
                if len(frames) not in (2, 3):
                    raise TransportError(f"{len(frames)} frames are no message of a link")
                message = wire.decode(wire.SPOKE_DECODER, frames[1].buffer)
                body = frames[2].buffer if len(frames) == 3 else b""
                name = None if door.is_insecure else peer.name
                receiver.take(frames[0].bytes, name, message, body)
            except TransportError as error:
                self._reject(peer.name or peer.address, error)
            if time.monotonic() > deadline:
                return

    def _reject(self, who: str, error: TransportError) -> None:
        self.rejected += 1
        now = time.monotonic()
        if now >= self._warn_after:
            self._warn_after = now + 10.0
            self.log.warning(
                "message of %s dropped: %s (%d since the start)", who, error, self.rejected
            )

    def _work(self, receiver: Receiver) -> None:
        try:
            receiver.work()
        except OSError as error:
            # The spokes keep what is not acknowledged; it may take a while to make room.
            self.set_condition(f"waiting for disk: {error.filename}: {error.strerror}")
            self.sleep(_RETRY_SECONDS)
        else:
            self.set_condition("")

    def _wanted(self) -> list[str]:
        """The topics that jobs of this node take and that travel by links."""
        routes = load_routes(routes_path(self.process.runtime))
        topics = {topic for consumer in routes.consumers for topic in consumer.topics}
        return sorted(topic for topic in topics if not Topic.is_telemetry(topic))

    def _positions(self) -> Positions:
        positions = Positions(Path(self.config.positions_dir))
        own = self.process.ring.path
        for path in own.parent.glob(f"{self.unique_id}.*{own.suffix}"):
            ring = RingFile.open(path)
            if ring.identity.is_mirror and ring.identity.producer == self.unique_id:
                positions.note_all_in(ring)
            ring.close()
        return positions

    @contextmanager
    def _open(self) -> Iterator[tuple[Gate, Door]]:
        keys = KeyFolder(Path(self.config.keys_dir))
        host, port = host_and_port(self.config.listen, DEFAULT_LINK_PORT)
        own = None if self.config.insecure else keys.secret(self.supervisor_id)
        with ExitStack() as stack:
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.destroy, linger=200)
            gate = Gate(context, keys)
            stack.callback(gate.close)
            door = Door(
                context,
                gate,
                zmq.ROUTER,
                host=host,
                port=port,
                own=own,
                domain="link",
                roles=("node",),
                largest_bytes=max(wire.FIRST_FRAME_BYTES, self.process.ring.capacity // 2),
                most_waiting=_WAITING,
            )
            stack.callback(door.close)
            self.log.info("links come in at %s", door.endpoint)
            yield gate, door


def _send(door: Door, address: bytes, message: wire.FromHub) -> None:
    # To one that has gone, ROUTER drops it: the spoke will begin anew.
    try:
        door.socket.send_multipart((address, wire.encode(message)), zmq.NOBLOCK)
    except zmq.ZMQError:
        return
