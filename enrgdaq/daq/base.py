"""DAQJob: the life of one job."""

import datetime as dt
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from enrgdaq.daq.models import (
    DAQJobConfig,
    DAQJobInfo,
    DAQJobMessage,
    DAQJobMessageStop,
    DAQJobStopError,
)
from enrgdaq.daq.watchdog import Watchdog
from enrgdaq.errors import CodecError, TransportError
from enrgdaq.models import SupervisorInfo

if TYPE_CHECKING:
    import pyarrow as pa

    from enrgdaq.daq.gather import RowGatherer
    from enrgdaq.daq.reservation import Column, Reservation, Slot
    from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobStoreConfig


class JobHost(Protocol):
    """What a job's process does for it. ``enrgdaq.testing`` has one for tests."""

    unique_id: str
    instance_id: int
    stopping: threading.Event

    def publish(self, message: DAQJobMessage) -> None:
        """Hand a message to the data plane; returns when it can no longer be lost."""

    def publish_many(self, messages: Sequence[DAQJobMessage]) -> None:
        """The same for many, in their order."""

    def reserve_table(self, message: "DAQJobMessageStore", length: int, rows: int) -> "Slot":
        """Space for the Arrow stream of a table that this message carries."""

    def consume(self, job: "DAQJob") -> None:
        """Give the job every message it subscribes to, until it is to stop."""

    def set_condition(self, text: str) -> None:
        """Show in status what the job is waiting for; empty when all is well."""


