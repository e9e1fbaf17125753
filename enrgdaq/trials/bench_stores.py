"""What a benchmark through a store writes: read back, and written by the library alone."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from enrgdaq.daq.numbered_words import are_whole, make_words

if TYPE_CHECKING:
    from enrgdaq.trials.bench import BenchPlan

Numbers = np.ndarray[Any, np.dtype[np.int64]]

_LEAST_LIBRARY_SECONDS: Final = 1.0
_ROW: Final = 16  # bytes
_ROWS_A_BATCH: Final = 1_000  # single rows come to a store by the thousand between two flushes


class Output(ABC):
    """One kind of store: its settings, its output, and its library."""

    job_type: ClassVar[str]
    suffix: ClassVar[str]
    bytes_a_number = _ROW

    def __init__(self, out: Path, plan: "BenchPlan") -> None:
        self.folder = out / "store"
        self._alone = out / f"alone{self.suffix}"
        # Half as long as the store, before the run and once more after: within a second the
        # kernel does not yet write to the disk.
        self._library_seconds = max(_LEAST_LIBRARY_SECONDS, plan.seconds / 2)
        self._rows = max(1, plan.payload_bytes // _ROW) if plan.lane == "arrow" else _ROWS_A_BATCH

    def store_config(self, producer: str) -> dict[str, Any]:
        """The producer's ``[store_config]``."""
        return {self.suffix[1:]: {"file_path": f"{producer}{self.suffix}"}}

    def read(self, producer: str) -> tuple[Numbers, int]:
        """Numbers in their order, and how many of them have the right content beside them."""
        table = self.table(self.folder / f"{producer}{self.suffix}")
        numbers = np.asarray(table["number"], dtype=np.int64)
        return numbers, int(np.count_nonzero(np.asarray(table["value"]) == numbers * 0.5))

    def library_rate(self, first: int = 0) -> float:
        """Rows per second of the library alone: the same rows and batches, the same disk.

        ``first``: the number to begin with. The text of large numbers is longer.
        """
        write, close = self.writer(self._alone, self._batch(first))
        rows, seconds = 0, 0.0
        while seconds < self._library_seconds:
            table = self._batch(first + rows)
            began = time.perf_counter()
            write(table)
            seconds += time.perf_counter() - began
            rows += self._rows
        began = time.perf_counter()
        close()
        seconds += time.perf_counter() - began
        self._alone.unlink()
        return rows / seconds

    def _batch(self, first: int) -> pa.Table:
        numbers = np.arange(first, first + self._rows, dtype=np.int64)
        return pa.table({"number": numbers, "value": numbers * 0.5})

    @abstractmethod
    def table(self, path: Path) -> Any:
        """What a file holds, by column."""

    @abstractmethod
    def writer(
        self, path: Path, table: pa.Table
    ) -> tuple[Callable[[pa.Table], object], Callable[[], object]]:
        """What writes tables like this one with the library, and what ends the file."""


class CsvOutput(Output):
    """CSV, by pyarrow."""

    job_type = "DAQJobStoreCSV"
    suffix = ".csv"

    def table(self, path: Path) -> Any:
        """See :class:`Output`."""
        import pyarrow.csv as pacsv

        return pacsv.read_csv(path)

    def writer(
        self, path: Path, table: pa.Table
    ) -> tuple[Callable[[pa.Table], object], Callable[[], object]]:
        """See :class:`Output`."""
        import pyarrow.csv as pacsv

        writer = pacsv.CSVWriter(path, table.schema)
        return writer.write_table, writer.close


class Hdf5Output(Output):
    """HDF5, by h5py."""

    job_type = "DAQJobStoreHDF5"
    suffix = ".h5"

    def store_config(self, producer: str) -> dict[str, Any]:
        """See :class:`Output`."""
        return {"hdf5": {"file_path": f"{producer}.h5", "dataset_name": "rows"}}

    def table(self, path: Path) -> Any:
        """See :class:`Output`."""
        import h5py

        with h5py.File(path) as file:
            return {name: file[f"rows/{name}"][:] for name in ("number", "value")}

    def writer(
        self, path: Path, table: pa.Table
    ) -> tuple[Callable[[pa.Table], object], Callable[[], object]]:
        """See :class:`Output`."""
        import h5py

        file = h5py.File(path, "w", libver="latest")
        datasets = {
            name: file.create_dataset(
                name, (0,), maxshape=(None,), dtype=values.dtype, chunks=(65_536,)
            )
            for name, values in _columns(table).items()
        }

        def write(rows: pa.Table) -> None:
            for name, values in _columns(rows).items():
                dataset = datasets[name]
                begin = dataset.shape[0]
                dataset.resize(begin + len(values), axis=0)
                dataset[begin:] = values

        return write, file.close


class RootOutput(Output):
    """ROOT, by uproot."""

    job_type = "DAQJobStoreROOT"
    suffix = ".root"

    def store_config(self, producer: str) -> dict[str, Any]:
        """See :class:`Output`."""
        return {"root": {"file_path": f"{producer}.root", "tree_name": "rows"}}

    def table(self, path: Path) -> Any:
        """See :class:`Output`. A long run is in several files, the last perhaps not made yet."""
        import uproot

        from enrgdaq.daq.store.root.finish import outcome

        for roll in path.parent.glob(".*.closed"):
            outcome(roll)
        parts = []
        for file in (path, *path.parent.glob(f"{path.stem}_*.root")):
            with uproot.open(file) as tree:
                parts.append(tree["rows"].arrays(library="np"))
        # Files are numbered as they were finished; the order that counts is within each.
        parts.sort(key=lambda part: int(part["number"][0]))
        names = ("number", "value")
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def writer(
        self, path: Path, table: pa.Table
    ) -> tuple[Callable[[pa.Table], object], Callable[[], object]]:
        """See :class:`Output`."""
        import uproot

        file = uproot.recreate(path, compression=uproot.ZSTD(5))
        kinds = {name: values.dtype for name, values in _columns(table).items()}
        tree = file.mktree("rows", kinds)
        return lambda rows: tree.extend(_columns(rows)), file.close


class RawOutput(Output):
    """Bytes, by a plain file."""

    job_type = "DAQJobStoreRaw"
    suffix = ".raw"

    def __init__(self, out: Path, plan: "BenchPlan") -> None:
        super().__init__(out, plan)
        self._rows = 1
        self._payload = make_words(plan.payload_bytes)
        self.bytes_a_number = self._payload.nbytes

    def store_config(self, producer: str) -> dict[str, Any]:
        """See :class:`Output`."""
        return {"raw": {"file_path": f"{producer}.raw", "overwrite": False}}

    def read(self, producer: str) -> tuple[Numbers, int]:
        """See :class:`Output`."""
        words = np.fromfile(self.folder / f"{producer}.raw", np.uint64)
        payloads = words.reshape(-1, len(self._payload))
        return payloads[:, 0].astype(np.int64), int(np.count_nonzero(are_whole(payloads)))

    def table(self, path: Path) -> Any:
        """Bytes have no columns."""
        raise TypeError(path)

    def writer(
        self, path: Path, table: pa.Table
    ) -> tuple[Callable[[pa.Table], object], Callable[[], object]]:
        """See :class:`Output`."""
        file = path.open("wb", buffering=0)
        payload = self._payload
        return lambda _: file.write(payload.data), file.close


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name].to_numpy() for name in table.column_names}


OUTPUTS: Final[dict[str, type[Output]]] = {
    "csv": CsvOutput,
    "hdf5": Hdf5Output,
    "raw": RawOutput,
    "root": RootOutput,
}
