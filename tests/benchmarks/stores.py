"""Rows per second through each store, against its library used directly.

``uv run python -m tests.benchmarks.stores [NAME ...] [--mb N]``. Both sides write the same
tables with the same batch sizes in one process; they take turns, and the best of three
counts. The store's side does all that it does in a run but reading rings: messages, columns,
parts, watermarks, commits.

A benchmark is a function in :data:`BENCHMARKS`; add one for each store.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import (
    DAQJobStoreConfig,
    DAQJobStoreConfigHDF5,
    DAQJobStoreConfigROOT,
)
from enrgdaq.testing import RecordingHost
from tests.daq.store.tables import message

ROUNDS = 3
Write = Callable[[Path, pa.Table, int], Any]


class Load(NamedTuple):
    """Tables of one shape, all alike."""

    name: str
    table: pa.Table
    tables_a_flush: int


class Benchmark(NamedTuple):
    """A store and its library; each writes a table ``count`` times into a folder."""

    store: Write
    library: Write
    wanted: float
    """Least share of the library's rate."""


def loads() -> list[Load]:
    """Small rows at 8 MB a flush, and waveforms at 13 MB a flush."""
    random = np.random.default_rng(1)
    rows = 10_000
    numbers = pa.table({f"c{i}": random.normal(size=rows) for i in range(10)})
    offsets = np.arange(1_001, dtype=np.int32) * 512
    samples = random.integers(0, 16_384, 512_000).astype(np.uint16)
    waveforms = pa.table(
        {
            "time_ns": np.arange(1_000),
            "channel": np.zeros(1_000, np.uint16),
            "waveform": pa.ListArray.from_arrays(pa.array(offsets), pa.array(samples)),
        }
    )
    return [Load("10 doubles", numbers, 10), Load("waveforms of 512", waveforms, 13)]


def flush_of(load: Load) -> pa.Table:
    """The rows of one flush in one piece, for the library."""
    return pa.concat_tables([load.table] * load.tables_a_flush).combine_chunks()


def fill_store(store: DAQJobStore, config: DAQJobStoreConfig, load: Load, count: int) -> None:
    """Give a store so many tables, flushed as in a run."""
    sent = message(load.table, config)
    for number in range(count):
        store.position = Position("ring", number + 1)
        store.store(sent)
        if (number + 1) % load.tables_a_flush == 0:
            store.flush()


