"""The MySQL store against a real server: types, names, tables of users, bad rows."""

import datetime as dt
import decimal
import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.jobs.store.mysql import DAQJobStoreMySQL, DAQJobStoreMySQLConfig
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreTabular,
    DAQJobStoreConfig,
    DAQJobStoreConfigMySQL,
)
from enrgdaq.errors import ServerAwayError, StoreError
from tests.servers import MySQLDatabase
from tests.system.node import wait_until

RING = "0" * 32


class Store:
    """A store without a supervisor: messages get positions, one after the other."""

    def __init__(self, database: MySQLDatabase, folder: Path, **keys: Any) -> None:
        host, port, user, password = database.server
        config = DAQJobStoreMySQLConfig(
            daq_job_type="DAQJobStoreMySQL",
            host=host,
            port=port,
            user=user,
            password=password,
            database=database.name,
            out_dir=str(folder),
            **keys,
        )
        self.job = DAQJobStoreMySQL(config)
        self.end = 0
        self.aside: list[str] = []
        self.job.put_aside = self.aside.append

    def put(self, table: Any, name: str = "t", *, end: int | None = None) -> None:
        """Keep a table for the next flush."""
        self.end = end if end is not None else self.end + 64
        self.job.position = Position(RING, self.end)
        self.job.store(message(table, name))

    def flush(self) -> None:
        """Flush, waiting for the first connection as the base does."""

        def is_done() -> bool:
            try:
                self.job.flush()
            except ServerAwayError as error:
                self.last_error = error
                return False
            return True

        wait_until(is_done, what="the flush")


def message(table: Any, name: str = "t") -> DAQJobMessageStore:
    settings = DAQJobStoreConfig(mysql=DAQJobStoreConfigMySQL(table_name=name))
    if isinstance(table, dict):
        return DAQJobMessageStoreTabular(
            store_config=settings, keys=list(table), data_columns=table
        )
    return DAQJobMessageStorePyArrow(store_config=settings, table=table)


@pytest.fixture
def store(mysql: MySQLDatabase, tmp_path: Path) -> Any:
    made = Store(mysql, tmp_path)
    yield made
    made.job.free()


def bits(values: Any) -> list[int]:
    return [int(x) for x in np.asarray(values, np.float64).view(np.uint64)]


def test_doubles_come_back_bit_for_bit(store: Store, mysql: MySQLDatabase) -> None:
    drawn = random.Random(1)
    values = [
        0.1,
        1 / 3,
        5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        1e22,
        123456789.0,
    ]
    while len(values) < 3_000:
        value = np.uint64(drawn.getrandbits(64)).view(np.float64)
        if math.isfinite(value):
            values.append(float(value))
    store.put(pa.table({"i": range(len(values)), "x": values}))
    store.flush()
    found = [row[0] for row in mysql.query("SELECT x FROM t ORDER BY i")]
    assert bits(found) == bits(values)


def test_every_type_comes_back(store: Store, mysql: MySQLDatabase) -> None:
    moment = dt.datetime(2026, 3, 29, 1, 30, 0, 123456)
    ugly = "it's \\ \"quoted\" `ticks` -- % %s \n\0\t é 漢 🦑 '; DROP TABLE t; --"
    columns = {
        "i8": pa.array([-128, None], pa.int8()),
        "i16": pa.array([-32768, 1], pa.int16()),
        "i32": pa.array([-(2**31), 1], pa.int32()),
        "i64": pa.array([-(2**63), 2**63 - 1], pa.int64()),
        "u8": pa.array([255, 0], pa.uint8()),
        "u16": pa.array([65535, 0], pa.uint16()),
        "u32": pa.array([2**32 - 1, 0], pa.uint32()),
        "u64": pa.array([2**64 - 1, 0], pa.uint64()),
        "f32": pa.array([0.1, -1e38], pa.float32()),
        "f64": pa.array([0.1, None], pa.float64()),
        "yes": pa.array([True, None]),
        "text": pa.array([ugly, ""]),
        "label": pa.array(["a", "b"]).dictionary_encode(),
        "blob": pa.array([bytes(range(256)), b""]),
        "when": pa.array([moment, None], pa.timestamp("us")),
        "zoned": pa.array([moment, None], pa.timestamp("ns", "Europe/Vienna")),
        "day": pa.array([dt.date(2026, 1, 31), None]),
        "clock": pa.array([dt.time(23, 59, 59, 999999), None]),
        "exact": pa.array([decimal.Decimal("12345.678"), None], pa.decimal128(20, 3)),
        "wave": pa.array([[1.5, -0.0, 1e-300], None]),
        "fixed": pa.array([[1, 2], [3, 4]], pa.list_(pa.uint16(), 2)),
        "words": pa.array([["a'b", "\\"], []]),
        "nothing": pa.nulls(2),
    }
    store.put(pa.table(columns))
    store.flush()
    assert store.aside == []
    first, second = mysql.query("SELECT * FROM t ORDER BY i64")
    found = dict(zip(columns, first, strict=True))
    assert [found[name] for name in ("i8", "i16", "i32", "i64")] == [
        -128,
        -32768,
        -(2**31),
        -(2**63),
    ]
    assert [found[name] for name in ("u8", "u16", "u32", "u64")] == [
        255,
        65535,
        2**32 - 1,
        2**64 - 1,
    ]
    assert found["f32"] == float(np.float32(0.1))
    assert (found["f64"], found["yes"], found["text"], found["label"]) == (0.1, 1, ugly, "a")
    assert found["blob"] == bytes(range(256))
    assert found["when"] == moment
    assert found["zoned"] == moment, "kept in UTC"
    assert found["day"] == dt.date(2026, 1, 31)
    assert found["clock"] == dt.timedelta(hours=23, minutes=59, seconds=59, microseconds=999999)
    assert found["exact"] == decimal.Decimal("12345.678")
    assert bits(json.loads(found["wave"])) == bits([1.5, -0.0, 1e-300])
    assert json.loads(found["fixed"]) == [1, 2]
    assert json.loads(found["words"]) == ["a'b", "\\"]
    assert dict(zip(columns, second, strict=True))["text"] == ""
    assert second[0] is None
    assert second[-1] is None
    types = dict(
        mysql.query(
            "SELECT column_name, column_type FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = 't'"
        )
    )
    assert types["f64"] == "double"
    assert types["i64"].startswith("bigint")
    assert types["u64"].endswith("unsigned")
    assert types["when"] == "datetime(6)"
    assert "text" in types["text"]
    assert types["wave"] in ("longtext", "json")


