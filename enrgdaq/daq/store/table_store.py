"""Base of the stores that take rows with typed columns."""

from abc import abstractmethod
from typing import Any, Generic, TypeVar

import pyarrow as pa

from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.daq.store.files import OpenTargets, Place, StoreTarget, check_kind
from enrgdaq.daq.store.models import DAQJobMessageStore, DAQJobStoreConfigBase
from enrgdaq.daq.store.parts import Parts, writable
from enrgdaq.daq.store.provenance import ns_of
from enrgdaq.daq.store.rows import table_of
from enrgdaq.errors import StoreError

Settings = TypeVar("Settings", bound=DAQJobStoreConfigBase)


class DAQJobTableStore(DAQJobStore, Generic[Settings, Place]):
    """Sends the rows of messages to files or tables, one part for each set of columns.

    Subclasses say where rows go (:meth:`place`), what columns that place has already
    (:meth:`schema_at`) and make the targets that write them (:meth:`make_target`).
    """

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.parts: Parts[Place] = Parts(self.schema_at, self.log, self.begin_schema)
        self.targets: OpenTargets[Place, pa.Table] = OpenTargets()

    @abstractmethod
    def settings_of(self, message: DAQJobMessageStore) -> Settings | None:
        """This backend's section of the message's store config."""

    @abstractmethod
    def place(self, settings: Settings, message: DAQJobMessageStore, part: int) -> Place:
        """Where the message's rows go; ``part`` is 1, or more for rows with other columns.

        Raises :class:`StoreError` for names that the backend cannot use.
        """

    @abstractmethod
    def schema_at(self, place: Place) -> pa.Schema | None:
        """Columns of what a place holds from an earlier run; ``None`` for nothing."""

    def begin_schema(self, rows: pa.Schema) -> pa.Schema:
        """Columns of a new place from those of its first rows."""
        return writable(rows)

    @abstractmethod
    def make_target(
        self, place: Place, settings: Settings, schema: pa.Schema, message: DAQJobMessageStore
    ) -> StoreTarget[pa.Table]:
        """What writes rows of exactly this schema there. Must not open anything yet.

        ``message`` is the first to go there, for what the file says of its origin.
        """

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep the message's rows for the place that they belong to."""
        settings = self.settings_of(message)
        if settings is None:
            raise StoreError("the message asks for other stores than this one")
        table = table_of(message)
        if not table.num_rows:
            return
        producer = message.daq_job_info.unique_id if message.daq_job_info else "unknown"
        place, rows = self.parts.fit(
            lambda part: self.place(settings, message, part), table, producer
        )
        self.time_ns = ns_of(message)
        try:
            target = self.targets.open(
                place, lambda: self.make_target(place, settings, self.parts.schema(place), message)
            )
        except StoreError:
            # What is in its way may be on disk by the next message: that goes to a part then.
            self.parts.forget(place)
            raise
        check_kind(target, place, overwrites=False)
        target.check(rows)
        target.put(rows, self.position)

    def flush(self) -> None:
        """Make what was kept durable, place by place."""
        for closed in self.targets.flush(self.known_rings):
            self.parts.forget(closed)

    def free(self) -> None:
        """Close all targets."""
        self.targets.close()
        super().free()
