"""Kills a writer again and again; each life goes on where the last one was released.

Run as a program, since pytest's workers have threads and must not fork:
``python -m tests.daq.store.kill_cycles FORMAT HOW FOLDER CYCLES SEED``. Prints one JSON line.
"""

import json
import os
import random
import shutil
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.files import StoreTarget
from enrgdaq.daq.store.journal import Position
from tests.daq.store.syscall_killer import can_trace, run_until_change, run_until_killed

RINGS = ("a" * 32, "b" * 32)
RECORDS_A_LIFE = 40
POSITIONS = struct.Struct("<QQ")
MakeTarget = Callable[[Path, pa.Table], StoreTarget[pa.Table]]


def record(ring: int, number: int) -> pa.Table:
    """The rows of one record; all of them follow from ring and number."""
    rows = 1 + number % 7
    n = np.arange(rows) + 10 * number
    lengths = (n + ring) % 5 * 40
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    waveform = np.arange(offsets[-1], dtype=np.uint16) + number % 1000
    return pa.table(
        {
            "ring": np.full(rows, ring, np.int8),
            "n": n,
            "value": pa.array([None if i % 11 == 3 else i / 3 for i in n.tolist()], pa.float64()),
            "waveform": pa.ListArray.from_arrays(pa.array(offsets), pa.array(waveform)),
            "note": [f"event {i}" if i % 3 else "" for i in n.tolist()],
        }
    )


class Life:
    """One process's work: read on from what was released, put, flush, release."""

    def __init__(self, folder: Path, make: MakeTarget, seed: int, records: int) -> None:
        self._released = folder / "released"
        self._folder = folder
        self._make = make
        self._records = records
        self._random = random.Random(seed)

    def released(self) -> list[int]:
        """Per ring the last record that was released."""
        return list(POSITIONS.unpack(self._released.read_bytes()))

    def live(self) -> None:
        """Write ``records`` records of each ring and close in order."""
        done = self.released()
        last = [begin + self._records for begin in done]
        target = self._make(self._folder, record(0, 1))
        cursor = os.open(self._released, os.O_WRONLY)
        while done != last:
            for _ in range(self._random.randint(1, 6)):
                ring = self._random.randrange(2)
                if done[ring] < last[ring]:
                    done[ring] += 1
                    target.put(record(ring, done[ring]), Position(RINGS[ring], done[ring]))
            target.flush(set(RINGS))
            # Sixteen bytes in one page are never torn by a kill.
            os.pwrite(cursor, POSITIONS.pack(*done), 0)
        target.close()


def expected(released: list[int]) -> pa.Table:
    """All rows, ring by ring, in order."""
    return pa.concat_tables(
        [record(ring, number) for ring in (0, 1) for number in range(1, released[ring] + 1)]
    )


def make_csv(folder: Path, first: pa.Table, *, syncs: bool = False) -> StoreTarget[pa.Table]:
    """A CSV file in a folder that is not there yet."""
    from enrgdaq.daq.store.csv_file import GrowingCSV

    path = folder / "below" / "x.csv"
    return GrowingCSV(path, lambda: first.schema, compresses=False, syncs=syncs)


def make_hdf5(folder: Path, first: pa.Table, *, syncs: bool = False) -> StoreTarget[pa.Table]:
    """A group in an HDF5 file."""
    import logging

    from enrgdaq.daq.store.hdf5.target import HDF5Files, HDF5Place, HDF5Target
    from enrgdaq.daq.store.models import DAQJobStoreConfigHDF5

    settings = DAQJobStoreConfigHDF5(file_path="x.h5", dataset_name="rows")
    files = HDF5Files(logging.getLogger("test"), syncs=syncs)
    place = HDF5Place(folder / "x.h5", "rows")
    return HDF5Target(place, files, settings, first.schema, {}, Origin)


def make_root(
    folder: Path, first: pa.Table, *, syncs: bool = False, longest_bytes: float = 100_000
) -> StoreTarget[pa.Table]:
    """A tree whose file rolls over now and then."""
    import logging

    from enrgdaq.daq.store.models import DAQJobStoreConfigROOT
    from enrgdaq.daq.store.root.target import Rolls, ROOTPlace, ROOTTarget

    settings = DAQJobStoreConfigROOT(file_path="x.root", tree_name="rows")
    log = logging.getLogger("test")
    rolls = Rolls(log, longest_bytes=longest_bytes, idle_seconds=60, syncs=syncs)
    return ROOTTarget(
        ROOTPlace(folder / "x.root", "rows"), rolls, settings, first.schema, {}, Origin
    )


def _finish(folder: Path) -> None:
    from enrgdaq.daq.store.root.finish import finish

    finish(folder)


def finish_root(folder: Path, kill: Callable[[Callable[[], None], int], bool]) -> int:
    """Make the files of all closed rolls, the finisher killed at one moment after the other."""
    kills = 0
    number = -2
    while closed := sorted(folder.glob(".*.closed")):
        number += 3
        kills += kill(lambda: _finish(closed[0]), number)
    return kills


FORMATS: dict[str, Callable[..., StoreTarget[pa.Table]]] = {
    "csv": make_csv,
    "hdf5": make_hdf5,
    "root": make_root,
}


def warm_up(folder: Path, format_name: str) -> None:
    """Import all libraries here, else each child would spend its short life on that."""
    folder.mkdir()
    (folder / "released").write_bytes(POSITIONS.pack(0, 0))
    Life(folder, FORMATS[format_name], 0, 1).live()
    finish_root(folder, lambda work, _: work() or False)
    shutil.rmtree(folder)


def main() -> int:
    """See the module."""
    format_name, how, folder, cycles, seed = sys.argv[1:]
    place = Path(folder)
    if how != "random" and not can_trace():
        sys.stdout.write(json.dumps({"skip": "cannot trace processes here"}))
        return 0
    warm_up(place / "warm", format_name)
    (place / "released").write_bytes(POSITIONS.pack(0, 0))
    kills = 0
    chance = random.Random(int(seed))
    # How long a whole life takes here and now, so that kills hit all of it and little else.
    began = time.monotonic()
    run_until_killed(Life(place, FORMATS[format_name], int(seed), RECORDS_A_LIFE).live, 60)
    longest = time.monotonic() - began
    for cycle in range(int(cycles)):
        life = Life(place, FORMATS[format_name], int(seed) + cycle, RECORDS_A_LIFE)
        if how != "random":
            kills += run_until_change(life.live, 1 + cycle, tears=how == "tear")
            continue
        began = time.monotonic()
        if run_until_killed(life.live, chance.uniform(0.0, longest)):
            kills += 1
        else:  # the machine is less busy than it was
            longest = min(longest, time.monotonic() - began)
    last = Life(place, FORMATS[format_name], int(seed), RECORDS_A_LIFE)
    if run_until_killed(last.live, 60):
        raise TimeoutError("the last life did not end")
    if format_name == "root":

        def kill(work: Callable[[], None], number: int) -> bool:
            if how == "random":
                return run_until_killed(work, 0.01 * number)
            return run_until_change(work, number, tears=how == "tear")

        kills += finish_root(place, kill)
    sys.stdout.write(json.dumps({"kills": kills, "released": last.released()}))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
