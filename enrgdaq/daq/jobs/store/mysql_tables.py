"""What columns an SQL table has, and how one is made."""

from typing import Any, Final, NamedTuple

import pyarrow as pa

from enrgdaq.daq.jobs.store.mysql_rows import quoted_name
from enrgdaq.daq.store.parts import OPTIONAL
from enrgdaq.daq.store.plain import JSON
from enrgdaq.errors import StoreError

_OWN_COMMENT: Final = "made by ENRGDAQ"
_MOST_DIGITS: Final = 65
_MOST_DECIMALS: Final = 30
_MOST_COLUMNS: Final = 1017  # of InnoDB

_TYPES: Final[dict[pa.DataType, str]] = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.uint8(): "TINYINT UNSIGNED",
    pa.uint16(): "SMALLINT UNSIGNED",
    pa.uint32(): "INT UNSIGNED",
    pa.uint64(): "BIGINT UNSIGNED",
    pa.float64(): "DOUBLE",
    pa.string(): "MEDIUMTEXT",  # MariaDB's JSON is a LONGTEXT: the two are told apart by this
    JSON: "JSON",
    pa.binary(): "MEDIUMBLOB",
    pa.timestamp("us"): "DATETIME(6)",
    pa.date32(): "DATE",
    pa.time64("us"): "TIME(6)",
}
_INTEGER_BITS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 32, "int": 32, "bigint": 64}
_SIGNED: Final = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_UNSIGNED: Final = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
_TEMPORAL: Final[dict[str, pa.DataType]] = {
    "datetime": pa.timestamp("us"),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
    "time": pa.time64("us"),
}
_REAL: Final = {"double", "float", "decimal"}
_TEXTS: Final = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json"}
_WORDS: Final = {"enum", "set"}
_BYTES: Final = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}


class SqlTable(NamedTuple):
    """A table as ``information_schema`` describes it."""

    is_own: bool
    engine: str
    columns: list["SqlColumn"]


class SqlColumn(NamedTuple):
    """One column; names are those of ``information_schema.columns``."""

    name: str
    data_type: str
    column_type: str
    is_nullable: str
    default: str | None
    extra: str
    precision: int | None
    scale: int | None


def find_table(cursor: Any, name: str) -> SqlTable | None:
    """The table of that name in the connection's database; ``None`` when there is none."""
    cursor.execute(
        "SELECT table_comment, engine FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name = %s",
        (name,),
    )
    found = cursor.fetchone()
    if found is None:
        return None
    cursor.execute(
        "SELECT column_name, data_type, column_type, is_nullable, column_default, extra,"
        " numeric_precision, numeric_scale FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        (name,),
    )
    columns = [SqlColumn(*row) for row in cursor.fetchall()]
    return SqlTable(found[0] == _OWN_COMMENT, found[1] or "", columns)


def schema_of(table: SqlTable, incoming: pa.Schema) -> pa.Schema:
    """The columns that rows must have to go into a table.

    A table that this store has made takes exactly its own columns. One that a user has made
    is used as far as SQL converts without loss, and columns that it fills by itself may be
    left out.
    """
    fields = []
    for column in table.columns:
        extra = column.extra.lower()
        if "virtual generated" in extra or "stored generated" in extra:
            continue
        has_default = column.default is not None and column.default.upper() != "NULL"
        may_miss = not table.is_own and (
            has_default
            or column.is_nullable == "YES"
            or "auto_increment" in extra
            or "default_generated" in extra
        )
        index = incoming.get_field_index(column.name)
        wanted = incoming.field(index).type if index >= 0 else pa.null()
        kind = _own_type(column) if table.is_own else _users_type(column, wanted)
        fields.append(pa.field(column.name, kind, metadata=OPTIONAL if may_miss else None))
    return pa.schema(fields)


def create_statement(name: str, schema: pa.Schema) -> str:
    """``CREATE TABLE``. Raises :class:`StoreError` for a type that SQL does not have."""
    columns = ", ".join(f"{quoted_name(field.name)} {_sql_type(field)}" for field in schema)
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted_name(name)} ({columns}) ENGINE=InnoDB"
        f" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='{_OWN_COMMENT}'"
    )


def check_types(schema: pa.Schema) -> None:
    """Raise :class:`StoreError` for columns that SQL cannot hold."""
    if len(schema) > _MOST_COLUMNS:
        raise StoreError(f"{len(schema)} columns are more than the {_MOST_COLUMNS} of a table")
    for field in schema:
        if not pa.types.is_null(field.type):
            _sql_type(field)


def _sql_type(field: pa.Field) -> str:
    kind = field.type
    if pa.types.is_decimal(kind):
        if not (kind.precision <= _MOST_DIGITS and 0 <= kind.scale <= _MOST_DECIMALS):
            raise StoreError(
                f"column {field.name!r}: {kind} is beyond the {_MOST_DIGITS} digits and"
                f" {_MOST_DECIMALS} decimals of SQL; send it as text"
            )
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind not in _TYPES:
        raise StoreError(f"column {field.name!r}: SQL has no type for {kind}")
    return _TYPES[kind]


def _own_type(column: SqlColumn) -> pa.DataType:
    name = column.data_type.lower()
    if column.column_type.lower().startswith("tinyint(1)"):
        return pa.bool_()
    if name in _INTEGER_BITS:
        return _integer(column, name)
    if name == "decimal":
        digits, decimals = column.precision or 0, column.scale or 0
        made = pa.decimal128 if digits <= 38 else pa.decimal256
        return made(digits, decimals)
    if name in ("longtext", "json"):
        return JSON
    return _other_type(name)


def _users_type(column: SqlColumn, wanted: pa.DataType) -> pa.DataType:
    """What the column takes of ``wanted``, as the user has chosen its type."""
    name, types = column.data_type.lower(), pa.types
    is_number = types.is_integer(wanted) or types.is_floating(wanted) or types.is_decimal(wanted)
    if name in _INTEGER_BITS or name == "year":
        # The server checks the range; values are never rounded.
        return wanted if types.is_integer(wanted) or types.is_boolean(wanted) else pa.int64()
    if name in _REAL:
        return wanted if is_number else pa.float64()
    if wanted == JSON and name in _TEXTS:
        return wanted
    if types.is_string(wanted) and (name in _TEMPORAL or name in _WORDS):
        return wanted
    return _other_type(name)


def _integer(column: SqlColumn, name: str) -> pa.DataType:
    kinds = _UNSIGNED if "unsigned" in column.column_type.lower() else _SIGNED
    return kinds[_INTEGER_BITS[name]]


def _other_type(name: str) -> pa.DataType:
    if name in _REAL:
        return pa.float64()
    if name in _TEXTS or name in _WORDS:
        return pa.string()
    if name in _BYTES:
        return pa.binary()
    # Nothing fits into a type that is not known here: such rows get a table of their own.
    return _TEMPORAL.get(name, pa.null())
