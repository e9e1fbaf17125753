"""Tables with a column of every type that array formats take."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa

from enrgdaq.daq.models import DAQJobInfo
from enrgdaq.daq.store.models import DAQJobMessageStorePyArrow, DAQJobStoreConfig
from enrgdaq.models import SupervisorInfo

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)

EVERY_TYPE = pa.table(
    {
        **{
            f"{kind}": pa.array(np.array([0, 1, np.iinfo(kind).max], kind))
            for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
        },
        "float32": pa.array(np.array([1 / 3, -0.0, np.inf], np.float32)),
        "float64": pa.array([1 / 3, 5e-324, -np.inf]),
        "flag": pa.array([True, False, True]),
        "text": pa.array(["naïve", "", "x" * 300]),
        "large_text": pa.array(["a", "b", "µ"], pa.large_string()),
        "blob": pa.array([b"\0\xff", b"", b"abc"]),
        "at": pa.array([0, 1, 2**60], pa.timestamp("ns", "UTC")),
        "at_us": pa.array([0, -1, 2**50], pa.timestamp("us", "Europe/Paris")),
        "at_local": pa.array([0, 1, 2], pa.timestamp("ms")),
        "day": pa.array([0, 1, 20_000], pa.date32()),
        "took": pa.array([1, 2, 3], pa.duration("us")),
        "waveform": pa.array([[1, 2, 3], [], [65535]], pa.list_(pa.uint16())),
        "long_waveform": pa.array([[0.5], [], [1.5, 2.5]], pa.large_list(pa.float32())),
        "position": pa.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], pa.list_(pa.float64(), 3)),
    }
)
"""Three rows, no value missing."""

GAPS = pa.table(
    {
        "whole": pa.array([1, None, 2**60]),
        "real": pa.array([None, 0.5, float("nan")]),
        "flag": pa.array([None, True, False]),
        "text": pa.array(["a", None, ""]),
        "at": pa.array([None, 5, 6], pa.timestamp("us", "UTC")),
        "waveform": pa.array([[1], None, []], pa.list_(pa.int16())),
        "nothing": pa.array([None, None, None], pa.float64()),
    }
)
"""Values that are missing, and some that look like it."""

REFUSED = {
    "decimal": pa.array([Decimal("1.5")]),
    "struct": pa.array([{"a": 1}]),
    "lists_of_lists": pa.array([[[1]]]),
    "lists_of_text": pa.array([["a"]]),
    "gap_in_a_list": pa.array([[1, None]]),
}
"""Columns without a place in array formats."""


def message(
    table: pa.Table, config: DAQJobStoreConfig, *, tag: str | None = None, job: str = "pmt"
) -> DAQJobMessageStorePyArrow:
    """The table as a store gets it."""
    return DAQJobMessageStorePyArrow(
        store_config=config,
        table=table,
        tag=tag,
        timestamp=NOON,
        daq_job_info=DAQJobInfo(
            daq_job_type="DAQJobPMT",
            unique_id=job,
            supervisor_info=SupervisorInfo(supervisor_id="hall"),
        ),
    )
