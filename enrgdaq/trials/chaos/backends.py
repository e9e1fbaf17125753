"""The stores under trial that write files. A new one is one class, and its place in ``stores.py``.

It says what its store's file and its producers' ``[store_config]`` hold, which fault points
its store passes, and reads its output back with the library that an analyst would use.
"""

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from enrgdaq.daq.numbered_rows import COLUMNS, ROW, Rows
from enrgdaq.daq.store.frames import frame_head, read_frames

FILE_POINTS: Final = (
    "ring.cursor",
    "store.rows",
    "store.torn",
    "store.journal",
    "store.replace",
    "store.recover",
)
"""What a store passes that appends to files beside a journal."""
ROLL_POINTS: Final = ("store.roll", "store.rolled", "store.seal")
"""What a store passes whose files roll."""
_ROLL_ROWS: Final = 2_000  # several rolls a second
_ROLL_MESSAGES: Final = 50  # of bytes, the same
_LARGE_ROLL_ROWS: Final = 20_000  # a roll every second or two: such a file takes time to make


@dataclass(frozen=True)
class Producer:
    """A numbered producer. ``keeps_all``: its stores append; else they keep the latest message."""

    name: str
    number: int
    lane: str
    keeps_all: bool = True


@dataclass(frozen=True)
class Found:
    """What was read back: rows in the order of the output, and pieces that are no rows."""

    rows: Rows
    scraps: int = 0


class Backend(ABC):
    """One store job under trial. ``name`` is also its job's id."""

    name: ClassVar[str]
    job_type: ClassVar[str]
    lanes: ClassVar[tuple[str, ...]] = ("arrow", "rows")
    keeps_latest: ClassVar[bool] = False
    """Whether it can hold the latest message alone."""
    points: ClassVar[tuple[str, ...]] = FILE_POINTS

    def __init__(self, out: Path) -> None:
        """``out``: the folder for this store's files."""
        self.out = out

    @classmethod
    def missing(cls) -> str:
        """What this host lacks for this store; empty when nothing."""
        return ""

    def job_settings(self) -> dict[str, Any]:
        """Further keys of the store's own file."""
        return {}

    def prepare(self, folder: Path, environment: Mapping[str, str]) -> None:  # noqa: B027
        """Start what the store needs besides files, in a folder that is removed at the end.

        ``environment``: what every process of the trial has, to be known by.
        """

    @abstractmethod
    def store_config(self, producer: Producer) -> dict[str, Any]:
        """The ``[store_config.NAME]`` of a producer."""

    @abstractmethod
    def read(self, producer: Producer) -> Found:
        """Read a producer's output back. No output at all is no rows."""

    def is_complete(self) -> bool:
        """Whether all that was stored can be read; what is not is completed at a start."""
        return True

    def clean_up(self) -> None:  # noqa: B027 - files go with their folder
        """End what :meth:`prepare` has started; idempotent."""

    @property
    def passed_points(self) -> tuple[str, ...]:
        """Those of :attr:`points` that it passes as it is configured."""
        return self.points

    @property
    def waits_for_disk(self) -> bool:
        """Whether a full disk holds it up."""
        return "store.rows" in self.points

    def takes(self, producer: Producer) -> bool:
        """Whether this store gets what a producer sends."""
        return producer.lane in self.lanes and (producer.keeps_all or self.keeps_latest)


class CsvBackend(Backend):
    """CSV: appended, appended in zstd frames (the rows lane), and the latest message alone."""

    name = "csv"
    job_type = "DAQJobStoreCSV"
    keeps_latest = True
    points = (*FILE_POINTS, "store.snapshot", *ROLL_POINTS)

    def store_config(self, producer: Producer) -> dict[str, Any]:
        """See :class:`Backend`."""
        settings: dict[str, Any] = {
            "file_path": f"{producer.name}.csv",
            "overwrite": not producer.keeps_all,
            "use_zstd": self._is_compressed(producer),
        }
        return {**settings, "roll_rows": _ROLL_ROWS} if producer.keeps_all else settings

    def read(self, producer: Producer) -> Found:
        """See :class:`Backend`."""
        suffix = ".csv.zst" if self._is_compressed(producer) else ".csv"
        found = [
            self._read_one(path, is_compressed=self._is_compressed(producer))
            for path in _rolls(self.out / f"{producer.name}{suffix}")
        ]
        rows = np.concatenate([np.empty(0, ROW), *(one.rows for one in found)])
        return Found(rows, sum(one.scraps for one in found))

    @staticmethod
    def _read_one(path: Path, *, is_compressed: bool) -> Found:
        import pyarrow as pa
        import pyarrow.csv as pacsv

        data = path.read_bytes()
        scraps = 0
        if is_compressed:
            data, scraps = _frames(data)
        if not data:
            return Found(np.empty(0, ROW), scraps)

        def skip(row: pacsv.InvalidRow) -> str:
            nonlocal scraps
            scraps += 1
            return "skip"

        try:
            table = pacsv.read_csv(
                io.BytesIO(data), parse_options=pacsv.ParseOptions(invalid_row_handler=skip)
            )
            rows = np.empty(table.num_rows, ROW)
            for name in COLUMNS:
                rows[name] = table[name].to_numpy()
        except (pa.ArrowInvalid, KeyError, ValueError):
            # A column that is not numbers: the whole file is suspect, and counted as such.
            return Found(np.empty(0, ROW), scraps=data.count(b"\n") + 1)
        # A last line without its end was cut.
        return Found(rows, scraps + (0 if data.endswith(b"\n") else 1))

    @staticmethod
    def _is_compressed(producer: Producer) -> bool:
        return producer.lane == "rows"


