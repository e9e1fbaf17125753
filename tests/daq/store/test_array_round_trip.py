"""What a job sent is what an analyst reads, bit for bit, in HDF5 and in ROOT files."""

from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import uproot

from enrgdaq.errors import StoreError
from tests.daq.store.test_hdf5_store import Store as HDF5Store
from tests.daq.store.test_root_store import Store as ROOTStore

INTEGERS = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]
NUMBERS = [*INTEGERS, pa.float16(), pa.float32(), pa.float64(), pa.bool_()]
TIMES = [
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")),
    *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.date32(), pa.date64()),
]
BYTES = [
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(5)),
]
LISTS = [
    *(pa.list_(kind) for kind in (*NUMBERS, *TIMES[:8])),
    *(pa.large_list(kind) for kind in NUMBERS),
    *(pa.list_(kind, 3) for kind in NUMBERS),
    pa.list_(pa.list_(pa.int16(), 2), 3),
]
TYPES = [*NUMBERS, *TIMES, *BYTES, *LISTS]
REFUSED = [
    pa.binary(0),
    pa.map_(pa.string(), pa.int64()),
    pa.decimal128(5, 2),
    pa.month_day_nano_interval(),
    pa.list_(pa.list_(pa.int8())),
    pa.list_(pa.string()),
    pa.struct([("a", pa.int8())]),
]
NAMES = {f"c{number}": kind for number, kind in enumerate(TYPES)}


class Content(NamedTuple):
    """A column as bytes: which rows are missing, lengths of lists, and all values."""

    nulls: list[int]
    lengths: list[int]
    values: bytes


