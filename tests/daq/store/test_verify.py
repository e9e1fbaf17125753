"""Finished files have sidecars, and ``enrgdaq verify`` finds what is not as they say."""

import json
import os
from pathlib import Path

import pytest

from enrgdaq.cli import main
from enrgdaq.verify import verify
from tests.daq.store.rolling_life import KINDS, ROWS, Life
from tests.daq.store.test_rolls import files, limit


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def finished(kind: str, tmp_path: Path) -> Path:
    """The first file of several."""
    life = Life(kind, tmp_path, read_only=True, roll_rows=limit(kind))
    life.run(last=9)
    life.free()
    return next(path for path in files(kind, tmp_path) if verify(path).bytes)


def test_a_sidecar_says_what_is_in_the_file(finished: Path, kind: str) -> None:
    said = json.loads(Path(f"{finished}.json").read_bytes())
    assert (said["file"], said["format"]) == (finished.name, kind)
    assert said["bytes"] == finished.stat().st_size
    assert said["rows"] == (3 if kind == "raw" else 3 * ROWS)
    assert said["first_record"] == "2026-03-01T23:59:51.000+00:00"
    assert said["last_record"] == "2026-03-01T23:59:53.000+00:00"
    assert said["software"].startswith("ENRGDAQ ")
    assert verify(finished).problems == []
    assert finished.stat().st_mode & 0o222 == 0


def test_what_was_altered_is_found(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(finished.parent)]) == 0
    assert "0 wrong" in capsys.readouterr().out
    os.chmod(finished, 0o644)  # noqa: PTH101
    data = bytearray(finished.read_bytes())
    data[len(data) // 2] ^= 1
    finished.write_bytes(data)
    assert main(["verify", str(finished), "--json"]) == 1
    assert "SHA-256" in json.loads(capsys.readouterr().out)["problems"][0]
    finished.write_bytes(data[:-3])
    assert "bytes, and the sidecar says" in verify(finished).problems[0]


def test_a_file_without_a_sidecar_is_no_finished_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("n\n1\n")
    assert main(["verify", str(tmp_path / "x.csv")]) == 1
    assert "has no sidecar" in capsys.readouterr().out
    assert main(["verify", str(tmp_path)]) == 1
