"""Files as a sequence of record batches, whatever their format."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

from enrgdaq.daq.jobs.arrow_columns import check_names, slices
from enrgdaq.errors import ConfigurationError, EnrgdaqError

ReplayFormat = Literal["csv", "parquet", "arrow", "hdf5", "root"]

_SUFFIXES: dict[str, ReplayFormat] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".root": "root",
}
_COMPRESSED = (".zst", ".gz", ".bz2")
_CSV_BLOCK_BYTES = 1 << 20


class ReplayError(EnrgdaqError):
    """A file cannot be read on: damaged, cut short, or of a type that was guessed wrongly."""


class RowSource(Protocol):
    """An open file of rows. Holds at most a few batches of it in memory."""

    total_rows: int | None
    """Rows in the file; ``None`` when only reading it to the end would tell."""

    def batches(self) -> Iterator[Any]:
        """``pyarrow.RecordBatch`` after ``pyarrow.RecordBatch``, from the first row."""

    def close(self) -> None:
        """Close the file; idempotent."""


def guess_format(path: Path) -> ReplayFormat:
    """Format by the extension; ``.csv.zst`` is CSV. Raises ``ConfigurationError``."""
    name = path.name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    found = _SUFFIXES.get(Path(name).suffix)
    if found is None:
        raise ConfigurationError(
            f"file_path = {str(path)!r}: the extension tells no format; "
            'set format = "csv", "parquet", "arrow", "hdf5" or "root"'
        )
    return found


def open_source(
    path: Path,
    *,
    format: ReplayFormat | None = None,
    object_path: str | None = None,
    columns: list[str] | None = None,
    column_types: dict[str, str] | None = None,
    batch_rows: int = 10_000,
) -> RowSource:
    """Open a file of rows.

    ``object_path`` names the dataset, group or tree in HDF5 and ROOT files; ``columns``
    picks and orders columns; ``column_types`` (CSV only) maps columns to Arrow types.
    Raises ``ConfigurationError`` when the file, the object or a column is not there.
    """
    if not path.is_file():
        raise ConfigurationError(f"file_path = {str(path)!r}: there is no such file")
    format = format or guess_format(path)
    try:
        if format == "csv":
            return CSVSource(path, columns, column_types or {}, batch_rows)
        if format == "parquet":
            return ParquetSource(path, columns, batch_rows)
        if format == "arrow":
            return ArrowSource(path, columns, batch_rows)
        if format == "hdf5":
            from enrgdaq.daq.jobs.replay_hdf5 import HDF5Source

            return HDF5Source(path, object_path, columns, batch_rows)
        from enrgdaq.daq.jobs.replay_root import ROOTSource

        return ROOTSource(path, object_path, columns, batch_rows)
    except (OSError, ValueError) as error:
        # pyarrow, h5py and uproot raise these for files that are not what they seem.
        raise ConfigurationError(
            f"file_path = {str(path)!r} cannot be read as {format}: {error}"
        ) from error


class CSVSource:
    """A CSV file with a header, plain or compressed (``.zst``, ``.gz``, ``.bz2``).

    Types are guessed from the first megabyte; a later value that does not fit is an error
    that names ``column_types``.
    """

    def __init__(
        self,
        path: Path,
        columns: list[str] | None,
        column_types: dict[str, str],
        batch_rows: int,
    ) -> None:
        import pyarrow as pa

        self._path = path
        self._columns = columns
        self._batch_rows = batch_rows
        self._types = {}
        for name, alias in column_types.items():
            try:
                self._types[name] = pa.type_for_alias(alias)
            except ValueError as error:
                raise ConfigurationError(
                    f"column_types.{name} = {alias!r} is no Arrow type; "
                    "use int64, float64, string, bool or timestamp[ns]"
                ) from error
        self.total_rows: int | None = None
        with self._open() as reader:
            check_names([*(columns or []), *self._types], reader.schema.names, str(path))

    def _open(self, columns: list[str] | None = None) -> Any:
        import pyarrow as pa
        import pyarrow.csv

        return pa.csv.open_csv(
            pa.input_stream(str(self._path), compression="detect"),
            # One thread: the job shares the machine with those that take data.
            pa.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False),
            convert_options=pa.csv.ConvertOptions(
                column_types=self._types, include_columns=columns or []
            ),
        )

    def batches(self) -> Iterator[Any]:
        """See :meth:`RowSource.batches`."""
        import pyarrow as pa

        with self._open(self._columns) as reader:
            try:
                for batch in reader:
                    yield from slices(batch, self._batch_rows)
            except pa.ArrowInvalid as error:
                raise ReplayError(
                    f"file_path = {str(self._path)!r}: {error}; if the type was guessed "
                    "wrongly, give it in column_types"
                ) from error

    def close(self) -> None:
        """Nothing is open between two passes."""


class ParquetSource:
    """A Parquet file, read row group by row group."""

    def __init__(self, path: Path, columns: list[str] | None, batch_rows: int) -> None:
        import pyarrow.parquet as pq

        # Prefetching would hold whole row groups of all columns.
        self._file = pq.ParquetFile(path, pre_buffer=False)
        try:
            check_names(columns or [], self._file.schema_arrow.names, str(path))
        except ConfigurationError:
            self._file.close()
            raise
        self._columns = columns
        self._batch_rows = batch_rows
        self.total_rows: int | None = self._file.metadata.num_rows

    def batches(self) -> Iterator[Any]:
        """See :meth:`RowSource.batches`."""
        for batch in self._file.iter_batches(
            self._batch_rows, columns=self._columns, use_threads=False
        ):
            yield batch.select(self._columns) if self._columns else batch

    def close(self) -> None:
        """See :meth:`RowSource.close`."""
        self._file.close()


@contextlib.contextmanager
def _open_arrow(path: Path, is_file: bool) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Schema and batches. Read, not mapped: somebody may cut the file meanwhile."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        if is_file:
            reader = pa.ipc.open_file(file)
            yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            stream = pa.ipc.open_stream(file)
            yield stream.schema, iter(stream)


class ArrowSource:
    """An Arrow IPC file or stream, told apart by its first bytes."""

    def __init__(self, path: Path, columns: list[str] | None, batch_rows: int) -> None:
        self._path = path
        self._columns = columns
        self._batch_rows = batch_rows
        with path.open("rb") as file:
            self._is_file = file.read(6) == b"ARROW1"
        self.total_rows: int | None = None
        with _open_arrow(path, self._is_file) as (schema, _):
            check_names(columns or [], schema.names, str(path))

    def batches(self) -> Iterator[Any]:
        """See :meth:`RowSource.batches`."""
        with _open_arrow(self._path, self._is_file) as (_, stored):
            for batch in stored:
                picked = batch.select(self._columns) if self._columns else batch
                yield from slices(picked, self._batch_rows)

    def close(self) -> None:
        """Nothing is open between two passes."""
