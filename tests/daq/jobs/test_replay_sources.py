"""Every format gives back the values that its own library wrote."""

import os
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
import uproot
import zstandard

from enrgdaq.daq.jobs.replay_sources import ReplayError, guess_format, open_source
from enrgdaq.errors import ConfigurationError

TABLE = pa.table(
    {
        "time": pa.array(range(25), pa.int64()),
        "charge_pC": pa.array(np.linspace(0, 1, 25)),
        "name": [f"channel {n}" for n in range(25)],
    }
)


def serialized(batch):
    return batch.serialize().to_pybytes()


def read(path, **keys):
    source = open_source(path, **keys)
    try:
        batches = list(source.batches())
        # A second pass gives the same rows.
        again = list(source.batches())
        assert [serialized(batch) for batch in batches] == [serialized(batch) for batch in again]
        if source.total_rows is not None:
            assert source.total_rows == sum(batch.num_rows for batch in batches)
        return batches
    finally:
        source.close()


def write_csv(path):
    pa.csv.write_csv(TABLE, path)


def write_csv_in_zstd_frames(path):
    text = pa.BufferOutputStream()
    pa.csv.write_csv(TABLE, text)
    data = text.getvalue().to_pybytes()
    frames = [zstandard.compress(data[at : at + 50]) for at in range(0, len(data), 50)]
    path.write_bytes(b"".join(frames))


def write_parquet(path):
    pa.parquet.write_table(TABLE, path, row_group_size=7)


def write_arrow_file(path):
    with pa.ipc.new_file(path, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=12)


def write_arrow_stream(path):
    with pa.ipc.new_stream(path, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=12)


def write_feather(path):
    pa.feather.write_feather(TABLE, path, compression="zstd")


WRITERS = {
    "rows.csv": write_csv,
    "rows.csv.zst": write_csv_in_zstd_frames,
    "rows.parquet": write_parquet,
    "rows.arrow": write_arrow_file,
    "rows.arrows": write_arrow_stream,
    "rows.feather": write_feather,
}


@pytest.mark.parametrize("name", WRITERS)
def test_arrow_formats_give_all_rows_in_bounded_batches(tmp_path, name):
    WRITERS[name](tmp_path / name)
    batches = read(tmp_path / name, batch_rows=5)
    assert pa.Table.from_batches(batches) == TABLE
    assert max(batch.num_rows for batch in batches) <= 5


@pytest.mark.parametrize("name", WRITERS)
def test_columns_are_picked_and_ordered(tmp_path, name):
    WRITERS[name](tmp_path / name)
    batches = read(tmp_path / name, columns=["name", "time"])
    assert pa.Table.from_batches(batches) == TABLE.select(["name", "time"])
    with pytest.raises(ConfigurationError, match="no column 'tmie'; it has time, charge_pC, name"):
        open_source(tmp_path / name, columns=["tmie"])


