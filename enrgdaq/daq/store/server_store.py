"""Base of the stores that write to a server."""

import time
from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, NamedTuple, TypeVar

from msgspec import Meta

from enrgdaq.daq.store.base import DAQJobStore, DAQJobStoreJobConfig
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import DAQJobMessageStore
from enrgdaq.daq.store.server import Closable, ServerLink
from enrgdaq.errors import ServerAwayError

_IDLE_SECONDS: Final = 20.0  # after so long a connection is looked at before it is used


class DAQJobServerStoreConfig(DAQJobStoreJobConfig, kw_only=True):
    """Keys of the stores that write to a server."""

    flush_size_mb: Annotated[
        float, Meta(gt=0, description="flush when so much has come in, MiB")
    ] = 8.0
    timeout_seconds: Annotated[
        float,
        Meta(ge=0.1, le=600, description="a server silent for so long in a command is away"),
    ] = 5.0
    # One choice more than other jobs have.
    when_behind: Annotated[
        Literal["hold", "spool", "skip"],
        Meta(
            description="when this store is behind or its server away: hold makes producers wait"
            " once a ring is full; spool moves rows to a spool on disk and writes them in order"
            " later; skip loses the oldest messages, counted"
        ),
    ] = "spool"  # type: ignore[assignment]
    spool_size_mb: Annotated[
        int, Meta(ge=32, description="most that the spool on disk may take, MiB; then it holds")
    ] = 4096


class Kept(NamedTuple):
    """A message between two flushes: what it brings, whence, and how to put it aside."""

    body: Any
    position: Position
    put_aside: Any


ConnectionT = TypeVar("ConnectionT", bound=Closable)


class DAQJobServerStore(DAQJobStore, Generic[ConnectionT]):
    """Keeps messages, and hands them to a server in one transaction per flush.

    Subclasses say how to connect, turn messages into what they write (:meth:`body_of`, which
    must not need the server) and write them with their watermarks (:meth:`write`).
    """

    config: DAQJobServerStoreConfig
    writes_files: ClassVar[bool] = False
    server_errors: tuple[type[Exception], ...] = (OSError,)
    """What :meth:`write` raises when the server is away or refuses: all is tried again."""

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._kept: list[Kept] = []
        self._link = ServerLink(self.address, self.connect, self.log)
        self._used_at = 0.0

    @property
    @abstractmethod
    def address(self) -> str:
        """Host and port, for people."""

    @abstractmethod
    def connect(self) -> ConnectionT:
        """A new connection, ready for :meth:`write`. Called on a thread of its own."""

    @abstractmethod
    def is_alive(self, connection: ConnectionT) -> bool:
        """Whether an idle connection still works."""

    @abstractmethod
    def body_of(self, message: DAQJobMessageStore) -> Any:
        """What to write of a message; ``None`` for nothing.

        Raises :class:`StoreError` for what this backend can never take.
        """

    @abstractmethod
    def write(self, connection: ConnectionT, kept: list[Kept]) -> None:
        """Make messages durable, with their watermarks, all or none.

        What the watermarks cover already is left out: they are read in the same transaction,
        so that neither a replay nor a lost answer can double a row.
        """

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep what is to be written of the message."""
        body = self.body_of(message)
        if body is not None:
            self._kept.append(Kept(body, self.position, self.put_aside))

    def flush(self) -> None:
        """Write what was kept. Raises :class:`ServerAwayError`; nothing is lost or doubled."""
        if not self._kept:
            return
        connection = self._connection()
        try:
            self.write(connection, self._kept)
        except ServerAwayError as error:
            raise self._link.lost(error) from error
        except self.server_errors as error:
            raise self._link.lost(error) from error
        self._kept.clear()
        self._used_at = time.monotonic()
        self._link.worked()

    def forget(self) -> None:
        """Drop what was kept."""
        self._kept.clear()

    def look_for_server(self) -> None:
        """Raise :class:`ServerAwayError` while there is no connection."""
        self._link.get()

    @property
    def spool_size_mb(self) -> int | None:
        """Most that this store's spool may take, MiB."""
        return self.config.spool_size_mb

    def free(self) -> None:
        """End the connection."""
        self._link.close()
        super().free()

    def _connection(self) -> ConnectionT:
        connection = self._link.get()
        if time.monotonic() - self._used_at > _IDLE_SECONDS:
            # Servers end idle connections; that is no reason to say that they are away.
            self._used_at = time.monotonic()
            if not self.is_alive(connection):
                raise self._link.lost(ServerAwayError("the idle connection was ended"))
        return connection
