"""Finished files as programs read them that are not ours, nor h5py and uproot."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.daq.store.test_hdf5_store import Store as HDF5Store
from tests.daq.store.test_root_store import Store as ROOTStore

JSROOT = os.environ.get("ENRGDAQ_TEST_JSROOT", "")
ROWS = pa.table(
    {
        "n": pa.array(np.arange(3_000) * 2**50),
        "x": pa.array(np.random.default_rng(1).normal(size=3_000)),
        "w": pa.array([[n % 7] * (n % 5) for n in range(3_000)], pa.list_(pa.uint16())),
        "s": pa.array([f"row {n}" for n in range(3_000)]),
    }
)


def tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: {package})")
    return found


def write_hdf5(folder: Path, compression: str) -> Path:
    store = HDF5Store(folder)
    store.write(ROWS.slice(0, 1_000), compression=compression)
    store.write(ROWS.slice(1_000), compression=compression)
    store.close()
    return folder / "a.h5"


def dumped(path: Path, dataset: str, **environment: str) -> str:
    done = subprocess.run(
        [
            tool("h5dump", "hdf5-tools"),
            "-d",
            dataset,
            "-m",
            "%.17g",
            "-A",
            "0",
            "-y",
            "-w",
            "0",
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.stdout.split("DATA {")[-1].split("}")[0] if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_debians_h5dump_reads_what_was_written(tmp_path: Path, compression: str) -> None:
    path = write_hdf5(tmp_path, compression)
    listed = subprocess.check_output([tool("h5ls", "hdf5-tools"), "-r", str(path)], text=True)
    assert "/rows/x                  Dataset {3000/Inf}" in listed
    assert [float(x) for x in dumped(path, "/rows/x").split(",")] == ROWS["x"].to_pylist()
    assert [int(n) for n in dumped(path, "/rows/n").split(",")] == ROWS["n"].to_pylist()


@pytest.mark.parametrize("compression", ["lzf", "zstd"])
def test_a_codec_that_h5dump_lacks_shows_as_an_error(tmp_path: Path, compression: str) -> None:
    path = write_hdf5(tmp_path, compression)
    assert "unable to print data" in dumped(path, "/rows/x")
    if compression == "zstd":
        import hdf5plugin

        found = dumped(path, "/rows/x", HDF5_PLUGIN_PATH=hdf5plugin.PLUGIN_PATH)
        assert [float(x) for x in found.split(",")] == ROWS["x"].to_pylist()


READ_ZSTD = """
import sys, h5py
with h5py.File(sys.argv[1]) as file:
    group = file["rows"]
    assert group.attrs["compression"] == "zstd"
    assert group.attrs["read_with"].startswith("import hdf5plugin before")
    try:
        group["x"][:]
    except OSError as error:
        assert "plugin" in str(error)
    else:
        raise AssertionError("read without its codec")
    import hdf5plugin
    print(group["x"][:].sum())
"""


def test_a_file_says_how_its_codec_is_read(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path, "zstd")
    found = subprocess.check_output([sys.executable, "-c", READ_ZSTD, str(path)], text=True)
    assert float(found) == ROWS["x"].to_numpy().sum()


APPEND = """
import sys
from pathlib import Path
import pyarrow as pa
if sys.argv[2] == "missing":
    sys.modules["hdf5plugin"] = None
from tests.daq.store.test_hdf5_store import Store
store = Store(Path(sys.argv[1]))
store.sent = 10
store.write(pa.table({"x": [7.0]}), compression="none")
store.close()
"""


def test_a_compressed_file_is_gone_on_with_by_the_next_life(tmp_path: Path) -> None:
    store = HDF5Store(tmp_path)
    store.write(pa.table({"x": [5.0, 6.0]}), compression="zstd")
    store.close()
    path = tmp_path / "a.h5"
    before = path.read_bytes()
    command = [sys.executable, "-c", APPEND, str(tmp_path)]
    lacking = subprocess.run([*command, "missing"], capture_output=True, text=True, check=False)
    assert "hdf5plugin is missing" in lacking.stderr.splitlines()[-1]
    assert path.read_bytes() == before  # it waits: nothing is broken
    subprocess.run([*command, "there"], check=True)
    import h5py
    import hdf5plugin  # noqa: F401

    with h5py.File(path) as file:
        assert file["rows/x"][:].tolist() == [5.0, 6.0, 7.0]
    assert [found.name for found in tmp_path.glob("*.h5*")] == ["a.h5"]


READ_TREE = """
import { openFile, treeProcess, TSelector } from '%s';
const file = await openFile(process.argv[1]);
const tree = await file.readObject('rows');
const names = tree.fBranches.arr.map(branch => branch.fName);
const rows = [];
const selector = new TSelector();
names.forEach(name => selector.addBranch(name));
selector.Process = function() {
  rows.push(names.map(name => {
    const value = this.tgtobj[name];
    return ArrayBuffer.isView(value) || Array.isArray(value) ? Array.from(value) : value;
  }));
};
await treeProcess(tree, selector);
console.log(JSON.stringify([names, rows], (_, v) => typeof v === 'bigint' ? v.toString() : v));
"""


@pytest.mark.skipif(
    not JSROOT, reason="set ENRGDAQ_TEST_JSROOT to a node_modules/jsroot (npm install jsroot)"
)
@pytest.mark.parametrize("compression", ["ZSTD", "LZ4", "ZLIB", "LZMA"])
def test_jsroot_reads_trees_jagged_branches_and_text(tmp_path: Path, compression: str) -> None:
    store = ROOTStore(tmp_path)
    store.write(ROWS, compression_type=compression)
    (path,) = store.finish()
    script = READ_TREE % (Path(JSROOT) / "modules/main.mjs")
    found = subprocess.check_output(
        [tool("node", "nodejs"), "--input-type=module", "-e", script, str(path)],
        text=True,
        cwd=tmp_path,
    )
    names, rows = json.loads(found)
    assert names == ["n", "x", "nw", "w", "s"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    assert [int(n) for n in columns["n"]] == ROWS["n"].to_pylist()
    for name in ("x", "w", "s"):
        assert list(columns[name]) == ROWS[name].to_pylist()