def test_csv_types_can_be_given_where_the_guess_is_wrong(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,value\n" + "007,1\n" * 200_000 + "008,1.5\n")
    with pytest.raises(ReplayError, match="give it in column_types"):
        read(path)
    batches = read(path, column_types={"id": "string", "value": "float64"})
    last = batches[-1].to_pylist()[-1]
    assert last == {"id": "008", "value": 1.5}
    with pytest.raises(ConfigurationError, match=r"column_types\.id = 'text' is no Arrow type"):
        open_source(path, column_types={"id": "text"})


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.arrow", "rows.h5", "rows.root"])
def test_files_that_are_not_what_they_seem_are_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(ConfigurationError, match=name):
        open_source(path)
    with pytest.raises(ConfigurationError, match="no such file"):
        open_source(tmp_path / "absent" / name)


def test_formats_are_guessed_by_the_extension():
    assert guess_format(Path("a/B.CSV.ZST")) == "csv"
    assert guess_format(Path("run.h5")) == "hdf5"
    with pytest.raises(ConfigurationError, match="set format"):
        guess_format(Path("run.dat"))


HITS = np.array(
    [(n, n / 3, b"dom%d" % n, [n, n + 1, n + 2], (2**64 - 1 - n, -n), n % 2) for n in range(25)],
    dtype=[
        ("id", "<u2"),
        ("time", ">f8"),
        ("dom", "S8"),
        ("pos", "<f4", (3,)),
        ("trigger", [("mask", "<u8"), ("counter", "<i4")]),
        ("triggered", "?"),
    ],
)


def test_hdf5_compound_datasets_keep_types_strings_arrays_and_signs(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["hits"] = HITS
    table = pa.Table.from_batches(read(tmp_path / "rows.h5", batch_rows=10))
    assert table.schema == pa.schema(
        {
            "id": pa.uint16(),
            "time": pa.float64(),
            "dom": pa.string(),
            "pos": pa.list_(pa.float32(), 3),
            "trigger.mask": pa.uint64(),
            "trigger.counter": pa.int32(),
            "triggered": pa.bool_(),
        }
    )
    assert table["dom"].to_pylist() == [f"dom{n}" for n in range(25)]
    assert table["pos"].to_pylist() == HITS["pos"].tolist()
    assert table["trigger.mask"].to_pylist() == HITS["trigger"]["mask"].tolist()
    assert table["time"].to_pylist() == HITS["time"].tolist()

    picked = read(tmp_path / "rows.h5", columns=["trigger.counter", "id"])
    assert pa.Table.from_batches(picked) == table.select(["trigger.counter", "id"])


def test_hdf5_groups_of_columns(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        group = file.create_group("run/hits")
        group["time"] = np.arange(25.0)
        group["waveform"] = np.arange(25 * 2 * 4, dtype="i2").reshape(25, 2, 4)
        group["label"] = np.array([f"µ{n}" for n in range(25)], h5py.string_dtype())
        samples = group.create_dataset("samples", (25,), h5py.vlen_dtype("u2"))
        for n in range(25):
            samples[n] = np.arange(n, dtype="u2")
        group["_indices"] = np.arange(3)
    table = pa.Table.from_batches(read(tmp_path / "rows.h5", batch_rows=10))
    assert set(table.column_names) == {"time", "waveform", "label", "samples"}
    assert table["label"].to_pylist() == [f"µ{n}" for n in range(25)]
    assert table["waveform"].to_pylist() == np.arange(200).reshape(25, 2, 4).tolist()
    assert table["samples"].to_pylist() == [list(range(n)) for n in range(25)]
    assert table.schema.field("samples").type.value_type == pa.uint16()

    alone = read(tmp_path / "rows.h5", object_path="run/hits/_indices")
    assert alone[0].to_pydict() == {"_indices": [0, 1, 2]}
    with pytest.raises(ConfigurationError, match=r"_indices 3.*columns = "):
        open_source(tmp_path / "rows.h5", object_path="run/hits", columns=["time", "_indices"])


def test_hdf5_objects_are_named_when_one_must_be_chosen(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["hits"] = HITS
        file["run/time"] = np.arange(3)
        file["empty"] = np.zeros(3, "c16")
    path = tmp_path / "rows.h5"
    with pytest.raises(ConfigurationError, match=r"3 objects with rows \(/, hits, run\)"):
        open_source(path)
    with pytest.raises(ConfigurationError, match="'tracks' is not in"):
        open_source(path, object_path="tracks")
    with pytest.raises(ConfigurationError, match="no column 'tot'; it has id, time"):
        open_source(path, object_path="hits", columns=["tot"])
    with pytest.raises(ConfigurationError, match=r"complex128.*leave it out"):
        read(path, object_path="empty")


def test_hdf5_bytes_that_are_no_text_are_shown_and_not_lost(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["hits"] = np.array([(b"ok",), (b"\xff\xfe",)], [("name", "S4")])
    (batch,) = read(tmp_path / "rows.h5")
    assert batch["name"].to_pylist() == ["ok", "\\xff\\xfe"]


def write_root(path):
    with uproot.recreate(path) as file:
        file.mktree(
            "events", {"id": "uint32", "charge": "float64", "pos": ("float32", (3,))}
        ).extend(
            {
                "id": np.arange(25, dtype="u4") + 2**31,
                "charge": np.linspace(0, 1, 25),
                "pos": np.arange(75, dtype="f4").reshape(25, 3),
            }
        )


def test_root_trees_keep_types_and_fixed_arrays(tmp_path):
    write_root(tmp_path / "rows.root")
    table = pa.Table.from_batches(read(tmp_path / "rows.root", batch_rows=10))
    assert table.schema == pa.schema(
        {"id": pa.uint32(), "charge": pa.float64(), "pos": pa.list_(pa.float32(), 3)}
    )
    assert table["id"].to_pylist() == [2**31 + n for n in range(25)]
    assert table["charge"].to_pylist() == np.linspace(0, 1, 25).tolist()
    assert table["pos"].to_pylist() == np.arange(75.0).reshape(25, 3).tolist()
    picked = read(tmp_path / "rows.root", object_path="events", columns=["pos", "id"])
    assert pa.Table.from_batches(picked) == table.select(["pos", "id"])


LISTS = [[1.0, 2.0], [3.0, 4.0], [], [5.0]]
WORDS = ["a", "", "ccc", "d"]


def test_root_lists_keep_their_type_when_a_batch_happens_to_be_regular(tmp_path):
    with uproot.recreate(tmp_path / "rows.root") as file:
        tree = file.mktree("events", {"hits": "var * float64", "word": "string"})
        tree.extend({"hits": ak.Array(LISTS), "word": ak.Array(WORDS)})
    batches = read(tmp_path / "rows.root", batch_rows=2, columns=["hits", "word"])
    table = pa.Table.from_batches(batches)
    assert table["hits"].to_pylist() == LISTS
    assert table["word"].to_pylist() == WORDS


def test_root_ntuples_are_read_like_trees(tmp_path):
    columns = {"hits": ak.Array(LISTS), "word": ak.Array(WORDS), "id": np.arange(4, dtype="u4")}
    with uproot.recreate(tmp_path / "rows.root") as file:
        ntuple = file.mkrntuple("events", columns)
        ntuple.extend(columns)
    table = pa.Table.from_batches(
        read(tmp_path / "rows.root", batch_rows=3, columns=["word", "hits", "id"])
    )
    assert table["hits"].to_pylist() == LISTS * 2
    assert table["word"].to_pylist() == WORDS * 2
    assert table["id"].type == pa.uint32()
    with pytest.raises(ConfigurationError, match="no column 'tot'; it has hits"):
        open_source(tmp_path / "rows.root", columns=["tot"])


def test_root_trees_are_named_when_one_must_be_chosen(tmp_path):
    write_root(tmp_path / "rows.root")
    with pytest.raises(ConfigurationError, match="its trees are events"):
        open_source(tmp_path / "rows.root", object_path="event")
    with pytest.raises(ConfigurationError, match="no column 'ID'; it has id, charge, pos"):
        open_source(tmp_path / "rows.root", columns=["ID"])
    with uproot.update(tmp_path / "rows.root") as file:
        file.mktree("more", {"x": "int64"}).extend({"x": np.arange(3)})
    with pytest.raises(ConfigurationError, match=r"2 trees \(events, more\)"):
        open_source(tmp_path / "rows.root")


@pytest.fixture(scope="module")
def km3net():
    try:
        from km3net_testdata import data_path
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("km3net-testdata is not installed: uv sync --group realdata")
    return lambda name: Path(data_path(name))


KM3NET_HDF5 = [
    ("hdf5/basic_analysis_sample.h5", "event_info", 3484),
    ("hdf5/basic_analysis_sample.h5", "reco/gandalf", 3484),
    ("hdf5/geamon.h5", "raw_header", 60),
    ("seatray/antares.h5", "CalibratedPulses", 13556),
]


@pytest.mark.parametrize(("name", "where", "n_rows"), KM3NET_HDF5)
def test_km3net_tables_are_read_value_for_value(km3net, name, where, n_rows):
    table = pa.Table.from_batches(read(km3net(name), object_path=where, batch_rows=1000))
    with h5py.File(km3net(name)) as file:
        expected = file[where][:]
    assert table.num_rows == n_rows
    assert table.column_names == list(expected.dtype.names)
    for field in expected.dtype.names:
        column = table[field]
        if expected.dtype[field].kind == "S":
            assert [text.encode() for text in column.to_pylist()] == expected[field].tolist()
        else:
            assert column.to_numpy().dtype == expected.dtype[field].newbyteorder("=")
            np.testing.assert_array_equal(column.to_numpy(), expected[field])


def test_a_km3net_group_of_columns_is_read_value_for_value(km3net):
    path = km3net("hdf5/geamon.h5")
    table = pa.Table.from_batches(read(path, object_path="hits", batch_rows=5000))
    with h5py.File(path) as file:
        assert set(table.column_names) == set(file["hits"]) - {"_indices"}
        for name in table.column_names:
            np.testing.assert_array_equal(table[name].to_numpy(), file["hits"][name][:])


def test_km3net_trees_are_read_value_for_value(km3net):
    path = km3net("calib/KM3NeT_00000133_D_1.0.0_00017397_00017496_1.orientations.root")
    table = pa.Table.from_batches(read(path, batch_rows=500))
    with uproot.open(path) as file:
        tree = file["ORIENTATION"]
        assert table.num_rows == tree.num_entries == 1146
        assert {"a", "b", "c", "d", "id", "t"} <= set(table.column_names)
        branch = "ORIENTATION/JCOMPASS::JQuaternion/"
        for name, where in [("id", "id"), ("t", "t"), ("a", f"{branch}a"), ("d", f"{branch}d")]:
            np.testing.assert_array_equal(table[name].to_numpy(), tree[where].array(library="np"))


def test_a_large_tree_and_lists_of_other_experiments_are_read(km3net):
    path = km3net("oscillations/ORCA6_433kt-y_opendata_v0.5_testdata.root")
    table = pa.Table.from_batches(read(path, object_path="binned_nu_response"))
    with uproot.open(path) as file:
        for name, branch in file["binned_nu_response"].items():
            np.testing.assert_array_equal(
                table[name].to_numpy(),
                branch.array(library="np"),
            )

    path = km3net("gibuu/EventOutput.Pert.00000001.root")
    keys = ["barcode", "weight"]
    table = pa.Table.from_batches(read(path, columns=keys, batch_rows=1000))
    with uproot.open(path) as file:
        expected = file["RootTuple"].arrays(keys, library="ak")
    assert table["barcode"].to_pylist() == expected["barcode"].to_list()
    assert table["weight"].to_pylist() == expected["weight"].to_list()