class DAQJob:
    """A job: a process of its own that takes data, stores it, or looks at it.

    Subclasses set :attr:`config_type` and write :meth:`start`, or, for jobs that only react
    to messages, :meth:`handle_message`. When ``start`` returns or raises, the supervisor
    starts the job again; a job that is done raises :class:`DAQJobStopError`.
    """

    config_type: type[DAQJobConfig] = DAQJobConfig
    config: Any
    allowed_message_in_types: ClassVar[list[type[DAQJobMessage]]] = []
    topics_to_subscribe: list[str] = []  # noqa: RUF012 - copied per instance below
    restart_offset: dt.timedelta = dt.timedelta(0)
    """Least wait before a restart."""
    multiprocessing_method: Literal["fork", "spawn", "default"] = "default"
    """Accepted from old jobs; every job starts from a clean fork."""
    watchdog_timeout_seconds: float = 0.0
    """Complain when ``self._watchdog.reset()`` is not called for so long, s; 0 is off."""
    watchdog_force_exit: bool = False
    """End the process, to be restarted, when the watchdog triggers."""

    is_mirror: ClassVar[bool] = False
    """Whether its ring holds records of other nodes: for links between nodes only."""

    def __init__(
        self,
        config: Any,
        supervisor_info: SupervisorInfo | None = None,
        *,
        host: JobHost | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError(f"{type(self).__name__}: unknown arguments {', '.join(kwargs)}")
        self.config = config
        self._host = host or _NoHost(type(self).__name__)
        self._supervisor_info = supervisor_info
        self.unique_id = self._host.unique_id
        self.instance_id = self._host.instance_id
        self._logger = logging.getLogger(self.unique_id)
        self._has_been_freed = False
        self._gatherers: list[RowGatherer] = []
        self._watchdog = Watchdog(self.watchdog_timeout_seconds)
        own_topics = [*type(self).topics_to_subscribe, *getattr(config, "topics_to_subscribe", [])]
        self.topics_to_subscribe = list(dict.fromkeys(own_topics))
        self.info = DAQJobInfo(
            daq_job_type=type(self).__name__,
            unique_id=self.unique_id,
            instance_id=self.instance_id,
            supervisor_info=supervisor_info,
        )

    def start(self) -> None:
        """The job's work. By default: handle messages until the job is to stop."""
        self._host.consume(self)

    def handle_message(self, message: DAQJobMessage) -> bool:
        """Take one message; ``False`` when it is not for this job.

        A message is done with when this returns: raising makes the job start again and get
        it again. Raises :class:`DAQJobStopError` for a stop message.
        """
        if isinstance(message, DAQJobMessageStop):
            raise DAQJobStopError(message.reason)
        return isinstance(message, tuple(self.allowed_message_in_types))

    def free(self) -> None:
        """Give back what the job holds (files, devices). Called once, at the end."""
        self._has_been_freed = True

    @property
    def log(self) -> logging.Logger:
        """The job's logger."""
        return self._logger

    @property
    def supervisor_id(self) -> str:
        """Name of the node."""
        return self._supervisor_info.supervisor_id if self._supervisor_info else "unknown"

    @property
    def stopping(self) -> bool:
        """Whether the job is to end: leave ``start()`` soon."""
        return self._host.stopping.is_set()

    def sleep(self, seconds: float) -> bool:
        """Sleep, but wake when the job is to stop; whether it may go on."""
        self._watchdog.reset()
        return not self._host.stopping.wait(max(0.0, seconds))

    def publish(self, message: DAQJobMessage, *, modify_message_metadata: bool = True) -> None:
        """Send a message to all who take its topics.

        When this returns the message can only be lost with the machine: it is in memory
        that outlives this process. Waits while a consumer that holds is too far behind.
        Sets ``daq_job_info`` unless ``modify_message_metadata`` is false (for messages that
        are passed on). Raises :class:`DAQJobStopError` when the job is to stop while it
        waits, :class:`RecordTooLargeError` for what can never fit.
        """
        if not modify_message_metadata:
            self._host.publish(message)
            return
        # Readers know the sender from the ring; only messages passed on carry it along.
        try:
            message.daq_job_info = None
        except AttributeError as error:
            raise CodecError(f"publish takes messages, not {message!r:.200}") from error
        self._host.publish(message)
        message.daq_job_info = self.info

    def publish_many(self, messages: Sequence[DAQJobMessage]) -> None:
        """Send messages in their order: small raw ones for a quarter of what :meth:`publish` costs.

        When this returns none of them can be lost but with the machine. They share the time
        of the call. Small raw messages to one place travel together, up to 256 KiB of them: a
        job of the user's that crashes at one gets those before it a second time.
        Raises as :meth:`publish` does; then those before the one that could not be sent are
        on their way, and the others are not.
        """
        for message in messages:
            message.daq_job_info = None
        self._host.publish_many(messages)
        for message in messages:
            message.daq_job_info = self.info

    def reserve(
        self,
        store_config: "DAQJobStoreConfig",
        columns: "Mapping[str, Column]",
        rows: int,
        *,
        tag: str | None = None,
        units: "Mapping[str, str] | None" = None,
    ) -> "Reservation":
        """A table in the ring itself, for the job to fill: no copy at all.

        ``columns`` gives each column's numpy type, or ``(type, n)`` for ``n`` values a row::

            with self.reserve(config, {"t": np.float64, "adc": (np.int16, 1024)}, 200) as table:
                table.columns["t"][:] = times
                digitizer.read_into(table.columns["adc"])  # shape (200, 1024)

        The table is sent when the block is left, not at all when an exception leaves it. A view
        of a part of a column that is kept beyond the block still points into the ring: what is
        written through it then spoils what others read.
        ``units`` names the units of columns that have one. Nothing else of this job is
        published meanwhile. Waits and raises as :meth:`publish`.
        """
        from enrgdaq.daq.reservation import Reservation, table_layout
        from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow

        layout = table_layout(columns, rows, units)
        message = DAQJobMessageStorePyArrow(store_config=store_config, tag=tag)
        slot = self._host.reserve_table(message, layout.size, rows)
        return Reservation(slot, layout, rows)

    def gather_rows(
        self,
        store_config: "DAQJobStoreConfig",
        columns: "Sequence[str] | pa.Schema",
        *,
        tag: str | None = None,
        max_rows: int = 10_000,
        max_bytes: int = 1_000_000,
        max_milliseconds: float = 100.0,
    ) -> "RowGatherer":
        """For rows that come one by one, faster than a message for each can be sent.

        Rows given to the gatherer's ``add`` go out as Arrow tables: when ``max_rows`` or about
        ``max_bytes`` have come together, or when the first has waited ``max_milliseconds``.
        ``columns`` are names, or a schema that fixes the types and units too. A process that
        is killed takes with it what it has gathered and not sent; what is there when the job
        ends in order is sent.
        """
        from enrgdaq.daq.gather import RowGatherer

        gatherer = RowGatherer(
            self.publish,
            store_config,
            columns,
            tag=tag,
            max_rows=max_rows,
            max_bytes=max_bytes,
            max_milliseconds=max_milliseconds,
            log=self.log,
        )
        self._gatherers.append(gatherer)
        return gatherer

    def send_gathered(self) -> None:
        """Send what is gathered, for good. Called once, before :meth:`free`."""
        for gatherer in self._gatherers:
            gatherer.close()

    def _put_message_out(
        self, message: DAQJobMessage, use_shm: bool = False, modify_message_metadata: bool = True
    ) -> None:
        """Old name of :meth:`publish`; ``use_shm`` has no effect, memory is always shared."""
        self.publish(message, modify_message_metadata=modify_message_metadata)

    def set_condition(self, text: str) -> None:
        """Show in status and console what the job waits for; empty when all is well."""
        self._host.set_condition(text)


class _NoHost:
    """Stands where the process would be for a job that was made by hand."""

    def __init__(self, name: str) -> None:
        self.unique_id = name
        self.instance_id = 0
        self.stopping = threading.Event()
        self._name = name

    def publish(self, message: DAQJobMessage) -> None:
        raise TransportError(
            f"{self._name} is not run by a supervisor; in tests pass host=RecordingHost()"
        )

    def publish_many(self, messages: Sequence[DAQJobMessage]) -> None:
        for message in messages:
            self.publish(message)

    def reserve_table(self, message: "DAQJobMessageStore", length: int, rows: int) -> "Slot":
        raise TransportError(f"{self._name} is not run by a supervisor")

    def consume(self, job: DAQJob) -> None:
        raise TransportError(f"{self._name} is not run by a supervisor")

    def set_condition(self, text: str) -> None:
        pass
