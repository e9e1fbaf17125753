"""The store for MySQL and MariaDB."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, NamedTuple

import pyarrow as pa
import pymysql
from msgspec import Meta
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from enrgdaq.daq.jobs.store.mysql_rows import insert_statements, non_finite_columns
from enrgdaq.daq.jobs.store.mysql_tables import (
    check_types,
    create_statement,
    find_table,
    schema_of,
)
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigMySQL,
)
from enrgdaq.daq.store.names import check_column_names, check_table_name
from enrgdaq.daq.store.parts import Parts
from enrgdaq.daq.store.plain import plain
from enrgdaq.daq.store.rows import table_of
from enrgdaq.daq.store.server_store import DAQJobServerStore, DAQJobServerStoreConfig, Kept
from enrgdaq.errors import StoreError
from enrgdaq.transport import faults

_LARGEST_STATEMENT: Final = 1 << 20
_WATERMARKS: Final = "enrgdaq_watermarks"
_FORGET_DAYS: Final = 30
_MAKE_WATERMARKS: Final = f"""
CREATE TABLE IF NOT EXISTS {_WATERMARKS} (
    `store` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    `ring` CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    `position` BIGINT UNSIGNED NOT NULL,
    `updated` DATETIME NOT NULL,
    PRIMARY KEY (`store`, `ring`)
) ENGINE=InnoDB COMMENT='up to where the rows of each ring are in this database'
"""
_SQL_MODE: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO"

_ROWS_AT_FAULT: Final = frozenset({1292, 1364, 1644, 1690, 3140, 3819, 4025})
"""Wrong value, no default, refused by a trigger, out of range, no JSON, refused by a CHECK."""
_COLUMNS_AT_FAULT: Final = frozenset({1059, 1060, 1074, 1117, 1118, 1166})
"""Errors of ``CREATE TABLE`` that the columns have caused: too many, too long, wrong names."""


class DAQJobStoreMySQLConfig(DAQJobServerStoreConfig, kw_only=True):
    """Keys of the MySQL store."""

    host: Annotated[str, Meta(min_length=1, description="where the server is")]
    user: Annotated[str, Meta(description="name to log in with")]
    password: Annotated[str, Meta(description='password; better { env = "NAME" }')]
    database: Annotated[str, Meta(min_length=1, description="database for the tables")]
    port: Annotated[int, Meta(ge=1, le=65535, description="port of the server")] = 3306


class _Rows(NamedTuple):
    """The rows of a message and where they go."""

    table_name: str
    table: pa.Table
    producer: str


class _RowsRefusedError(Exception):
    """The server refuses these rows and would refuse them again."""


class DAQJobStoreMySQL(DAQJobServerStore["Connection[Cursor]"]):
    """Inserts rows into tables of MySQL or MariaDB, each row once, whatever is killed when."""

    config_type = DAQJobStoreMySQLConfig
    config: DAQJobStoreMySQLConfig
    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [
        DAQJobStoreConfigMySQL
    ]
    server_errors = (pymysql.MySQLError, OSError)

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._parts: Parts[str] = Parts(self._schema_at, self.log)
        self._looking: tuple[Cursor, pa.Schema] | None = None
        """What :meth:`_schema_at` needs: a cursor, and the columns that seek a place."""
        self._missing: set[str] = set()
        self._known: list[str] = []
        self._largest = _LARGEST_STATEMENT
        self._warned: set[str] = set()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.config.host}:{self.config.port}"

    def connect(self) -> "Connection[Cursor]":
        """A connection whose session does not depend on the server's defaults."""
        config = self.config
        seconds = config.timeout_seconds
        connection: Connection[Cursor] = pymysql.connect(
            host=config.host,
            port=config.port,
            user=config.user,
            password=config.password,
            database=config.database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=max(1, int(seconds)),
            read_timeout=seconds,
            write_timeout=seconds,
        )
        with connection.cursor() as cursor:
            # A transaction whose client is gone must not hold its locks for hours.
            cursor.execute(
                f"SET SESSION sql_mode = '{_SQL_MODE}', time_zone = '+00:00', wait_timeout = 60,"
                f" innodb_lock_wait_timeout = {max(1, int(seconds / 2))}"
            )
            cursor.execute(
                "SELECT 1 FROM information_schema.tables"
                " WHERE table_schema = DATABASE() AND table_name = %s",
                (_WATERMARKS,),
            )
            if cursor.fetchone() is None:
                cursor.execute(_MAKE_WATERMARKS)
            if self.syncs:
                cursor.execute("SELECT @@innodb_flush_log_at_trx_commit")
                (flushes,) = cursor.fetchone() or (0,)
                _check_durability(int(flushes))
            cursor.execute("SELECT @@max_allowed_packet")
            (packet,) = cursor.fetchone() or (_LARGEST_STATEMENT,)
        self._largest = min(_LARGEST_STATEMENT, int(packet) - 1024)
        return connection

    def is_alive(self, connection: "Connection[Cursor]") -> bool:
        """Whether the server still knows the connection."""
        try:
            connection.ping(reconnect=False)
        except self.server_errors:
            return False
        return True

    def body_of(self, message: DAQJobMessageStore) -> _Rows | None:
        """The rows in the columns that SQL has."""
        settings = message.store_config.mysql
        if settings is None:
            raise StoreError("the message asks for other stores than this one")
        check_table_name(settings.table_name)
        table = _sql_columns(plain(table_of(message)))
        check_column_names(tuple(table.column_names))
        check_types(table.schema)
        if not table.num_rows or not table.num_columns:
            return None
        producer = message.daq_job_info.unique_id if message.daq_job_info else "unknown"
        return _Rows(settings.table_name, table, producer)

    def write(self, connection: "Connection[Cursor]", kept: list[Kept]) -> None:
        """One transaction for all tables and the watermarks."""
        with connection.cursor() as cursor:
            try:
                # Tables are made before: CREATE TABLE would end the transaction.
                groups = self._by_table(cursor, kept)
                connection.begin()
                marks = self._watermarks(cursor, kept)
                for (name, _), members in groups.items():
                    fresh = [
                        (item, table)
                        for item, table in members
                        if item.position.end > marks.get(item.position.ring_uuid, 0)
                    ]
                    self._insert(cursor, name, fresh)
                self._note(cursor, kept, marks)
                faults.hit("server.commit")
                connection.commit()
                faults.hit("server.committed")
            except self.server_errors:
                # Somebody may have dropped or altered a table.
                self._parts.forget_all()
                raise

    def _by_table(
        self, cursor: Cursor, kept: list[Kept]
    ) -> dict[tuple[str, tuple[str, ...]], list[tuple[Kept, pa.Table]]]:
        """The messages by table and columns, in order, in the tables' own types."""
        groups: dict[tuple[str, tuple[str, ...]], list[tuple[Kept, pa.Table]]] = {}
        for item in kept:
            try:
                name, table = self._fit(cursor, item.body)
            except StoreError as error:
                item.put_aside(str(error))
                continue
            groups.setdefault((name, tuple(table.column_names)), []).append((item, table))
        return groups

    def _fit(self, cursor: Cursor, rows: _Rows) -> tuple[str, pa.Table]:
        """The table for these rows, made if it is missing, and the rows in its columns."""

        def place(part: int) -> str:
            return f"{rows.table_name}_part{part}" if part > 1 else rows.table_name

        self._looking = (cursor, rows.table.schema)
        name, table = self._parts.fit(place, rows.table, rows.producer)
        if name in self._missing:
            try:
                cursor.execute(create_statement(name, self._parts.schema(name)))
            except pymysql.MySQLError as error:
                self._parts.forget(name)
                if error.args and error.args[0] in _COLUMNS_AT_FAULT:
                    raise StoreError(f"table {name} cannot be made: {error}") from error
                raise
            self._missing.discard(name)
        return name, table

    def _schema_at(self, name: str) -> pa.Schema | None:
        """Columns of a table; one that is missing gets those of the rows that seek a place."""
        if self._looking is None:
            raise AssertionError("no rows seek a place")
        cursor, incoming = self._looking
        found = find_table(cursor, name)
        if found is None:
            self._missing.add(name)
            return None
        self._missing.discard(name)
        if found.engine.lower() != "innodb":
            self._warn_once(
                f"table {name} has engine {found.engine or 'none'}, without transactions: a crash"
                " can double its rows; ALTER TABLE ... ENGINE=InnoDB mends that"
            )
        return schema_of(found, incoming)

    def _insert(self, cursor: Cursor, name: str, members: list[tuple[Kept, pa.Table]]) -> None:
        """All messages of a table at once; if the server refuses a row, one by one."""
        if not members:
            return
        try:
            with _savepoint(cursor):
                self._insert_rows(cursor, name, pa.concat_tables([table for _, table in members]))
        except _RowsRefusedError as error:
            if len(members) == 1:
                members[0][0].put_aside(str(error))
                return
            for member in members:
                self._insert(cursor, name, [member])

    def _insert_rows(self, cursor: Cursor, name: str, table: pa.Table) -> None:
        holes = non_finite_columns(table)
        if holes:
            self._warn_once(
                f"table {name}: NaN and infinity in {', '.join(holes)} are stored as NULL, since"
                " SQL has neither"
            )
        try:
            for statement in insert_statements(name, table, self._largest):
                cursor.execute(statement)
                faults.hit("server.insert")
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args else None
            is_data = isinstance(error, (pymysql.DataError, pymysql.IntegrityError))
            if is_data or code in _ROWS_AT_FAULT:
                raise _RowsRefusedError(f"table {name}: {error}") from error
            raise
        except StoreError as error:
            raise _RowsRefusedError(f"table {name}: {error}") from error

    def _watermarks(self, cursor: Cursor, kept: list[Kept]) -> dict[str, int]:
        """Up to where each ring's rows are in the database, as it is now.

        The locks wait for a transaction of an earlier connection whose answer was lost: what
        is read here cannot change until the commit.
        """
        rings = sorted({item.position.ring_uuid for item in kept})
        places = ", ".join(["%s"] * len(rings))
        cursor.execute(
            f"SELECT `ring`, `position` FROM {_WATERMARKS}"  # noqa: S608 - constants only
            f" WHERE `store` = %s AND `ring` IN ({places}) FOR UPDATE",
            (self.unique_id, *rings),
        )
        return dict(cursor.fetchall())

    def _note(self, cursor: Cursor, kept: list[Kept], marks: dict[str, int]) -> None:
        for item in kept:
            ring, end = item.position
            marks[ring] = max(end, marks.get(ring, 0))
        cursor.executemany(
            f"INSERT INTO {_WATERMARKS} (`store`, `ring`, `position`, `updated`)"  # noqa: S608
            " VALUES (%s, %s, %s, UTC_TIMESTAMP()) ON DUPLICATE KEY UPDATE"
            " `position` = VALUES(`position`), `updated` = VALUES(`updated`)",
            [(self.unique_id, ring, end) for ring, end in marks.items()],
        )
        known = sorted(self.known_rings | marks.keys())
        if known != self._known:
            # Once per start: rings come and go with it.
            places = ", ".join(["%s"] * len(known))
            cursor.execute(
                f"DELETE FROM {_WATERMARKS} WHERE `store` = %s"  # noqa: S608 - constants only
                f" AND `updated` < UTC_TIMESTAMP() - INTERVAL {_FORGET_DAYS} DAY"
                f" AND `ring` NOT IN ({places})",
                (self.unique_id, *known),
            )
            self._known = known

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.log.warning("%s", text)


@contextlib.contextmanager
def _savepoint(cursor: Cursor) -> Iterator[None]:
    """Take back what was inserted when the rows are refused."""
    cursor.execute("SAVEPOINT `rows`")
    try:
        yield
    except _RowsRefusedError:
        cursor.execute("ROLLBACK TO SAVEPOINT `rows`")
        raise


def _sql_columns(table: pa.Table) -> pa.Table:
    """Times in microseconds, which is what SQL has."""
    for index, field in enumerate(table.schema):
        for wanted, is_kind in (
            (pa.timestamp("us"), pa.types.is_timestamp),
            (pa.time64("us"), pa.types.is_time64),
        ):
            if is_kind(field.type) and field.type != wanted:
                column = table.column(index).cast(wanted, safe=field.type.unit != "ns")
                table = table.set_column(index, field.name, column)
    return table


def _check_durability(flushes: int) -> None:
    # MariaDB's 3 syncs more often than 1, 0 and 2 once a second.
    if flushes not in (1, 3):
        raise StoreError(
            f'durability = "power" needs innodb_flush_log_at_trx_commit = 1, and the server has'
            f' {flushes}: set it there, or be content with "process"'
        )
