"""Units of columns: the metadata ``unit`` of an Arrow field."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa


def unit_of(field: pa.Field) -> str:
    """A column's unit; empty when none was given."""
    metadata = field.metadata or {}
    unit: bytes = metadata.get(b"unit") or metadata.get(b"units") or b""
    return unit.decode(errors="replace")


def with_units(rows: Any, units: Mapping[str, str]) -> Any:
    """A table or record batch whose columns say their units; the values are not copied."""
    schema = schema_with_units(rows.schema, units)
    return type(rows).from_arrays(rows.columns, schema=schema)


def schema_with_units(schema: pa.Schema, units: Mapping[str, str]) -> pa.Schema:
    """The schema with the unit of each column that ``units`` names."""
    return pa.schema(
        [
            field.with_metadata({**(field.metadata or {}), b"unit": units[field.name].encode()})
            if field.name in units
            else field
            for field in schema
        ],
        schema.metadata,
    )