def test_what_sql_cannot_hold_becomes_null(store: Store, mysql: MySQLDatabase) -> None:
    store.put(pa.table({"i": range(4), "x": [math.nan, math.inf, -math.inf, 1.0]}))
    store.put({"i": [4], "x": [math.nan]})
    store.flush()
    assert mysql.query("SELECT x FROM t ORDER BY i") == [(None,), (None,), (None,), (1.0,), (None,)]


NASTY = [
    "t; DROP TABLE u",
    "t` (x INT); DROP TABLE u; -- ",
    "t' OR '1'='1",
    "u.x",
    "",
    "a" * 57,
    "t\0",
    "12",
    "enrgdaq_watermarks",
]


@pytest.mark.parametrize("name", NASTY)
def test_wrong_table_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError):
        store.put(pa.table({"x": [1]}), name)


@pytest.mark.parametrize("name", ["x` INT); DROP TABLE u; -- ", "", " x", "a" * 65, "x\n", "🦑"])
def test_wrong_column_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError):
        store.put(pa.table({name: [1]}))


def test_columns_that_differ_in_case_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="ignores case"):
        store.put(pa.table({"a": [1], "A": [2]}))


def test_odd_names_and_values_stay_what_they_are(store: Store, mysql: MySQLDatabase) -> None:
    mysql.query("CREATE TABLE u (x INT)")
    column = "voltage (V) 'x' \"y\" ; -- %s select"
    nasty = ["'); DROP TABLE u; -- ", "\\'); DROP TABLE u; -- ", "\\", "''", '"', "%s", "/* */"]
    store.put(pa.table({column: nasty, "order": range(len(nasty))}), "select")
    store.flush()
    found = mysql.query("SELECT * FROM `select` ORDER BY `order`")
    assert [row[0] for row in found] == nasty
    assert mysql.tables() == ["select", "u"]


def test_changed_columns_go_to_a_part(store: Store, mysql: MySQLDatabase, tmp_path: Path) -> None:
    store.put(pa.table({"a": [1]}))
    store.put(pa.table({"a": [1.5]}))
    store.put(pa.table({"a": [2], "b": [3]}))
    store.put(pa.table({"a": [4]}))
    store.flush()
    again = Store(mysql, tmp_path)
    again.put(pa.table({"a": [5.5]}), end=store.end + 64)
    again.flush()
    again.job.free()
    assert mysql.query("SELECT a FROM t ORDER BY a") == [(1,), (4,)]
    assert mysql.query("SELECT a FROM t_part2 ORDER BY a") == [(1.5,), (5.5,)]
    assert mysql.query("SELECT a, b FROM t_part3") == [(2, 3)]


def test_a_replay_writes_nothing_twice(store: Store, mysql: MySQLDatabase, tmp_path: Path) -> None:
    for number in range(3):
        store.put(pa.table({"a": [number]}))
    store.flush()
    again = Store(mysql, tmp_path)
    for number in range(5):
        again.put(pa.table({"a": [number]}))
    again.flush()
    again.job.free()
    assert mysql.query("SELECT a FROM t ORDER BY a") == [(n,) for n in range(5)]
    (mark,) = mysql.query("SELECT store, ring, position FROM enrgdaq_watermarks")
    assert mark == ("DAQJobStoreMySQL", RING, 5 * 64)


