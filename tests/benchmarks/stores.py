"""Rows per second through each store, against its library used directly.

``uv run python -m tests.benchmarks.stores [NAME ...] [--mb N] [--rounds N]``; with
``--durability`` what waiting for the disk costs each store instead. Both sides write the same
tables with the same batch sizes in one process, in turns, each first in every other round. A
share is the median of those of the rounds: of the time that passed, which a busy disk or
machine makes uncertain, and of the processor's time. The store's side does all that it does
in a run but reading rings: messages, columns, parts, watermarks, commits.

A benchmark is a function in :data:`BENCHMARKS`; add one for each store.
"""

import argparse
import functools
import json
import shutil
import statistics
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
    DAQJobStoreConfigCSV,
    DAQJobStoreConfigHDF5,
    DAQJobStoreConfigROOT,
)
from enrgdaq.testing import RecordingHost
from tests.daq.store.tables import message

Write = Callable[[Path, pa.Table, int], Any]


class Taken(NamedTuple):
    """Seconds that something took."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Taken:
    """How long it takes, this process alone."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - wall, time.process_time() - processor)


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


def _csv(load: Load) -> Benchmark:
    import pyarrow.csv as pacsv

    from enrgdaq.daq.jobs.store.csv import DAQJobStoreCSV
    from enrgdaq.daq.store.base import DAQJobStoreJobConfig

    def store(folder: Path, table: pa.Table, count: int) -> None:
        config = DAQJobStoreJobConfig(daq_job_type="DAQJobStoreCSV", out_dir=str(folder))
        job = DAQJobStoreCSV(config, host=RecordingHost())
        settings = DAQJobStoreConfigCSV(file_path="a.csv")
        fill_store(job, DAQJobStoreConfig(csv=settings), load, count)
        job.free()

    def library(folder: Path, table: pa.Table, count: int) -> None:
        writer = None
        for _ in range(count):
            rows = _lists_as_json(table)
            writer = writer or pacsv.CSVWriter(folder / "a.csv", rows.schema)
            writer.write_table(rows)
        if writer is not None:
            writer.close()

    return Benchmark(store, library, 0.8)


def _lists_as_json(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [json.dumps(values) for values in table.column(index).to_pylist()]
            table = table.set_column(index, field.name, pa.array(texts))
    return table


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
        # Closed, as the library's file is: what is removed while it is open keeps its memory,
        # and the next round would pay for memory that was never used before (a factor of
        # three on a virtual machine), while the library goes on in what its last round freed.
        _root_store(load, folder, count)._rolls.close_all()

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

    def store(folder: Path, table: pa.Table, count: int) -> Taken:
        job = _root_store(load, folder, count)
        job._rolls.close_all()
        (closed,) = folder.glob(".*.closed")
        return timed(lambda: finish(closed))

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


def flush_costs(folder: Path, rounds: int) -> None:
    """Print milliseconds per flush with each durability, in turns, and the medians."""
    from tests.daq.store.kill_cycles import FORMATS, make_root, record

    rows = pa.concat_tables([record(0, number) for number in range(1, 500)]).combine_chunks()
    makes = {**FORMATS, "root": functools.partial(make_root, longest_bytes=1e12)}
    for name, make in makes.items():
        times: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(rounds):
            targets = {}
            for syncs in times:
                place = folder / f"{name}{turn}{syncs}"
                place.mkdir()
                targets[syncs] = make(place, rows, syncs=syncs)
            for number in range(40):
                for syncs, target in targets.items():
                    target.put(rows, Position("ring", number + 1))
                    begin = time.perf_counter()
                    target.flush({"ring"})
                    times[syncs].append((time.perf_counter() - begin) * 1e3)
            for target in targets.values():
                target.close()
        process, power = (statistics.median(times[syncs]) for syncs in (False, True))
        sys.stdout.write(
            f"{name:6} a flush of {rows.nbytes / 1e3:.0f} kB: process {process:.2f} ms,"
            f" power {power:.2f} ms\n"
        )


BENCHMARKS: dict[str, Callable[[Load], Benchmark]] = {
    "csv": _csv,
    "hdf5": _hdf5,
    "root-journal": _root_journal,
    "root-file": _root_file,
}


def measured(write: Write, load: Load, count: int) -> Taken:
    """How long it takes; a writer that prepares first says itself how long the rest took."""
    folder = Path(tempfile.mkdtemp(prefix="enrgdaq-stores-", dir=Path.cwd()))
    try:
        own: list[Any] = []
        taken = timed(lambda: own.append(write(folder, load.table, count)))
        return own[0] if isinstance(own[0], Taken) else taken
    finally:
        shutil.rmtree(folder)


def compare(name: str, load: Load, megabytes: int, rounds: int) -> bool:
    """Print one line; whether the store is as fast as it should be."""
    benchmark = BENCHMARKS[name](load)
    flushes = max(1, megabytes * 10**6 // (load.table.nbytes * load.tables_a_flush))
    count = flushes * load.tables_a_flush
    ours: list[Taken] = []
    theirs: list[Taken] = []
    sides = [(ours, benchmark.store), (theirs, benchmark.library)]
    for _ in range(rounds):
        for found, write in sides:
            found.append(measured(write, load, count))
        sides.reverse()
    share, processor = (
        statistics.median(b[kind] / a[kind] for a, b in zip(ours, theirs, strict=True))
        for kind in (0, 1)
    )
    wall = statistics.median(taken.wall for taken in ours)
    sys.stdout.write(
        f"{name:13} {load.name:17} {count * load.table.num_rows / wall:12,.0f} rows/s"
        f" {count * load.table.nbytes / wall / 1e6:6.0f} MB/s, share of the library {share:.2f},"
        f" by processor time {processor:.2f} (wanted {benchmark.wanted})\n"
    )
    sys.stdout.flush()
    return share >= benchmark.wanted


def main() -> int:
    """Print one line per store and load; exit code 1 when one is slower than it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--mb", type=int, default=400, help="data of each measurement, MB")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each side")
    parser.add_argument("--durability", action="store_true", help="milliseconds a flush of each")
    options = parser.parse_args()
    if options.durability:
        with tempfile.TemporaryDirectory(prefix="enrgdaq-stores-", dir=Path.cwd()) as folder:
            flush_costs(Path(folder), options.rounds)
        return 0
    as_wanted = [
        compare(name, load, options.mb, options.rounds)
        for name in options.names or BENCHMARKS
        for load in loads()
    ]
    return int(not all(as_wanted))


if __name__ == "__main__":
    sys.exit(main())
