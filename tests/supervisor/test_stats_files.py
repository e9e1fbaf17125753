"""The statistics files, also on a disk that does not take them."""

import logging
from pathlib import Path

import pytest

from enrgdaq.supervisor.stats_files import StatsFile


def test_a_file_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "out"
    file = StatsFile(folder / "stats.csv", ["a", "b"])
    with caplog.at_level(logging.WARNING):
        file.write([[1, 2]])
        file.write([[3, 4]])
        assert len(caplog.records) == 1
        assert f"{file.path} is not kept up to date" in caplog.text
        folder.mkdir()
        file.write([[5, "x,y"]])
        assert file.path.read_text() == 'a,b\n5,"x,y"\n'
        file.path.unlink()
        folder.rmdir()
        file.write([[7, 8]])
    assert len(caplog.records) == 2
