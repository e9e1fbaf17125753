"""What was put aside can be looked at, and its rows are had again."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from enrgdaq.cli import main
from enrgdaq.daq.aside_file import read_aside, write_aside
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.packing import Packer
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfig,
    DAQJobStoreConfigMemory,
)
from enrgdaq.errors import CodecError
from enrgdaq.transport.ring import Record

STORE = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory())


def put_aside(path: Path, message: DAQJobMessage) -> Path:
    envelope, payload = Packer().pack(message)
    data = bytearray(payload.length)
    if payload.fill is not None:
        payload.fill(memoryview(data))
    else:
        assert payload.data is not None
        data[:] = payload.data
    record = Record(0, 1, 0, payload.kind, 0, envelope.header, memoryview(bytes(data)))
    write_aside(path, record)
    return path


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"n": [1, 2], "w": [[0.5], []]})
    file = put_aside(
        tmp_path / "a.record", DAQJobMessageStorePyArrow(store_config=STORE, table=table)
    )
    assert main(["set-aside", str(file), "--save", str(tmp_path / "rows.arrow")]) == 0
    said = capsys.readouterr().out
    assert "2 rows of n int64, w list<item: double>" in said
    assert '"memory"' in said
    with pa.ipc.open_stream(tmp_path / "rows.arrow") as stream:
        assert stream.read_all().equals(table)
    assert main(["set-aside", str(file), "--save", str(tmp_path / "rows.arrow")]) == 1
    assert "rows.arrow: File exists" in capsys.readouterr().err


def test_rows_and_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = put_aside(
        tmp_path / "rows.record",
        DAQJobMessageStoreTabular(store_config=STORE, keys=["n"], data=[[1], [2]]),
    )
    raw = put_aside(
        tmp_path / "raw.record", DAQJobMessageStoreRaw(store_config=STORE, data=b"\x00\x1b[31m")
    )
    assert main(["set-aside", str(rows), str(raw)]) == 0
    said = capsys.readouterr().out
    assert "[[1],[2]]" in said
    assert "6 bytes" in said
    assert main(["set-aside", str(rows), "--save", str(tmp_path / "rows.json")]) == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == {"data": [[1], [2]]}
    assert main(["set-aside", str(raw), "--save", str(tmp_path / "raw.bin")]) == 0
    assert (tmp_path / "raw.bin").read_bytes() == b"\x00\x1b[31m"
    assert main(["set-aside", str(rows), str(raw), "--save", "x"]) == 2


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = put_aside(
        tmp_path / "a.record", DAQJobMessageStoreRaw(store_config=STORE, data=b"x" * 100)
    ).read_bytes()
    wrong = {
        "short": whole[:-1],
        "other": b"hello",
        "negative": b"ENRGASIDE1\n-1 5 4\nhello",
        "header": b"ENRGASIDE1\n5 0 1\n\xc1\xc1\xc1\xc1\xc1",
        "rows": b"ENRGASIDE1\n3 2 2\n\x00\x00\x80\xa1\xff",
        "table": b"ENRGASIDE1\n1 5 3\n\x80hello",
    }
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        assert main(["set-aside", str(tmp_path / name)]) == 1, name
        assert capsys.readouterr().err
    with pytest.raises(CodecError, match="99 of 100 bytes"):
        read_aside(tmp_path / "short")
    assert main(["set-aside", str(tmp_path / "none")]) == 1
    assert "none: No such file" in capsys.readouterr().err
