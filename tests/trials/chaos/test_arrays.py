"""Outputs of the HDF5 and ROOT stores are read back as they are."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot

from enrgdaq.daq.numbered_rows import COLUMNS, make_rows
from enrgdaq.trials.chaos.backends import Backend, HDF5Backend, Producer, ROOTBackend

PRODUCER = Producer("p", 1, "arrow")
ROWS = make_rows(1, 1, 0, 300)


def test_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        for name in COLUMNS:
            file[f"rows/{name}"] = ROWS[name]
    np.testing.assert_array_equal(HDF5Backend(tmp_path).read(PRODUCER).rows, ROWS)


def test_root_files_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(12):
        name = f"p_{number}.root" if number else "p.root"
        part = ROWS[25 * number : 25 * (number + 1)]
        with uproot.recreate(tmp_path / name) as file:
            file["rows"] = {name: part[name] for name in COLUMNS}
    np.testing.assert_array_equal(ROOTBackend(tmp_path).read(PRODUCER).rows, ROWS)


def test_root_journals_wait_to_be_made_into_files(tmp_path: Path) -> None:
    backend = ROOTBackend(tmp_path)
    assert backend.is_complete()
    (tmp_path / ".p.root.12345678.closed").mkdir()
    assert not backend.is_complete()


@pytest.mark.parametrize("kind", [HDF5Backend, ROOTBackend])
def test_no_output_is_no_rows(kind: type[Backend], tmp_path: Path) -> None:
    assert len(kind(tmp_path).read(PRODUCER).rows) == 0