def test_two_stores_on_one_database_have_marks_of_their_own(
    store: Store, mysql: MySQLDatabase, tmp_path: Path
) -> None:
    other = Store(mysql, tmp_path)
    other.job.unique_id = "other"
    for one, name in ((store, "t"), (other, "u")):
        one.put(pa.table({"a": [1]}), name)
        one.flush()
    other.job.free()
    assert mysql.query("SELECT * FROM t") == mysql.query("SELECT * FROM u") == [(1,)]


def test_a_users_table_is_used_as_it_is(store: Store, mysql: MySQLDatabase) -> None:
    mysql.query(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, taken TIMESTAMP DEFAULT"
        " CURRENT_TIMESTAMP, channel SMALLINT NOT NULL, energy FLOAT, name VARCHAR(20) NOT NULL,"
        " note TEXT, double_energy DOUBLE AS (energy * 2), at DATETIME)"
    )
    store.put(
        {"channel": [7], "energy": [1.5], "name": ["a"], "at": ["2026-01-31 12:00:00"]},
    )
    store.put(
        pa.table(
            {"channel": [8], "energy": [2], "name": ["b"], "note": ["ok"], "at": ["2026-02-01"]}
        )
    )
    store.flush()
    assert store.aside == []
    assert mysql.tables() == ["t"]
    assert mysql.query("SELECT id, channel, energy, name, note, double_energy, at FROM t") == [
        (1, 7, 1.5, "a", None, 3.0, dt.datetime(2026, 1, 31, 12)),
        (2, 8, 2.0, "b", "ok", 4.0, dt.datetime(2026, 2, 1)),
    ]


def test_rows_that_a_users_table_refuses_are_put_aside_alone(
    store: Store, mysql: MySQLDatabase
) -> None:
    mysql.query(
        "CREATE TABLE t (n SMALLINT PRIMARY KEY, name VARCHAR(3) NOT NULL, CHECK (n <> 13))"
    )
    for number, name in ((1, "a"), (1, "again"), (40_000, "b"), (2, None), (3, "long"), (13, "c")):
        store.put(pa.table({"n": [number], "name": pa.array([name], pa.string())}))
    store.put(pa.table({"n": [4], "name": ["d"]}))
    store.put(pa.table({"x": [4]}), "u")
    store.flush()
    assert mysql.query("SELECT n, name FROM t ORDER BY n") == [(1, "a"), (4, "d")]
    assert mysql.query("SELECT x FROM u") == [(4,)]
    assert len(store.aside) == 5
    assert all("table t" in reason for reason in store.aside)


def test_a_table_that_cannot_be_made_holds_up_no_other(store: Store, mysql: MySQLDatabase) -> None:
    with pytest.raises(StoreError, match="1017"):
        store.put(pa.table({f"c{n}": [1] for n in range(2_000)}))
    store.put(pa.table({f"c{n}": [1] for n in range(1_015)}))
    store.put(pa.table({"x": [1]}), "u")
    store.flush()
    assert mysql.tables() == ["u"]
    assert len(store.aside) == 1


def test_a_dropped_table_is_made_again(store: Store, mysql: MySQLDatabase) -> None:
    store.put(pa.table({"x": [1]}))
    store.flush()
    mysql.query("DROP TABLE t")
    store.put(pa.table({"x": [2]}))
    store.flush()
    assert mysql.query("SELECT x FROM t") == [(2,)]


def test_many_rows_need_several_statements(store: Store, mysql: MySQLDatabase) -> None:
    count = 150_000
    store.put(pa.table({"n": np.arange(count), "x": np.arange(count) / 7, "s": ["é" * 20] * count}))
    store.flush()
    found = mysql.query("SELECT COUNT(*), MIN(n), MAX(n), COUNT(DISTINCT n) FROM t")
    assert found == [(count, 0, count - 1, count)]
    assert mysql.query("SELECT COUNT(*) FROM t WHERE x = n / 7e0 AND s = REPEAT('é', 20)") == [
        (count,)
    ]


def test_a_server_that_refuses_says_why(mysql: MySQLDatabase, tmp_path: Path) -> None:
    made = Store(mysql, tmp_path)
    made.job.config.password = "wrong"  # noqa: S105
    made.job.config.user = "nobody-of-that-name"
    made.put(pa.table({"x": [1]}))

    def refused() -> bool:
        with pytest.raises(ServerAwayError) as caught:
            made.job.flush()
        return "Access denied" in str(caught.value)

    wait_until(refused, what="the server's reason")
    made.job.free()


def test_the_password_may_come_from_the_environment() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(DAQJobStoreMySQLConfig)}
    assert {"host", "user", "password", "database", "port"} <= keys