class RawBackend(Backend):
    """Bytes, appended in frames."""

    name = "raw"
    job_type = "DAQJobStoreRaw"
    lanes = ("raw",)
    points = (*FILE_POINTS, *ROLL_POINTS)

    def store_config(self, producer: Producer) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {
            "file_path": f"{producer.name}.dat",
            "overwrite": False,
            "framing": "length",
            "roll_rows": _ROLL_MESSAGES,
        }

    def read(self, producer: Producer) -> Found:
        """See :class:`Backend`."""
        scraps = 0
        parts = [b""]
        for path in _rolls(self.out / f"{producer.name}.dat"):
            begin = len(parts)
            parts += read_frames(path)
            size = sum(len(frame_head(len(part))) + len(part) for part in parts[begin:])
            scraps += int(size != path.stat().st_size)
        odd = [part for part in parts if len(part) % ROW.itemsize]
        data = b"".join(part for part in parts if len(part) % ROW.itemsize == 0)
        return Found(np.frombuffer(data, ROW), scraps + len(odd))


class HDF5Backend(Backend):
    """HDF5: one dataset a column."""

    name = "hdf5"
    job_type = "DAQJobStoreHDF5"
    points = ("ring.cursor", "store.rows", "store.journal", "store.replace", *ROLL_POINTS)

    def store_config(self, producer: Producer) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {
            "file_path": f"{producer.name}.h5",
            "dataset_name": "rows",
            "roll_rows": _LARGE_ROLL_ROWS,
        }

    def read(self, producer: Producer) -> Found:
        """See :class:`Backend`."""
        import h5py

        parts = []
        for path in _rolls(self.out / f"{producer.name}.h5"):
            with h5py.File(path) as file:
                parts.append({name: file["rows"][name][:] for name in COLUMNS})
        return Found(_joined(parts))


class ROOTBackend(Backend):
    """ROOT: complete files, ``name.root``, ``name_1.root`` and so on."""

    name = "root"
    job_type = "DAQJobStoreROOT"
    points = (
        "ring.cursor",
        "store.rows",
        "store.torn",
        "store.replace",
        "store.roll",
        "store.rolled",
    )

    def job_settings(self) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {"finish_wait_seconds": 15.0}

    def is_complete(self) -> bool:
        """See :class:`Backend`. Journals wait to be made into files."""
        return not any((*self.out.glob(".*.closed"), *self.out.glob(".*.roll")))

    def store_config(self, producer: Producer) -> dict[str, Any]:
        """See :class:`Backend`."""
        return {
            "file_path": f"{producer.name}.root",
            "tree_name": "rows",
            "compression_type": "LZ4",
            "compression_level": 1,
            "roll_rows": _LARGE_ROLL_ROWS,
        }

    def read(self, producer: Producer) -> Found:
        """See :class:`Backend`."""
        import uproot

        files = sorted(self.out.glob(f"{producer.name}*.root"), key=_number_of)
        parts = []
        for path in files:
            with uproot.open(path) as file:
                parts.append(file["rows"].arrays(COLUMNS, library="np"))
        return Found(_joined(parts))


def _rolls(path: Path) -> list[Path]:
    """A file and its successors, those that are there."""
    first = [path] if path.exists() else []
    name, dot, suffix = path.name.partition(".")
    return first + sorted(path.parent.glob(f"{name}.roll*{dot}{suffix}"))


def _number_of(path: Path) -> int:
    number = path.stem.rpartition("_")[2]
    return int(number) if number.isdigit() else 0


def _joined(parts: list[dict[str, Any]]) -> Rows:
    """Columns of several files, one behind the other."""
    lengths = [{len(part[name]) for name in COLUMNS} for part in parts]
    rows = np.empty(sum(max(found) for found in lengths), ROW)
    for name in COLUMNS:
        # Columns of different lengths do not fit, and end the audit.
        rows[name] = np.concatenate([part[name] for part in parts]) if parts else ()
    return rows


def _frames(data: bytes) -> tuple[bytes, int]:
    """What is in all zstd frames of a file, and 1 when it does not end with a whole one."""
    import zstandard

    parts = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(frame.decompress(data))
        except zstandard.ZstdError:
            return b"".join(parts), 1
        if not frame.eof:
            return b"".join(parts), 1
        data = frame.unused_data
    return b"".join(parts), 0
