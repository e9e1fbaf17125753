"""Who sends by NATS: a store whose disk is a stream."""

from typing import Annotated, Any, Final

from msgspec import Meta

from enrgdaq.daq.store.server_store import DAQJobServerStoreConfig
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.login import login_of
from enrgdaq.federation.jetstream.nats_line import NatsLine
from enrgdaq.federation.jetstream.unread import Unread
from enrgdaq.federation.sending import SendingJob
from enrgdaq.models import FederationNatsConfig

_PATIENCE_SECONDS: Final = 10.0


class DAQJobNatsUplinkConfig(DAQJobServerStoreConfig, kw_only=True):
    """Made from ``[federation.nats]`` of ``supervisor.toml``."""

    nats: Annotated[FederationNatsConfig, Meta(description="servers, streams and login")]


class DAQJobNatsUplink(SendingJob):
    """Sends what other nodes want, and lets go of it when their stream has it.

    What readers do not have yet it keeps a copy of, in ``spool/`` of ``out_dir``.
    """

    config_type = DAQJobNatsUplinkConfig
    config: DAQJobNatsUplinkConfig

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        self._address = ", ".join(config.nats.servers)
        super().__init__(config, *args, **kwargs)
        self._unread = Unread(self.out_dir / "spool" / self.unique_id / "unread", self.floor)
        # The first attempt fails at once, so that everybody can see why.
        self._patience = 0.0

    @property
    def address(self) -> str:
        """The servers."""
        return self._address

    def connect(self) -> NatsLine:
        """A line to this node's stream."""
        settings = self.config.nats
        connection = Connection(
            login_of(settings),
            name=f"{self.supervisor_id} uplink",
            timeout_seconds=self.config.timeout_seconds,
        )
        patience, self._patience = self._patience, _PATIENCE_SECONDS
        line = NatsLine(
            *(connection, settings, self.supervisor_id, self._unread, self.log),
            patience_seconds=patience,
        )
        self._patience = 0.0
        return line

    def may_send(self, home: str) -> bool:
        """What is of this node: others have streams of their own."""
        return home == self.supervisor_id

    def free(self) -> None:
        """End the connection, and let go of files."""
        super().free()
        self._unread.close()