def _hdf5(load: Load) -> Benchmark:
    import h5py

    from enrgdaq.daq.jobs.store.hdf5 import DAQJobStoreHDF5
    from enrgdaq.daq.store.base import DAQJobStoreJobConfig

    def store(folder: Path, table: pa.Table, count: int) -> None:
        config = DAQJobStoreJobConfig(daq_job_type="DAQJobStoreHDF5", out_dir=str(folder))
        job = DAQJobStoreHDF5(config, host=RecordingHost())
        settings = DAQJobStoreConfigHDF5(file_path="a.h5", dataset_name="rows")
        fill_store(job, DAQJobStoreConfig(hdf5=settings), load, count)
        job.free()

    def library(folder: Path, table: pa.Table, count: int) -> None:
        with h5py.File(folder / "a.h5", "w", libver="latest") as file:
            sets: dict[str, Any] = {}
            for name in [*table.column_names, "offsets"]:
                dtype = "u8"
                if name != "offsets":
                    kind = table.schema.field(name).type
                    dtype = (kind.value_type if pa.types.is_list(kind) else kind).to_pandas_dtype()
                sets[name] = file.create_dataset(
                    name, (0,), maxshape=(None,), dtype=dtype, chunks=(131_072,)
                )
            for _ in range(count // load.tables_a_flush):
                rows = flush_of(load)
                for name in rows.column_names:
                    column = rows.column(name).chunk(0)
                    if pa.types.is_list(column.type):
                        _append(sets["offsets"], column.offsets.to_numpy()[1:])
                        column = column.values
                    _append(sets[name], column.to_numpy())
                file.flush()

    return Benchmark(store, library, 0.8)


def _append(dataset: Any, values: Any) -> None:
    begin = dataset.shape[0]
    dataset.resize(begin + len(values), axis=0)
    dataset[begin:] = values


def _root_store(load: Load, folder: Path, count: int) -> Any:
    from enrgdaq.daq.jobs.store.root import DAQJobStoreROOT, DAQJobStoreROOTConfig

    config = DAQJobStoreROOTConfig(
        daq_job_type="DAQJobStoreROOT", out_dir=str(folder), roll_size_mb=1e6
    )
    job = DAQJobStoreROOT(config, host=RecordingHost())
    settings = DAQJobStoreConfigROOT(
        file_path="a.root", tree_name="rows", compression_type="ZSTD", compression_level=1
    )
    fill_store(job, DAQJobStoreConfig(root=settings), load, count)
    return job


def _root_journal(load: Load) -> Benchmark:
    def store(folder: Path, table: pa.Table, count: int) -> None:
        _root_store(load, folder, count).free()

    def library(folder: Path, table: pa.Table, count: int) -> None:
        with (
            pa.OSFile(str(folder / "a.arrow"), "wb") as sink,
            pa.ipc.new_stream(sink, table.schema) as writer,
        ):
            for _ in range(count // load.tables_a_flush):
                writer.write_table(flush_of(load))

    return Benchmark(store, library, 0.8)


def _root_file(load: Load) -> Benchmark:
    import awkward as ak
    import uproot
    from awkward.contents import ListOffsetArray, NumpyArray
    from awkward.index import Index32

    from enrgdaq.daq.store.root.finish import finish

    def store(folder: Path, table: pa.Table, count: int) -> float:
        job = _root_store(load, folder, count)
        job._rolls.close_all()
        (closed,) = folder.glob(".*.closed")
        begin = time.perf_counter()
        finish(closed)
        return time.perf_counter() - begin

    def library(folder: Path, table: pa.Table, count: int) -> None:
        with uproot.recreate(folder / "a.root", compression=uproot.ZSTD(1)) as file:
            types: dict[str, Any] = {}
            for field in table.schema:
                is_list = pa.types.is_list(field.type)
                kind = np.dtype(
                    (field.type.value_type if is_list else field.type).to_pandas_dtype()
                )
                types[field.name] = f"var * {kind}" if is_list else kind
            tree = file.mktree("rows", types)
            for _ in range(count // load.tables_a_flush):
                rows = flush_of(load)
                values: dict[str, Any] = {}
                for name in table.column_names:
                    column = rows.column(name).chunk(0)
                    if pa.types.is_list(column.type):
                        offsets = Index32(column.offsets.to_numpy())
                        items = NumpyArray(column.values.to_numpy())
                        values[name] = ak.Array(ListOffsetArray(offsets, items))
                    else:
                        values[name] = column.to_numpy()
                tree.extend(values)

    return Benchmark(store, library, 0.35)


BENCHMARKS: dict[str, Callable[[Load], Benchmark]] = {
    "hdf5": _hdf5,
    "root-journal": _root_journal,
    "root-file": _root_file,
}


def seconds(write: Write, load: Load, count: int) -> float:
    """How long it takes; a writer that prepares first says itself how long the rest took."""
    folder = Path(tempfile.mkdtemp(prefix="enrgdaq-stores-", dir=Path.cwd()))
    try:
        begin = time.perf_counter()
        own = write(folder, load.table, count)
        taken = time.perf_counter() - begin
        return own if isinstance(own, float) else taken
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Print one line per store and load; exit code 1 when one is slower than it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--mb", type=int, default=400, help="data of each measurement, MB")
    options = parser.parse_args()
    is_slow = False
    for name in options.names or BENCHMARKS:
        for load in loads():
            benchmark = BENCHMARKS[name](load)
            flushes = max(1, options.mb * 10**6 // (load.table.nbytes * load.tables_a_flush))
            count = flushes * load.tables_a_flush
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(ROUNDS):
                ours.append(seconds(benchmark.store, load, count))
                theirs.append(seconds(benchmark.library, load, count))
            rows = count * load.table.num_rows
            share = min(theirs) / min(ours)
            is_slow |= share < benchmark.wanted
            sys.stdout.write(
                f"{name:13} {load.name:17} store {rows / min(ours):12,.0f} rows/s"
                f" {count * load.table.nbytes / min(ours) / 1e6:6.0f} MB/s,"
                f" library {rows / min(theirs):12,.0f} rows/s,"
                f" share {share:.2f} (wanted {benchmark.wanted})\n"
            )
            sys.stdout.flush()
    return int(is_slow)


if __name__ == "__main__":
    sys.exit(main())
