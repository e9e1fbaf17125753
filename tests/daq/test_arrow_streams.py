"""Streams as pyarrow writes and reads them, whatever came before."""

import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.arrow_streams import TableDecoder, TableEncoder
from enrgdaq.daq.payloads import Payload
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobStoreConfig,
    DAQJobStoreConfigMemory,
)
from enrgdaq.errors import CodecError

WAVES = np.arange(3 * 20_000, dtype=np.int16)
LARGE = {
    "numbers": pa.table({"n": np.arange(10_001), "x": np.arange(10_001, dtype=np.float32)}),
    "others": pa.table({"n": -np.arange(10_001), "x": np.full(10_001, 2.5, np.float32)}),
    "more rows": pa.table({"n": np.arange(10_002), "x": np.arange(10_002, dtype=np.float32)}),
    "other names": pa.table({"m": np.arange(10_001), "x": np.arange(10_001, dtype=np.float32)}),
    "a gap": pa.table({"n": [None, *range(10_000)], "x": np.arange(10_001, dtype=np.float32)}),
    "a slice": pa.table({"n": np.arange(10_002), "x": np.arange(10_002, dtype=np.float32)}).slice(
        1
    ),
    "waveforms": pa.table({"adc": pa.FixedSizeListArray.from_arrays(WAVES, 20_000)}),
    "pairs of waveforms": pa.table(
        {
            "adc": pa.FixedSizeListArray.from_arrays(
                pa.FixedSizeListArray.from_arrays(WAVES, 5_000), 2
            )
        }
    ),
    "a missing waveform": pa.table(
        {"adc": pa.array([WAVES[:40_000], None], pa.list_(pa.int16(), 40_000))}
    ),
    "a missing sample": pa.table(
        {"adc": pa.FixedSizeListArray.from_arrays([None, *WAVES[1:].tolist()], 20_000)}
    ),
    "flags": pa.table({"hit": np.arange(1 << 20) % 2 == 0}),
    "bytes": pa.table({"n": np.arange(100_001, dtype=np.uint8), "m": np.arange(100_001)}),
}


STORE = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory())
NUMBERS = pa.table({"n": [1, 2, None], "x": [0.5, -0.0, float("nan")]})
WORDS = pa.array(["a", "b", "a"]).dictionary_encode()
TABLES = {
    "numbers": NUMBERS,
    "units": pa.table(
        NUMBERS.columns,
        pa.schema(
            [pa.field("n", pa.int64(), metadata={"unit": "mV"}), pa.field("x", pa.float64())]
        ),
    ),
    "a sixteenth of a megabyte": pa.table({"n": range(10_000)}),
    "lists and text": pa.table({"w": [[1, 2], [], None], "s": ["", "é", None]}),
    "several batches": pa.concat_tables([NUMBERS, NUMBERS]),
    "no rows": NUMBERS.slice(0, 0),
    "a slice": NUMBERS.slice(1, 1),
    "no columns": pa.table({}),
    "dictionaries": pa.table({"word": WORDS}),
    "dictionaries in lists": pa.table({"words": pa.ListArray.from_arrays([0, 1, 3], WORDS)}),
}


def stream_of(table: pa.Table) -> bytes:
    """What pyarrow's own writer makes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def message_with(table: pa.Table | pa.RecordBatch) -> DAQJobMessageStorePyArrow:
    return DAQJobMessageStorePyArrow(store_config=STORE, table=table)


def encoded(encoder: TableEncoder, table: pa.Table | pa.RecordBatch) -> bytes:
    payload = encoder.payload(message_with(table))
    assert payload.rows == table.num_rows
    return written(payload)


def written(payload: Payload) -> bytes:
    if payload.data is not None:
        assert len(payload.data) == payload.length
        return bytes(payload.data)
    assert payload.fill is not None
    space = bytearray(payload.length)
    payload.fill(memoryview(space))
    return bytes(space)


def test_streams_are_those_of_pyarrow_whatever_came_before() -> None:
    encoder, decoder = TableEncoder(), TableDecoder()
    for table in (*TABLES.values(), *reversed(TABLES.values()), *TABLES.values()):
        stream = encoded(encoder, table)
        assert stream == stream_of(table)
        read = decoder.table(memoryview(stream))
        assert read.schema.equals(table.schema, check_metadata=True)
        assert str(read.to_pylist()) == str(table.to_pylist())  # a nan is not itself
        read.validate(full=True)


@pytest.mark.parametrize("kind", LARGE)
def test_large_tables_are_the_same_when_the_one_before_was_alike(kind: str) -> None:
    encoder = TableEncoder()
    for table in (LARGE[kind], LARGE[kind], *LARGE.values(), LARGE[kind], LARGE["others"]):
        assert encoded(encoder, table) == stream_of(table)


def test_a_table_may_be_written_after_the_next_one_was_measured() -> None:
    encoder = TableEncoder()
    encoded(encoder, LARGE["numbers"])
    tables = [LARGE[kind] for kind in ("others", "waveforms", "more rows", "numbers")]
    payloads = [encoder.payload(message_with(table)) for table in tables]
    for table, payload in zip(tables, payloads, strict=True):
        assert written(payload) == stream_of(table)


def test_a_batch_is_as_good_as_a_table() -> None:
    (batch,) = NUMBERS.to_batches()
    assert encoded(TableEncoder(), batch) == stream_of(NUMBERS)


def test_tables_point_into_the_payload() -> None:
    decoder = TableDecoder()
    for _ in range(2):
        space = bytearray(stream_of(pa.table({"n": [1]})))
        table = decoder.table(memoryview(space))
        at = space.rindex((1).to_bytes(8, "little"))
        space[at] = 7
        assert table["n"].to_pylist() == [7]


@pytest.mark.parametrize("length", [8, 100, 200, 300])
def test_a_stream_that_is_cut_off_is_an_error(length: int) -> None:
    stream = stream_of(NUMBERS)
    fresh, used = TableDecoder(), TableDecoder()
    used.table(memoryview(stream))
    for decoder in (fresh, used):
        with pytest.raises((pa.ArrowException, OSError)):
            decoder.table(memoryview(stream)[:length])


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(CodecError, match="not dict"):
        TableEncoder().payload(DAQJobMessageStorePyArrow(store_config=STORE, table={}))
