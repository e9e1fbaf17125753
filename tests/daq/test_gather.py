"""Rows handed in one by one come out in batches: none lost, none changed."""

import time

import pyarrow as pa
import pytest

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobStoreConfig,
    DAQJobStoreConfigMemory,
)
from enrgdaq.errors import CodecError, StoreError
from enrgdaq.testing import RecordingHost

STORE = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory())
NEVER = 3_600_000.0  # ms


@pytest.fixture
def host() -> RecordingHost:
    return RecordingHost()


@pytest.fixture
def job(host: RecordingHost) -> DAQJob:
    return DAQJob(DAQJobConfig(daq_job_type="DAQJob"), host=host)


def tables(host: RecordingHost) -> list[pa.Table]:
    sent = [m for m in host.published if isinstance(m, DAQJobMessageStorePyArrow)]
    assert len(sent) == len(host.published)
    return [message.get_table() for message in sent]


def rows(host: RecordingHost) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for table in tables(host) for row in table.to_pylist()]


def test_batches_are_bounded_by_rows(job: DAQJob, host: RecordingHost) -> None:
    gatherer = job.gather_rows(STORE, ["n", "half"], max_rows=300, max_milliseconds=NEVER)
    given = [(n, n / 2) for n in range(1000)]
    gatherer.extend(given)
    gatherer.flush()
    assert rows(host) == given
    assert max(table.num_rows for table in tables(host)) == 300


def test_batches_are_bounded_by_bytes(job: DAQJob, host: RecordingHost) -> None:
    gatherer = job.gather_rows(STORE, ["text"], max_bytes=10_000, max_milliseconds=NEVER)
    gatherer.extend([("x" * 500,)] * 1000)
    gatherer.flush()
    assert len(rows(host)) == 1000
    assert all(table.nbytes <= 10_000 for table in tables(host)[1:])


def test_a_lone_row_goes_out_in_time(job: DAQJob, host: RecordingHost) -> None:
    gatherer = job.gather_rows(STORE, ["n"], max_milliseconds=30)
    for n in range(3):
        begun = time.monotonic()
        gatherer.add((n,))
        while len(host.published) <= n and time.monotonic() - begun < 10:
            time.sleep(0.002)
        assert time.monotonic() - begun >= 0.03
    assert rows(host) == [(0,), (1,), (2,)]


def test_what_is_gathered_at_the_end_is_sent(job: DAQJob, host: RecordingHost) -> None:
    gatherer = job.gather_rows(STORE, ["n"], max_milliseconds=NEVER)
    gatherer.add((7,))
    job.send_gathered()
    assert rows(host) == [(7,)]


def test_a_column_keeps_the_type_that_holds_its_values(job: DAQJob, host: RecordingHost) -> None:
    gatherer = job.gather_rows(STORE, ["a", "b"], max_milliseconds=NEVER)
    for batch in ([(1.5, None)], [(2, 3)], [(4, None)], [("now text", 5)]):
        gatherer.extend(batch)
        gatherer.flush()
    assert [str(table.schema.field("a").type) for table in tables(host)] == [
        "double",
        "double",
        "double",
        "string",
    ]
    assert [str(table.schema.field("b").type) for table in tables(host)] == [
        "null",
        "int64",
        "int64",
        "int64",
    ]


def test_a_schema_fixes_the_types(job: DAQJob, host: RecordingHost) -> None:
    schema = pa.schema({"channel": pa.uint8(), "charge": pa.float32()})
    gatherer = job.gather_rows(STORE, schema, max_milliseconds=NEVER)
    gatherer.add((3, 1))
    gatherer.flush()
    assert tables(host)[0].schema == schema


def test_a_row_of_another_length_is_named_and_takes_no_other_with_it(
    job: DAQJob, host: RecordingHost
) -> None:
    gatherer = job.gather_rows(STORE, ["a", "b"], max_milliseconds=NEVER)
    gatherer.extend([(1, 2), (3,)])
    with pytest.raises(ValueError, match=r"row of 1 values for columns a, b: \(3,\)"):
        gatherer.flush()
    assert rows(host) == [(1, 2)]


def test_two_columns_of_one_name_are_refused_at_once(job: DAQJob) -> None:
    with pytest.raises(StoreError, match="columns t, v, v: each name may be there once"):
        job.gather_rows(STORE, ["t", "v", "v"])


def test_what_is_no_message_is_refused_in_words(job: DAQJob) -> None:
    with pytest.raises(CodecError, match="publish takes messages, not"):
        job.publish({"n": 1})  # type: ignore[arg-type]
