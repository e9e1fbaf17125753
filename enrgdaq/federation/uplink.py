"""Who sends to another node by ENRGDAQ's own sockets."""

import socket as sockets
from pathlib import Path
from typing import Annotated, Any

import zmq
from msgspec import Meta

from enrgdaq.daq.store.server_store import DAQJobServerStoreConfig
from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.endpoints import DEFAULT_LINK_PORT, endpoint, host_and_port
from enrgdaq.federation.hub_line import HubLine
from enrgdaq.federation.sending import SendingJob
from enrgdaq.keys import KeyFolder


class DAQJobUplinkConfig(DAQJobServerStoreConfig, kw_only=True):
    """Made from ``[federation]`` of ``supervisor.toml``."""

    server: Annotated[str, Meta(description="the hub's link, tcp://HOST:PORT, or a socket of it")]
    not_from: Annotated[
        str | None,
        Meta(description="the node to send to, from all others; only from here if unset"),
    ] = None
    keys_dir: Annotated[str, Meta(description="folder of this node's keys")]
    server_key: Annotated[
        str | None, Meta(description="name of the hub's public key; the only one if unset")
    ] = None
    insecure: Annotated[bool, Meta(description="the hub asks for no keys")] = False


class DAQJobUplink(SendingJob):
    """Sends what the other node wants, and lets go of it when it is there.

    On a spoke the other node is the hub; on a hub, as a downlink, one of its spokes.
    """

    config_type = DAQJobUplinkConfig
    config: DAQJobUplinkConfig

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        self._is_local = config.server.startswith("ipc://")
        self._endpoint = (
            config.server if self._is_local else endpoint(config.server, DEFAULT_LINK_PORT)
        )
        super().__init__(config, *args, **kwargs)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    @property
    def address(self) -> str:
        """The hub's address."""
        return self._endpoint

    def connect(self) -> HubLine:
        """A session with the hub."""
        keys = KeyFolder(Path(self.config.keys_dir))
        is_secret = not self.config.insecure
        if not self._is_local:
            try:
                # libzmq would wait for a name that is not known in silence.
                sockets.getaddrinfo(*host_and_port(self.config.server, DEFAULT_LINK_PORT))
            except OSError as error:
                raise ServerAwayError(f"{self._endpoint}: {error.strerror}") from error
        return HubLine(
            self._context,
            self._endpoint,
            own=keys.secret(self.supervisor_id) if is_secret else None,
            server=keys.server(self.config.server_key) if is_secret else None,
            node=self.process.supervisor,
            rings=sorted(self.known_rings),
            timeout_seconds=self.config.timeout_seconds,
            may_spool=str(self.config.when_behind) == "spool",
            is_stopping=lambda: self.stopping,
        )

    def may_send(self, home: str) -> bool:
        """A spoke sends what is its own: in a star no record can go round."""
        not_from = self.config.not_from
        return home != not_from and (not_from is not None or home == self.supervisor_id)

    def free(self) -> None:
        """End the session; the hub is told."""
        super().free()
        self._context.term()
