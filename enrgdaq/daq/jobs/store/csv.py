"""The CSV store."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.csv as pacsv
import zstandard

from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.daq.store.files import AppendTarget, OpenTargets, SnapshotTarget, StoreTarget
from enrgdaq.daq.store.journal import read_journal
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigCSV,
)
from enrgdaq.daq.store.paths import data_path
from enrgdaq.errors import StoreError

_MOST_PARTS: Final = 1_000
_NO_HEADER: Final = pacsv.WriteOptions(include_header=False)


class DAQJobStoreCSV(DAQJobStore):
    """Writes rows into CSV files, each row once, whatever is killed when."""

    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [DAQJobStoreConfigCSV]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._files: OpenTargets[Path, bytes] = OpenTargets()
        self._parts: dict[tuple[Path, tuple[str, ...]], Path] = {}
        self._columns: dict[Path, list[str]] = {}
        self._compress = zstandard.ZstdCompressor().compress

    def store(self, message: DAQJobMessageStore) -> None:
        """Turn the message into CSV bytes and keep them for the file that they belong to."""
        settings = message.store_config.csv
        if settings is None:
            raise StoreError("the message asks for other stores than this one")
        columns, body = _csv_rows(message)
        if settings.overwrite:
            path = self._path(settings, message, part=1)
            body = _header_line(columns) + body
        else:
            path = self._part_for(settings, message, columns)
        self._files.open(path, lambda: self._make(path, settings, columns)).put(body, self.position)

    def flush(self) -> None:
        """Write what was kept, file by file."""
        for closed in self._files.flush(self.known_rings):
            self._parts = {key: part for key, part in self._parts.items() if part != closed}
            self._columns.pop(closed, None)

    def free(self) -> None:
        """Close all files."""
        self._files.close()
        super().free()

    def _make(
        self, path: Path, settings: DAQJobStoreConfigCSV, columns: list[str]
    ) -> StoreTarget[bytes]:
        compress: Callable[[bytes], bytes] = self._compress if settings.use_zstd else bytes
        if settings.overwrite:
            return SnapshotTarget(path, compress)
        header = _header_line(columns)

        def encode(bodies: list[bytes], is_first: bool) -> bytes:
            # One zstd frame a flush, so that the file is whole after every flush.
            return compress(b"".join([header, *bodies] if is_first else bodies))

        return AppendTarget(path, encode, columns)

    def _path(self, settings: DAQJobStoreConfigCSV, message: Any, part: int) -> Path:
        path = data_path(
            self.out_dir,
            settings.file_path,
            add_date=settings.add_date,
            timestamp=message.timestamp,
            tag=message.tag,
            part=part,
        )
        if settings.use_zstd and path.suffix != ".zst":
            path = path.with_name(path.name + ".zst")
        return path

    def _part_for(self, settings: DAQJobStoreConfigCSV, message: Any, columns: list[str]) -> Path:
        """The file with these columns: other columns go to another part, never mixed."""
        first = self._path(settings, message, part=1)
        key = (first, tuple(columns))
        if key in self._parts:
            return self._parts[key]
        for part in range(1, _MOST_PARTS):
            path = self._path(settings, message, part)
            found = self._columns_of(path)
            if found is None or found == columns:
                if part > 1:
                    self.log.warning(
                        "%s from %s has other columns than before (%s); its rows go to %s",
                        settings.file_path,
                        message.daq_job_info.unique_id if message.daq_job_info else "unknown",
                        ", ".join(columns),
                        path,
                    )
                self._parts[key] = path
                self._columns[path] = columns
                return path
        raise StoreError(
            f"{first} has {_MOST_PARTS} parts with different columns; choose a new name"
        )

    def _columns_of(self, path: Path) -> list[str] | None:
        """Columns of the file as it is, open or on disk; ``None`` when it is new or empty."""
        if path in self._columns:
            return self._columns[path]
        try:
            if not path.exists() or path.stat().st_size == 0:
                return None
            journal = read_journal(path)
            if journal is not None and journal.columns is not None:
                return journal.columns if journal.length else None
            return _header_of(path)
        except (OSError, StoreError):
            # Not the message's fault. The flush meets it again, says so and waits.
            return None


def _csv_rows(message: DAQJobMessageStore) -> tuple[list[str], bytes]:
    """Columns and CSV lines of a message."""
    if isinstance(message, DAQJobMessageStorePyArrow):
        table = _flat(message.get_table())
        sink = pa.BufferOutputStream()
        pacsv.write_csv(table, sink, _NO_HEADER)
        return table.column_names, sink.getvalue().to_pybytes()
    if isinstance(message, DAQJobMessageStoreTabular):
        rows: Any = message.data or ()
        if message.data_columns is not None:
            rows = zip(*(message.data_columns[key] for key in message.keys), strict=True)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return list(message.keys), text.getvalue().encode()
    raise StoreError(f"{type(message).__name__} has no rows for a CSV file; use the raw store")


def _flat(table: pa.Table) -> pa.Table:
    """Columns as CSV can hold them: lists and structs become JSON text."""
    import json

    for index, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind):
            table = table.set_column(index, field.name, table.column(index).cast(kind.value_type))
        elif pa.types.is_nested(kind):
            texts = [
                None if value is None else json.dumps(value, default=str)
                for value in table.column(index).to_pylist()
            ]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    return table


def _header_line(columns: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(columns)
    return text.getvalue().encode()


def _header_of(path: Path) -> list[str]:
    """First line of a CSV file that has no journal."""
    with path.open("rb") as file:
        stream: Any = file
        if path.suffix == ".zst":
            stream = zstandard.ZstdDecompressor().stream_reader(file)
        beginning = stream.read(1 << 16)
    lines = beginning.decode("utf-8-sig", errors="replace").splitlines()
    return next(csv.reader(lines), [])
