"""The one rule for rows that change their columns: other columns go to another part.

``name.ext`` holds the first columns that came, ``name.part2.ext`` the next, and so on, so
that no file or table ever mixes columns and no row is lost. What may go on where it is:
columns in another order, types that the present ones hold without loss, the first values of a
column that had none, and columns whose unit is not said in one of the two.
"""

import logging
from collections.abc import Callable
from typing import Final, Generic, NamedTuple

import pyarrow as pa

from enrgdaq.daq.store.files import Place
from enrgdaq.daq.units import schema_with_units, unit_of
from enrgdaq.errors import StoreError

OPTIONAL: Final = {b"optional": b"1"}
"""Metadata of a field that rows may leave out: a database column with a default."""

_MOST_PARTS: Final = 1_000


class Fit(NamedTuple, Generic[Place]):
    """Where rows go, and the rows in that place's columns."""

    place: Place
    table: pa.Table


class Parts(Generic[Place]):
    """The parts of a store's files or tables, and what columns each has.

    ``schema_at`` tells what columns a place has on disk or in the database already; ``None``
    where nothing is. ``begin`` gives the columns of a new place from those of its first rows.
    """

    def __init__(
        self,
        schema_at: Callable[[Place], pa.Schema | None],
        log: logging.Logger,
        begin: Callable[[pa.Schema], pa.Schema] | None = None,
    ) -> None:
        self._schema_at = schema_at
        self._begin = begin or writable
        self._log = log
        self._schemas: dict[Place, tuple[pa.Schema, str]] = {}

    def fit(self, place: Callable[[int], Place], table: pa.Table, producer: str) -> Fit[Place]:
        """The first part that takes these rows; ``place`` gives the place of part 1, 2, ….

        Raises :class:`StoreError` after 1 000 parts.
        """
        for part in range(1, _MOST_PARTS):
            where = place(part)
            if where not in self._schemas:
                found = self._schema_at(where)
                if found is None:
                    found = self._begin(table.schema)
                    if part > 1:
                        self._warn(place(1), where, found, producer)
                self._schemas[where] = (found, producer)
            fitted = self._take(where, table)
            if fitted is not None:
                return Fit(where, fitted)
        raise StoreError(f"{place(1)} has {_MOST_PARTS} parts with different columns: rename it")

    def schema(self, place: Place) -> pa.Schema:
        """The columns of a place that :meth:`fit` has given."""
        return self._schemas[place][0]

    def forget(self, place: Place) -> None:
        """The place was closed: look again when it is needed."""
        self._schemas.pop(place, None)

    def forget_all(self) -> None:
        """Look again at all places: somebody else may have changed them."""
        self._schemas.clear()

    def _take(self, where: Place, table: pa.Table) -> pa.Table | None:
        schema, owner = self._schemas[where]
        fitted = conform(table, schema)
        if fitted is None and any(pa.types.is_null(field.type) for field in schema):
            # A column of no type yet takes that of the first values that come.
            decided = _decided(schema, table.schema)
            fitted = conform(table, decided)
            if fitted is not None:
                self._schemas[where] = (decided, owner)
        return fitted

    def _warn(self, first: Place, where: Place, schema: pa.Schema, producer: str) -> None:
        before, owner = self._schemas[first]
        if owner != producer:
            self._log.error(
                "%s and %s both write to %s with different columns (%s; %s): give one of them a"
                " name of its own; the rows of %s go to %s",
                owner,
                producer,
                first,
                _in_words(before),
                _in_words(schema),
                producer,
                where,
            )
            return
        self._log.warning(
            "%s: the columns of %s changed from %s to %s; its rows go to %s",
            first,
            producer,
            _in_words(before),
            _in_words(schema),
            where,
        )


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table | None:
    """The table in these columns and types; ``None`` if that would change a value.

    Columns that are marked :data:`OPTIONAL` are left out when the table has none.
    """
    if table.schema.equals(schema):
        is_same = table.schema.equals(schema, check_metadata=True)
        return table if is_same or all(map(_is_same_unit, schema, table.schema)) else None
    names = set(table.column_names)
    schema = pa.schema(
        [field for field in schema if field.name in names or not _is_optional(field)]
    )
    if sorted(names) != sorted(schema.names):
        return None
    columns = []
    for field in schema:
        if not _is_same_unit(field, table.schema.field(field.name)):
            return None
        column = table.column(field.name)
        if column.type != field.type:
            if not _holds(field.type, column.type):
                return None
            try:
                column = column.cast(field.type)
            except pa.ArrowInvalid:  # an integer beyond 2**53 in a column of doubles
                return None
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def writable(schema: pa.Schema) -> pa.Schema:
    """The schema with a type for columns that had no value yet: doubles.

    Of what else a field says only its unit is kept.
    """
    plain = [
        pa.field(field.name, pa.float64() if pa.types.is_null(field.type) else field.type)
        for field in schema
    ]
    units = {field.name: unit for field in schema if (unit := unit_of(field))}
    return schema_with_units(pa.schema(plain), units)


def _decided(schema: pa.Schema, rows: pa.Schema) -> pa.Schema:
    """The schema, with the rows' types for columns that have none."""
    return pa.schema(
        [
            pa.field(field.name, rows.field(field.name).type)
            if pa.types.is_null(field.type) and field.name in rows.names
            else field
            for field in schema
        ]
    )


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Whether a column of one type can take values of another as they are."""
    kinds = pa.types
    if kinds.is_null(narrow):
        return True
    if kinds.is_integer(narrow):
        if kinds.is_float16(wide):
            # pyarrow's cast to it does not look whether the value is still the same.
            return bool(narrow.bit_width == 8)
        is_wider = kinds.is_integer(wide) and wide.bit_width >= narrow.bit_width
        return bool(kinds.is_floating(wide) or is_wider)
    if kinds.is_floating(narrow):
        return bool(kinds.is_floating(wide) and wide.bit_width >= narrow.bit_width)
    if kinds.is_timestamp(narrow):
        return bool(kinds.is_timestamp(wide) and wide.tz == narrow.tz)
    if _is_text(narrow):
        return _is_text(wide)
    if _is_list(narrow):
        return _is_list(wide) and _holds_or_is(wide.value_type, narrow.value_type)
    return False


def _holds_or_is(wide: pa.DataType, narrow: pa.DataType) -> bool:
    return wide == narrow or _holds(wide, narrow)


def _is_same_unit(one: pa.Field, other: pa.Field) -> bool:
    first, second = unit_of(one), unit_of(other)
    return not (first and second) or first == second


def _is_optional(field: pa.Field) -> bool:
    return bool(field.metadata and field.metadata.get(b"optional") == OPTIONAL[b"optional"])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _in_words(schema: pa.Schema) -> str:
    return ", ".join(
        f"{field.name} {field.type}{f' [{unit}]' if (unit := unit_of(field)) else ''}"
        for field in schema
    )
