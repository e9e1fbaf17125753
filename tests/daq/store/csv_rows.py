"""The CSV store without rings, and its files read back as the documentation says."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from enrgdaq.daq.jobs.store.csv import DAQJobStoreCSV
from enrgdaq.daq.store.base import DAQJobStoreJobConfig
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfig,
    DAQJobStoreConfigCSV,
)
from enrgdaq.testing import RecordingHost
from tests.daq.store import tables


class Store:
    """A CSV store and its file ``a.csv``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "a.csv"
        self.sent = 0
        self.open()

    def open(self) -> None:
        config = DAQJobStoreJobConfig(daq_job_type="DAQJobStoreCSV", out_dir=str(self.folder))
        self.job = DAQJobStoreCSV(config, host=RecordingHost())

    def crash(self) -> None:
        """What SIGKILL leaves; then the next life."""
        self.open()

    def put(self, table: pa.Table, *, job: str = "pmt", **options: Any) -> None:
        self._keep(tables.message(table, config(**options), job=job))

    def rows(self, keys: list[str], data: list[list[Any]], **options: Any) -> None:
        like = tables.message(pa.table({}), config(**options))
        self._keep(
            DAQJobMessageStoreTabular(
                store_config=like.store_config,
                keys=keys,
                data=data,
                timestamp=like.timestamp,
                daq_job_info=like.daq_job_info,
            )
        )

    def write(self, table: pa.Table, **options: Any) -> None:
        self.put(table, **options)
        self.job.flush()

    def close(self) -> None:
        self.job.free()

    def _keep(self, message: DAQJobMessageStore) -> None:
        self.sent += 1
        self.job.position = Position("ring", self.sent)
        self.job.store(message)


def config(**options: Any) -> DAQJobStoreConfig:
    return DAQJobStoreConfig(csv=DAQJobStoreConfigCSV(**{"file_path": "a.csv", **options}))


def read_arrow(text: bytes, schema: pa.Schema) -> pa.Table:
    """By pyarrow, every column in the type that was sent."""
    table = pacsv.read_csv(
        io.BytesIO(text),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=len(schema) == 1,
            column_types={field.name: _type_to_ask_for(field.type) for field in schema},
        ),
    )
    columns = [
        _from_text(table[field.name].to_pylist(), field.type)
        if _type_to_ask_for(field.type) == pa.string()
        else table[field.name].cast(field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def read_pandas(text: bytes, schema: pa.Schema) -> pa.Table:
    """By pandas, every column in the type that was sent."""
    frame = pd.read_csv(
        io.BytesIO(text),
        keep_default_na=False,
        na_values={
            field.name: ["", "nan"] if pa.types.is_floating(field.type) else [""]
            for field in schema
        },
        dtype={
            field.name: "float64" if pa.types.is_floating(field.type) else "str" for field in schema
        },
    )
    return pa.table(
        [
            pa.array(frame[field.name].to_numpy().astype(field.type.to_pandas_dtype()))
            if pa.types.is_floating(field.type)
            else _from_text([None if pd.isna(v) else v for v in frame[field.name]], field.type)
            for field in schema
        ],
        schema=schema,
    )


def bits(array: pa.ChunkedArray) -> list[Any]:
    """Values that are equal when they are the same to the bit; all NaN are one."""
    if pa.types.is_floating(array.type):
        array = array.combine_chunks()
        return [repr(np.float64(v)) if v is not None else None for v in array.to_pylist()]
    return [repr(v) for v in array.to_pylist()]


def _type_to_ask_for(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.int64() if pa.types.is_duration(kind) else kind


def _from_text(values: list[str | None], kind: pa.DataType) -> pa.Array:
    types = pa.types
    if types.is_binary(kind):
        return pa.array([None if v is None else base64.b64decode(v) for v in values], kind)
    if types.is_nested(kind):
        found = [None if v is None else json.loads(v) for v in values]
        if not types.is_struct(kind) and types.is_floating(kind.value_type):
            # JSON does not tell 1 from 1.0.
            found = [v and [None if x is None else float(x) for x in v] for v in found]
        return pa.array(found, kind)
    if types.is_integer(kind):
        return pa.array([None if v is None else int(v) for v in values], kind)
    if types.is_timestamp(kind):
        moments = pd.to_datetime(pd.Series(values), utc=kind.tz is not None, format="ISO8601")
        return pa.array(moments).cast(kind)
    if types.is_date(kind):
        return pa.array(pd.to_datetime(pd.Series(values), format="ISO8601").dt.date, kind)
    if types.is_time(kind):
        since_midnight = pd.to_timedelta(pd.Series(values))
        return pa.array(since_midnight).cast(pa.int64()).cast(pa.time64("ns")).cast(kind)
    if types.is_null(kind):
        assert set(values) == {None}
        return pa.nulls(len(values))
    texts = pa.array(values, pa.string())
    if types.is_duration(kind):
        return texts.cast(pa.int64()).cast(kind)
    return texts.cast(kind.value_type if types.is_dictionary(kind) else kind).cast(kind)
