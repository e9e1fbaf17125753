"""Units of columns reach the stores on every way that rows can be sent."""

from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.jobs.pc_metrics import DAQJobPCMetrics, DAQJobPCMetricsConfig
from enrgdaq.daq.jobs.simulated_detector import (
    DAQJobSimulatedDetector,
    DAQJobSimulatedDetectorConfig,
)
from enrgdaq.daq.jobs.test_job import DAQJobTest, DAQJobTestConfig
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.packing import Packer
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfig,
    DAQJobStoreConfigMemory,
)
from enrgdaq.daq.store.rows import table_of
from enrgdaq.daq.units import unit_of
from enrgdaq.errors import CodecError
from enrgdaq.testing import RecordingHost

STORE = DAQJobStoreConfig(memory=DAQJobStoreConfigMemory())
CHARGE = pa.schema(
    [pa.field("n", pa.int64()), pa.field("q", pa.float64(), metadata={"unit": "pC"})]
)


def rows(job: DAQJob) -> None:
    job.publish(
        DAQJobMessageStoreTabular(
            store_config=STORE, keys=["n", "q"], units={"q": "pC"}, data=[[1, 2.0]]
        )
    )


def table(job: DAQJob) -> None:
    sent = pa.table([[1], [2.0]], schema=CHARGE)
    job.publish(DAQJobMessageStorePyArrow(store_config=STORE, table=sent))


def dictionary(job: DAQJob) -> None:
    field = pa.field("q", pa.dictionary(pa.int8(), pa.float64()), metadata={"unit": "pC"})
    sent = pa.table(
        [pa.array([1]), pa.array([2.0]).dictionary_encode().cast(field.type)],
        schema=pa.schema([CHARGE.field("n"), field]),
    )
    job.publish(DAQJobMessageStorePyArrow(store_config=STORE, table=sent))


def gathered(job: DAQJob) -> None:
    gatherer = job.gather_rows(STORE, CHARGE)
    gatherer.add((1, 2.0))
    gatherer.close()


def reserved(job: DAQJob) -> None:
    with job.reserve(STORE, {"n": np.int64, "q": np.float64}, 1, units={"q": "pC"}) as space:
        space.columns["n"][:] = 1
        space.columns["q"][:] = 2.0


def units(message: DAQJobMessageStore) -> dict[str, str]:
    return {field.name: unit_of(field) for field in table_of(message).schema}


@pytest.mark.parametrize("send", [rows, table, dictionary, gathered, reserved])
def test_a_unit_comes_with_the_rows(send: Callable[[DAQJob], None]) -> None:
    host = RecordingHost()
    send(DAQJob(DAQJobConfig(daq_job_type="DAQJob"), host=host))
    (message,) = host.published
    assert isinstance(message, DAQJobMessageStore)
    assert units(message) == {"n": "", "q": "pC"}
    assert table_of(message).to_pylist() == [{"n": 1, "q": 2.0}]


@pytest.mark.parametrize(
    ("job_type", "config_type", "keys", "expected"),
    [
        (
            DAQJobTest,
            DAQJobTestConfig,
            {"rand_min": 0, "rand_max": 1},
            {"timestamp": "s", "A": "", "B": "", "C": ""},
        ),
        (
            DAQJobPCMetrics,
            DAQJobPCMetricsConfig,
            {"poll_interval_seconds": 0.1},
            {"timestamp": "s", "cpu": "%", "memory": "%", "disk": "%"},
        ),
        (
            DAQJobSimulatedDetector,
            DAQJobSimulatedDetectorConfig,
            {"batch_seconds": 0.01},
            {
                "event_time_ns": "ns",
                "channel": "",
                "charge_pC": "pC",
                "time_ns": "ns",
                "baseline": "ADC",
                "amplitude": "ADC",
            },
        ),
    ],
)
def test_shipped_jobs_give_the_units_of_their_columns(
    job_type: type[DAQJob],
    config_type: type[DAQJobConfig],
    keys: dict[str, object],
    expected: dict[str, str],
) -> None:
    host = RecordingHost(stop_after=1)
    raw = {"daq_job_type": job_type.__name__, "store_config": {"memory": {}}, **keys}
    job_type(msgspec.convert(raw, config_type), host=host).start()
    message = host.published[0]
    assert isinstance(message, DAQJobMessageStore)
    assert units(message) == expected


def test_a_unit_of_no_column_is_refused() -> None:
    message = DAQJobMessageStoreTabular(store_config=STORE, keys=["n"], units={"q": "pC"}, data=[])
    with pytest.raises(CodecError, match="no column 'q'"):
        Packer().pack(message)


def test_other_units_make_another_header() -> None:
    packer = Packer()

    def header(unit: str) -> bytes:
        message = DAQJobMessageStoreTabular(
            store_config=STORE, keys=["n"], units={"n": unit}, data=[[1]]
        )
        return packer.envelope(message).header

    assert b"pC" in header("pC")
    assert b"nC" in header("nC")
    assert b"pC" in header("pC")


def test_units_are_text() -> None:
    message = DAQJobMessageStoreTabular(
        store_config=STORE,
        keys=["q"],
        units={"q": 3},  # type: ignore[dict-item]
        data=[[1.0]],
    )
    with pytest.raises(CodecError, match="column 'q' is 3; give a text"):
        Packer().pack(message)