def column(kind: pa.DataType, random: np.random.Generator, rows: int, gaps: float) -> pa.Array:
    """Random bits of a type, some rows missing."""
    mask = random.random(rows) < gaps
    if pa.types.is_fixed_size_list(kind):
        items = column(kind.value_type, random, rows * kind.list_size, 0)
        return pa.FixedSizeListArray.from_arrays(items, type=kind, mask=pa.array(mask))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = random.integers(0, 5, rows)
        offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))))
        items = column(kind.value_type, random, int(lengths.sum()), 0)
        make = pa.ListArray if pa.types.is_list(kind) else pa.LargeListArray
        width = pa.int32() if pa.types.is_list(kind) else pa.int64()
        return make.from_arrays(offsets.cast(width), items, type=kind, mask=pa.array(mask))
    if pa.types.is_boolean(kind):
        return pa.array(random.random(rows) < 0.5, mask=mask)
    if kind in BYTES:
        size = kind.byte_width if pa.types.is_fixed_size_binary(kind) else None
        texts = [random.bytes(random.integers(0, 40) if size is None else size) for _ in mask]
        if "string" in str(kind):
            return pa.array([text.decode("latin-1") for text in texts], kind, mask=mask)
        return pa.array(texts, kind, mask=mask)
    if pa.types.is_date64(kind):
        return column(pa.date32(), random, rows, gaps).cast(kind)
    # Any bits: infinities and every NaN among the floats.
    whole = np.frombuffer(random.bytes(rows * kind.bit_width // 8), f"i{kind.bit_width // 8}")
    if pa.types.is_date32(kind):
        whole = whole % 10**6
    return pa.array(whole, mask=mask).view(kind)


def bits(array: pa.Array) -> bytes:
    """Values without gaps."""
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        return bits(array.flatten())
    if kind in BYTES:
        as_bytes = (x.encode() if isinstance(x, str) else x for x in array.to_pylist())
        return b"".join(as_bytes)
    if pa.types.is_date64(kind):
        array = array.cast(pa.date32())
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    width = array.type.bit_width // 8
    return bytes(array.view(getattr(pa, f"int{8 * width}")()).to_numpy().tobytes())


def sent(found: pa.ChunkedArray) -> Content:
    array = found.combine_chunks()
    if "view" in str(array.type):
        array = array.cast(pa.large_binary())
    there = array.drop_null()
    nulls = np.flatnonzero(array.is_null()).tolist()
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        lengths = pc.list_value_length(there).to_pylist()
        return Content(nulls, lengths, bits(there.flatten()))
    if array.type in BYTES and not pa.types.is_fixed_size_binary(array.type):
        texts = [x.encode() if isinstance(x, str) else x for x in there.to_pylist()]
        return Content(nulls, [len(text) for text in texts], b"".join(texts))
    return Content(nulls, [], bits(there))


def is_filler(values: Any) -> bool:
    return bool(np.isnan(values).all() if values.dtype.kind == "f" else not values.any())


def in_hdf5(group: Any, name: str) -> Content:
    values, nulls = group[name][:], group["_nulls"][name][:].tolist()
    if name not in group["_offsets"]:
        assert is_filler(values[nulls])
        return Content(nulls, [], np.delete(values, nulls, axis=0).tobytes())
    lengths = np.diff(group["_offsets"][name][:].astype(int))
    assert not lengths[nulls].any()
    return Content(nulls, np.delete(lengths, nulls).tolist(), values.tobytes())


def in_root(tree: Any, name: str) -> Content:
    array = tree[name].array()
    nulls: list[int] = []
    if f"{name}_is_null" in tree:
        nulls = np.flatnonzero(tree[f"{name}_is_null"].array(library="np")).tolist()
    if NAMES[name] in BYTES and "string" in str(NAMES[name]):
        texts = [text.encode() for text in array.tolist()]
        assert not any(texts[row] for row in nulls)
        lengths = np.array([len(text) for text in texts], int)
        return Content(nulls, np.delete(lengths, nulls).tolist(), b"".join(texts))
    if f"n{name}" not in tree:
        values = ak.to_numpy(array)
        assert is_filler(values[nulls])
        return Content(nulls, [], as_sent(np.delete(values, nulls, axis=0), name))
    lengths = ak.to_numpy(ak.num(array)).astype(int)
    assert not lengths[nulls].any()
    items = as_sent(ak.to_numpy(ak.flatten(array)), name)
    return Content(nulls, np.delete(lengths, nulls).tolist(), items)


def as_sent(values: Any, name: str) -> bytes:
    """ROOT has no numbers of 16 bits with a point: they are held as those of 32."""
    kind = NAMES[name]
    inner = kind.value_type if hasattr(kind, "value_type") else kind
    return bytes((values.astype("f2") if pa.types.is_float16(inner) else values).tobytes())


def messages(gaps: float) -> list[pa.Table]:
    """Tables of all types as a job may send them: in several messages, pieces, slices."""
    random = np.random.default_rng(int(10 * gaps))
    found = []
    for rows in (1, 7, 12):
        whole = pa.table({name: column(kind, random, rows, gaps) for name, kind in NAMES.items()})
        begin = rows // 3
        found.append(pa.concat_tables([whole.slice(begin), whole.slice(0, begin)]))
    return found


def assert_same(found: Content, table: pa.Table, name: str, *, nan_bits: bool) -> None:
    expected = sent(table[name])
    if not nan_bits and "halffloat" in str(NAMES[name]):
        expected = expected._replace(values=_plain_nans(expected.values))
        found = found._replace(values=_plain_nans(found.values))
    assert found == expected, (name, NAMES[name])


def _plain_nans(values: bytes) -> bytes:
    halves = np.frombuffer(values, "f2").copy()
    halves[np.isnan(halves)] = np.nan
    return halves.tobytes()


@pytest.mark.parametrize("gaps", [0.0, 0.3, 1.0])
def test_hdf5_holds_every_bit(gaps: float, tmp_path: Path) -> None:
    tables = messages(gaps)
    store = HDF5Store(tmp_path)
    for table in tables:
        store.put(table)
    store.job.flush()
    store.write(tables[1])
    store.close()
    whole = pa.concat_tables([*tables, tables[1]])
    with h5py.File(tmp_path / "a.h5") as file:
        for name in NAMES:
            assert_same(in_hdf5(file["rows"], name), whole, name, nan_bits=True)


@pytest.mark.parametrize("gaps", [0.0, 0.3, 1.0])
def test_root_holds_every_bit(gaps: float, tmp_path: Path) -> None:
    tables = messages(gaps)
    store = ROOTStore(tmp_path)
    for table in tables:
        store.put(table)
    store.job.flush()
    store.write(tables[1])
    (path,) = store.finish()
    store.job.free()
    whole = pa.concat_tables([*tables, tables[1]])
    with uproot.open(path) as file:
        for name in NAMES:
            assert_same(in_root(file["rows"], name), whole, name, nan_bits=False)


@pytest.mark.parametrize("make", [HDF5Store, ROOTStore])
@pytest.mark.parametrize("kind", REFUSED, ids=str)
def test_a_type_without_a_place_is_refused_before_a_row_is_kept(
    make: Any, kind: pa.DataType, tmp_path: Path
) -> None:
    store = make(tmp_path)
    with pytest.raises(StoreError, match="'odd'"):
        store.put(pa.table({"odd": pa.nulls(1, kind)}))
    store.put(pa.table({"n": [1]}))
    store.job.flush()
    store.job.free()


def test_dictionaries_and_columns_without_values(tmp_path: Path) -> None:
    words = pa.array(["a", None, "b", "a"]).dictionary_encode()
    table = pa.table({"word": words, "none": pa.nulls(4)})
    hdf5, root = HDF5Store(tmp_path), ROOTStore(tmp_path)
    for store in (hdf5, root):
        store.write(table)
    hdf5.close()
    (path,) = root.finish()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["rows/word"][:].tobytes() == b"aba"
        assert file["rows/_offsets/word"][:].tolist() == [0, 1, 1, 2, 3]
        assert np.isnan(file["rows/none"][:]).all()
    with uproot.open(path) as file:
        assert file["rows/word"].array().tolist() == ["a", "", "b", "a"]
        assert file["rows/word_is_null"].array().tolist() == [False, True, False, False]
        assert np.isnan(file["rows/none"].array(library="np")).all()
