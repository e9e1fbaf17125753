"""Outputs are read back as they are, and what is no row is counted."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import zstandard

from enrgdaq.daq.numbered_rows import COLUMNS, Rows, make_rows
from enrgdaq.daq.store.frames import frame_head
from enrgdaq.trials.chaos.backends import CsvBackend, Producer, RawBackend

PLAIN = Producer("p", 1, "arrow")
PACKED = Producer("p", 1, "rows")
BYTES = Producer("p", 1, "raw")
ROWS = make_rows(1, 1, 0, 1000)


def csv_of(rows: Rows) -> bytes:
    sink = pa.BufferOutputStream()
    pacsv.write_csv(pa.table({name: np.ascontiguousarray(rows[name]) for name in COLUMNS}), sink)
    return bytes(sink.getvalue())


def frames_of(data: bytes) -> bytes:
    pack = zstandard.ZstdCompressor().compress
    return pack(data[:5000]) + pack(data[5000:])


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(csv_of(ROWS))
    (tmp_path / "p.csv.zst").write_bytes(frames_of(csv_of(ROWS)))
    for producer in (PLAIN, PACKED):
        found = CsvBackend(tmp_path).read(producer)
        np.testing.assert_array_equal(found.rows, ROWS)
        assert found.scraps == 0


@pytest.mark.parametrize("line", [1, 7, 1000])
def test_csv_with_a_torn_line(tmp_path: Path, line: int) -> None:
    lines = csv_of(ROWS).splitlines(keepends=True)
    lines[line] = lines[line][:9]
    (tmp_path / "p.csv").write_bytes(b"".join(lines))
    assert CsvBackend(tmp_path).read(PLAIN).scraps > 0


def test_csv_with_a_torn_frame(tmp_path: Path) -> None:
    data = frames_of(csv_of(ROWS))
    for torn in (data[:-10], data[:100] + data):
        (tmp_path / "p.csv.zst").write_bytes(torn)
        assert CsvBackend(tmp_path).read(PACKED).scraps > 0


def test_raw(tmp_path: Path) -> None:
    blobs = [ROWS[:600].tobytes(), ROWS[600:].tobytes()]
    for name, blob in zip(("p.dat", "p.roll0002.dat"), blobs, strict=True):
        (tmp_path / name).write_bytes(frame_head(len(blob)) + blob)
    found = RawBackend(tmp_path).read(BYTES)
    np.testing.assert_array_equal(found.rows, ROWS)
    assert found.scraps == 0
    (tmp_path / "p.dat").write_bytes(frame_head(len(blobs[0])) + blobs[0][:-1])
    assert RawBackend(tmp_path).read(BYTES).scraps == 1
    (tmp_path / "p.dat").write_bytes(frame_head(3) + b"row")
    assert RawBackend(tmp_path).read(BYTES).scraps == 1


def test_no_output_is_no_rows(tmp_path: Path) -> None:
    assert len(CsvBackend(tmp_path).read(PLAIN).rows) == 0
    assert len(RawBackend(tmp_path).read(BYTES).rows) == 0
