"""All that a supervisor has open to other hosts: remote control, its spokes, its hub."""

import logging
from pathlib import Path
from typing import Final

import zmq

from enrgdaq.control.node_messages import LARGEST, NodeView
from enrgdaq.control.remote import RemoteControl
from enrgdaq.control.server import Handler
from enrgdaq.control.status import NodeStatus, RemoteStatus
from enrgdaq.errors import NoKeyError
from enrgdaq.federation.endpoints import DEFAULT_NODES_PORT, endpoint, host_and_port
from enrgdaq.keys import Door, Gate, Role
from enrgdaq.models import SupervisorConfig
from enrgdaq.supervisor.exposure import control_key, has_mirror, keys_of, remote_control
from enrgdaq.supervisor.hub import HubSession
from enrgdaq.supervisor.logs import LogBook
from enrgdaq.supervisor.loop import Loop
from enrgdaq.supervisor.spokes import Publish, Spokes

_NODES_WAITING: Final = 20  # messages of each spoke; one comes a second
_LOG = logging.getLogger(__name__)


class Network:
    """Opens what ``supervisor.toml`` asks for; everything runs in the supervisor's loop.

    Raises :class:`ConfigurationError` when an address cannot be had or a key is missing.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        loop: Loop,
        config: SupervisorConfig,
        config_path: Path,
    ) -> None:
        self._context = context
        self._loop = loop
        self._config = config
        self._config_path = config_path
        self._keys = keys_of(config_path, config)
        self._gate: Gate | None = None
        self._control: RemoteControl | None = None
        self._door: Door | None = None
        self.spokes: Spokes | None = None
        self.hub: HubSession | None = None

    def open(self, handler: Handler, book: LogBook, publish: Publish) -> None:
        """Let others in, and go to the hub."""
        self._open_control(handler)
        self._open_to_spokes(book, publish)
        self._go_to_hub(handler, book)

    def look(self) -> None:
        """Turn out whose key was revoked, answer who waits too long; never waits itself."""
        if self._gate is not None:
            self._gate.look()
        if self._control is not None:
            self._control.look()
        if self._door is not None:
            self._door.look()
        if self.spokes is not None:
            self.spokes.tick()
        if self.hub is not None:
            self.hub.look()

    def remote_status(self) -> RemoteStatus | None:
        """The TCP endpoint of the control protocol; ``None`` where there is none."""
        return self._control.status() if self._control is not None else None

    def nodes(self) -> list[NodeStatus]:
        """The nodes that this one is the hub of."""
        return self.spokes.status() if self.spokes is not None else []

    def tell_hub(self, view: NodeView, statistics: bytes) -> None:
        """Say how this node is, where there is a hub."""
        if self.hub is not None:
            self.hub.tell(view, statistics)

    def close(self) -> None:
        """End all connections; idempotent."""
        for one in (self.hub, self._control, self._door, self._gate):
            if one is not None:
                one.close()

    def _open_control(self, handler: Handler) -> None:
        cnc = remote_control(self._config)
        if cnc is None:
            return
        try:
            own = control_key(cnc, self._keys, self._config.supervisor_id)
        except NoKeyError:
            # On loopback; warned of when the files were read.
            return
        self._control = RemoteControl(
            self._context, self._open_gate(), host=cnc.server_host, port=cnc.server_port, own=own
        )
        self._control.watch(self._loop.watch, handler)
        _LOG.info("control listens on %s", self._control.endpoint)

    def _open_to_spokes(self, book: LogBook, publish: Publish) -> None:
        links = self._config.federation
        if links is None or not has_mirror(self._config, self._config_path):
            return
        name = self._config.supervisor_id
        host, port = host_and_port(links.server_xpub_url, DEFAULT_NODES_PORT)
        self._door = Door(
            self._context,
            self._open_gate(),
            zmq.ROUTER,
            host=host,
            port=port,
            own=None if links.insecure else self._keys.secret(name),
            domain="nodes",
            roles=("node",),
            largest_bytes=LARGEST,
            most_waiting=_NODES_WAITING,
        )
        self.spokes = Spokes(self._door, name, book, publish)
        self._loop.watch(self._door.monitor, self._door.look)
        self._loop.watch(self._door.socket, self.spokes.hear)
        _LOG.info("nodes say how they are on %s", self._door.endpoint)

    def _go_to_hub(self, handler: Handler, book: LogBook) -> None:
        links = self._config.federation
        if links is None or links.remote_server_xpub_url is None:
            return
        role: Role = "operator" if links.hub_may_command else "observer"
        is_secret = not links.insecure
        self.hub = HubSession(
            self._context,
            self._loop,
            endpoint(links.remote_server_xpub_url, DEFAULT_NODES_PORT),
            self._config.info,
            book,
            handler,
            own=self._keys.secret(self._config.supervisor_id) if is_secret else None,
            server=self._keys.server(links.server_key) if is_secret else None,
            role=role,
        )

    def _open_gate(self) -> Gate:
        if self._gate is None:
            self._gate = Gate(self._context, self._keys)
            self._loop.watch(self._gate.socket, self._gate.look)
        return self._gate
