"""The CSV store."""

from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from enrgdaq.daq.store.csv_file import GrowingCSV, schema_in, snapshot_csv
from enrgdaq.daq.store.csv_text import check_types, check_values, columns_to_check
from enrgdaq.daq.store.files import StoreTarget, check_kind
from enrgdaq.daq.store.journal import marks_in
from enrgdaq.daq.store.life import FileLife
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigCSV,
)
from enrgdaq.daq.store.paths import check_place, message_path
from enrgdaq.daq.store.rolls import present_path
from enrgdaq.daq.store.rows import table_of
from enrgdaq.daq.store.table_store import DAQJobTableStore
from enrgdaq.errors import StoreError


class DAQJobStoreCSV(DAQJobTableStore[DAQJobStoreConfigCSV, Path]):
    """Writes rows into CSV files, each row once, whatever is killed when."""

    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [DAQJobStoreConfigCSV]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._life = FileLife(self, "csv", marks_in)

    def store(self, message: DAQJobMessageStore) -> None:
        """See :class:`DAQJobTableStore`. A live snapshot may have any columns, and no rows."""
        settings = self.settings_of(message)
        if settings is None or not settings.overwrite:
            super().store(message)
            return
        table = table_of(message)
        check_types(table.schema)
        check_values(table, columns_to_check(table.schema))
        path = self.place(settings, message, part=1)
        target = self.targets.open(path, lambda: self._snapshot(path, settings))
        check_kind(target, path, overwrites=True)
        target.put(table, self.position)

    def _snapshot(self, path: Path, settings: DAQJobStoreConfigCSV) -> StoreTarget[pa.Table]:
        check_place(path, self.targets.places())
        return snapshot_csv(path, compresses=settings.use_zstd, syncs=self.syncs)

    def settings_of(self, message: DAQJobMessageStore) -> DAQJobStoreConfigCSV | None:
        """See :class:`DAQJobTableStore`."""
        return message.store_config.csv

    def place(self, settings: DAQJobStoreConfigCSV, message: DAQJobMessageStore, part: int) -> Path:
        """See :class:`DAQJobTableStore`."""
        return message_path(self.out_dir, settings, message, part)

    def schema_at(self, place: Path) -> pa.Schema | None:
        """See :class:`DAQJobTableStore`."""
        try:
            return schema_in(present_path(place))
        except (OSError, StoreError):
            # Not the message's fault. The flush meets it again, says so and waits.
            return None

    def begin_schema(self, rows: pa.Schema) -> pa.Schema:
        """See :class:`DAQJobTableStore`. A column without a value yet may become anything."""
        return pa.schema([(field.name, field.type) for field in rows])

    def make_target(
        self,
        place: Path,
        settings: DAQJobStoreConfigCSV,
        schema: pa.Schema,
        message: DAQJobMessageStore,
    ) -> StoreTarget[pa.Table]:
        """See :class:`DAQJobTableStore`."""
        check_place(place, self.targets.places())

        def make(path: Path) -> StoreTarget[pa.Table]:
            return GrowingCSV(
                path,
                lambda: self.parts.schema(place),
                compresses=settings.use_zstd,
                syncs=self.syncs,
            )

        return self._life.target(settings, place, "", make, len)

    def tend(self) -> None:
        """See :class:`DAQJobStore`."""
        self._life.tend()

    def free(self) -> None:
        """Close all files."""
        self.targets.close()
        self._life.close()
        super().free()
