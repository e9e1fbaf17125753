"""One life of a file store: all records again, of which it must write what is missing.

``python -m tests.daq.store.rolling_life KIND FOLDER``; killed where its fault folder says.
"""

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from enrgdaq.daq.jobs.store.csv import DAQJobStoreCSV
from enrgdaq.daq.jobs.store.hdf5 import DAQJobStoreHDF5
from enrgdaq.daq.jobs.store.raw import DAQJobStoreRaw
from enrgdaq.daq.jobs.store.root import DAQJobStoreROOT, DAQJobStoreROOTConfig
from enrgdaq.daq.store.base import DAQJobStore, DAQJobStoreJobConfig
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfig,
    DAQJobStoreConfigCSV,
    DAQJobStoreConfigHDF5,
    DAQJobStoreConfigRaw,
    DAQJobStoreConfigROOT,
)
from enrgdaq.testing import RecordingHost
from enrgdaq.transport import faults

EVENING = dt.datetime(2026, 3, 1, 23, 59, 50, tzinfo=dt.UTC)
RECORDS = 24
ROWS = 5  # a record
KINDS: dict[str, tuple[type[DAQJobStore], type[Any], dict[str, str]]] = {
    "csv": (DAQJobStoreCSV, DAQJobStoreConfigCSV, {}),
    "raw": (DAQJobStoreRaw, DAQJobStoreConfigRaw, {}),
    "hdf5": (DAQJobStoreHDF5, DAQJobStoreConfigHDF5, {"dataset_name": "rows"}),
    "root": (DAQJobStoreROOT, DAQJobStoreConfigROOT, {"tree_name": "rows"}),
}


class Life:
    """A store without a supervisor. Records come a second apart, from shortly before midnight."""

    def __init__(self, kind: str, folder: Path, *, read_only: bool = False, **section: Any) -> None:
        store, config, keys = KINDS[kind]
        if kind == "raw":
            section.setdefault("overwrite", False)
        self.kind = kind
        name = {"file_path": f"x.{kind}", **keys, **section}
        self.settings = DAQJobStoreConfig(**{kind: config(**name)})
        own = DAQJobStoreROOTConfig if kind == "root" else DAQJobStoreJobConfig
        job = own(daq_job_type=store.__name__, out_dir=str(folder), finished_read_only=read_only)
        self.store = store(job, host=RecordingHost(kind))

    def put(self, number: int, tag: str | None = None, *, record: int | None = None) -> None:
        """Keep message ``number``, from 1 on, which came in a record of its own or in another."""
        numbers = list(range(ROWS * (number - 1), ROWS * number))
        common = {"store_config": self.settings, "tag": tag}
        message: Any
        if self.kind == "raw":
            data = b"".join(b"%06d\n" % n for n in numbers)
            message = DAQJobMessageStoreRaw(data=data, **common)  # type: ignore[arg-type]
        else:
            table = pa.table({"n": numbers})
            message = DAQJobMessageStorePyArrow(table=table, **common)  # type: ignore[arg-type]
        message.timestamp = EVENING + dt.timedelta(seconds=number)
        self.store.position = Position("ring", 64 * (record or number))
        self.store.store(message)

    def run(self, first: int = 1, last: int = RECORDS) -> None:
        """Put records, three a flush."""
        for number in range(first, last + 1):
            self.put(number)
            if number % 3 == 0 or number == last:
                self.store.flush()
                if self.kind != "root":  # whose finisher the tests play themselves
                    self.store.tend()

    def free(self) -> None:
        """End in order. ROOT's journals are closed, and left to the tests to finish."""
        if isinstance(self.store, DAQJobStoreROOT):
            self.store._rolls.close_all()
        self.store.free()


def main() -> int:
    """See the module."""
    kind, folder = sys.argv[1:]
    faults.enter(kind)
    life = Life(kind, Path(folder), roll_rows=3 if kind == "raw" else 12)
    life.run()
    life.free()
    return 0


if __name__ == "__main__":
    sys.exit(main())
