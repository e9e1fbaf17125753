"""Rows of HDF5 files: compound datasets, and groups of columns."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enrgdaq.daq.jobs.arrow_columns import Columns, arrow_columns, check_names, record_batch
from enrgdaq.errors import ConfigurationError


class HDF5Source:
    """A compound dataset (one row per entry), a plain one, or a group of columns.

    In a group every dataset is a column; all must have the same length. Those whose names
    begin with an underscore (indices, by the habit of PyTables and km3io) are left out
    unless ``columns`` names them.
    """

    def __init__(
        self, path: Path, object_path: str | None, columns: list[str] | None, batch_rows: int
    ) -> None:
        import h5py

        self._file = h5py.File(path, "r")
        try:
            where = object_path or _only_object(self._file, path)
            if where not in self._file:
                raise ConfigurationError(
                    f"object_path = {where!r} is not in {path}; it has "
                    f"{', '.join(_row_objects(self._file)) or 'no rows at all'}"
                )
            found = self._file[where]
            if isinstance(found, h5py.Dataset):
                self._parts, self.total_rows = _open_dataset(found, columns, where)
            else:
                self._parts, self.total_rows = _open_group(found, columns, where)
        except BaseException:
            self._file.close()
            raise
        self._columns = columns
        self._batch_rows = batch_rows

    def batches(self) -> Iterator[Any]:
        """See :meth:`RowSource.batches`."""
        for begin in range(0, self.total_rows or 0, self._batch_rows):
            end = min(begin + self._batch_rows, self.total_rows or 0)
            read: Columns = []
            for name, view in self._parts:
                read += arrow_columns(name, view[begin:end])
            batch = record_batch(read)
            yield batch.select(self._columns) if self._columns else batch

    def close(self) -> None:
        """See :meth:`RowSource.close`."""
        self._file.close()


def _open_dataset(
    dataset: Any, columns: list[str] | None, where: str
) -> tuple[list[tuple[str, Any]], int | None]:
    if dataset.ndim == 0:
        raise ConfigurationError(f"object_path = {where!r} is a single value, it has no rows")
    if dataset.dtype.names is None:
        name = where.rstrip("/").rpartition("/")[2]
        check_names(columns or [], [name], where)
        return [(name, dataset)], dataset.shape[0]
    known = [name for name, _ in arrow_columns("", dataset[:0])] if columns else []
    check_names(columns or [], known, where)
    # Only the fields that are asked for are taken out of each entry.
    fields = list(dict.fromkeys(name.partition(".")[0] for name in columns or []))
    if fields and set(fields) <= set(dataset.dtype.names):
        return [(field, dataset.fields(field)) for field in fields], dataset.shape[0]
    return [("", dataset)], dataset.shape[0]


def _open_group(
    group: Any, columns: list[str] | None, where: str
) -> tuple[list[tuple[str, Any]], int | None]:
    parts = [(name, dataset) for name, dataset in _datasets(group) if dataset.ndim > 0]
    if columns is None:
        parts = [(name, dataset) for name, dataset in parts if not name.startswith("_")]
    else:
        check_names(columns, [name for name, _ in parts], where)
        parts = [(name, dataset) for name, dataset in parts if name in columns]
    if not parts:
        raise ConfigurationError(f"object_path = {where!r} is a group without columns")
    lengths = {name: dataset.shape[0] for name, dataset in parts}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ConfigurationError(
            f"object_path = {where!r}: its datasets have different lengths ({shown}); "
            "pick those that belong together with columns = [...], or name one dataset"
        )
    return parts, next(iter(lengths.values()))


def _datasets(group: Any) -> list[tuple[str, Any]]:
    import h5py

    return [(name, item) for name, item in group.items() if isinstance(item, h5py.Dataset)]


def _row_objects(file: Any) -> list[str]:
    """Paths of the compound datasets, and of the groups that hold plain ones."""
    import h5py

    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        if any(part.startswith("_") for part in name.split("/")):
            return
        if isinstance(item, h5py.Dataset):
            where = name if item.dtype.names else name.rpartition("/")[0] or "/"
            if item.ndim and where not in found:
                found.append(where)

    file.visititems(visit)
    return found


def _only_object(file: Any, path: Path) -> str:
    found = _row_objects(file)
    if len(found) != 1:
        raise ConfigurationError(
            f"{path} has {len(found)} objects with rows ({', '.join(found)}); "
            "name one of them in object_path"
        )
    return found[0]
