"""The Redis store against real servers: lists, days, bytes, time series, bad keys."""

import base64
import datetime as dt
import json
import math
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import numpy as np
import pyarrow as pa
import pytest

from enrgdaq.daq.jobs.store.redis import DAQJobStoreRedis, DAQJobStoreRedisConfig
from enrgdaq.daq.store.journal import Position
from enrgdaq.daq.store.models import (
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfig,
    DAQJobStoreConfigRedis,
)
from enrgdaq.errors import ServerAwayError, StoreError
from tests.private_servers import free_port
from tests.servers import RedisKeys, Server
from tests.system.node import wait_until

RING = "0" * 32
MIDNIGHT = dt.datetime(2026, 3, 1, 23, 59, 59, tzinfo=dt.UTC)


class Store:
    """A store without a supervisor: messages get positions, one after the other."""

    def __init__(self, keys: RedisKeys, folder: Path, **settings: Any) -> None:
        self.keys = keys
        host, port, _, password = keys.server
        config = DAQJobStoreRedisConfig(
            daq_job_type="DAQJobStoreRedis",
            host=host,
            port=port,
            password=password or None,
            out_dir=str(folder),
            **settings,
        )
        self.job = DAQJobStoreRedis(config)
        self.job.unique_id = f"{keys.prefix}-store"
        self.end = 0
        self.aside: list[str] = []
        self.job.put_aside = self.aside.append

    def put(
        self,
        body: Any,
        *,
        key: str | None = None,
        tag: str | None = None,
        moment: dt.datetime = MIDNIGHT,
        **settings: Any,
    ) -> None:
        """Keep a table or bytes for the next flush."""
        self.end += 64
        self.job.position = Position(RING, self.end)
        config = DAQJobStoreConfig(
            redis=DAQJobStoreConfigRedis(key=self.keys.prefix if key is None else key, **settings)
        )
        if isinstance(body, bytes):
            message: Any = DAQJobMessageStoreRaw(store_config=config, data=body, tag=tag)
        else:
            message = DAQJobMessageStorePyArrow(store_config=config, table=body, tag=tag)
        message.timestamp = moment
        self.job.store(message)

    def flush(self) -> None:
        """Flush, waiting for the first connection as the base does."""

        def is_done() -> bool:
            try:
                self.job.flush()
            except ServerAwayError:
                return False
            return True

        wait_until(is_done, what="the flush")


MakeStore = Callable[[RedisKeys], Store]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeStore]:
    made: list[Store] = []

    def make_one(keys: RedisKeys) -> Store:
        made.append(Store(keys, tmp_path))
        return made[-1]

    yield make_one
    for store in made:
        store.job.free()


@pytest.fixture
def with_series() -> Iterator[RedisKeys]:
    """A server that speaks the protocol and has time series."""
    port = free_port()
    server = fakeredis.TcpFakeServer(("127.0.0.1", port), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield RedisKeys(Server("127.0.0.1", port))
    server.shutdown()
    server.server_close()


def test_columns_are_lists_and_numbers_come_back_bit_for_bit(
    redis_keys: RedisKeys, make: MakeStore
) -> None:
    drawn = random.Random(1)
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf]
    while len(values) < 2_000:
        values.append(float(np.uint64(drawn.getrandbits(64)).view(np.float64)))
    numbers = np.arange(len(values))
    store = make(redis_keys)
    for begin in range(0, len(values), 500):
        part = slice(begin, begin + 500)
        store.put(pa.table({"x": values[part], "n": numbers[part]}))
    store.flush()
    found = np.array([float(text) for text in redis_keys.texts(f"{redis_keys.prefix}.x")])
    np.testing.assert_array_equal(found, np.array(values))
    assert np.signbit(found[1])
    assert [int(t) for t in redis_keys.texts(f"{redis_keys.prefix}.n")] == list(range(len(values)))
    assert redis_keys.ask("TTL", f"{redis_keys.prefix}.x") == -1


def test_every_type_is_text(redis_keys: RedisKeys, make: MakeStore) -> None:
    store = make(redis_keys)
    moment = dt.datetime(2026, 3, 1, 12, 0, 0, 123456)
    store.put(
        pa.table(
            {
                "big": pa.array([2**64 - 1, None], pa.uint64()),
                "yes": [True, False],
                "text": ["é\r\n$5\r\nhallo", None],
                "label": pa.array(["a", "b"]).dictionary_encode(),
                "blob": [b"\0\xff", None],
                "when": pa.array([moment, None], pa.timestamp("ns", "UTC")),
                "wave": [[1.5, -0.0], None],
            }
        ),
        tag="ch1",
    )
    store.flush()
    name = f"{redis_keys.prefix}.ch1"
    assert redis_keys.texts(f"{name}.big") == [str(2**64 - 1), ""]
    assert redis_keys.texts(f"{name}.yes") == ["1", "0"]
    assert redis_keys.texts(f"{name}.text") == ["é\r\n$5\r\nhallo", ""]
    assert redis_keys.texts(f"{name}.label") == ["a", "b"]
    assert redis_keys.texts(f"{name}.blob") == [base64.b64encode(b"\0\xff").decode(), ""]
    assert redis_keys.texts(f"{name}.when") == ["2026-03-01 12:00:00.123456000", ""]
    assert json.loads(redis_keys.texts(f"{name}.wave")[0]) == [1.5, -0.0]


def test_days_expire_and_go_by_the_records_date(redis_keys: RedisKeys, make: MakeStore) -> None:
    store = make(redis_keys)
    for seconds in (0, 2):
        store.put(
            pa.table({"x": [seconds]}),
            moment=MIDNIGHT + dt.timedelta(seconds=seconds),
            key_expiration_days=3,
        )
    store.flush()
    name = f"{redis_keys.prefix}.x"
    assert redis_keys.texts(f"{name}:2026-03-01") == ["0"]
    assert redis_keys.texts(f"{name}:2026-03-02") == ["2"]
    assert 0 < redis_keys.ask("TTL", f"{name}:2026-03-02") <= 3 * 86_400


def test_bytes_are_base64_under_the_key(redis_keys: RedisKeys, make: MakeStore) -> None:
    store = make(redis_keys)
    blobs = [bytes(range(256)), b"", b"\r\n"]
    for blob in blobs:
        store.put(blob)
    store.put(b"x", tag="cam", key_expiration_days=1)
    store.flush()
    assert [base64.b64decode(text) for text in redis_keys.texts(redis_keys.prefix)] == blobs
    assert redis_keys.texts(f"{redis_keys.prefix}.cam:2026-03-01") == ["eA=="]


def test_a_replay_writes_nothing_twice(redis_keys: RedisKeys, make: MakeStore) -> None:
    for upto in (3, 5):
        store = make(redis_keys)
        for number in range(upto):
            store.put(pa.table({"x": [number]}))
        store.flush()
    assert redis_keys.texts(f"{redis_keys.prefix}.x") == ["0", "1", "2", "3", "4"]


def test_changed_columns_go_to_a_part(redis_keys: RedisKeys, make: MakeStore) -> None:
    store = make(redis_keys)
    store.put(pa.table({"x": [1]}))
    store.put(pa.table({"x": [2], "y": [3]}))
    store.flush()
    again = make(redis_keys)
    again.end = store.end
    again.put(pa.table({"x": [4.5]}))
    again.put(pa.table({"x": [5], "y": [6]}))
    again.flush()
    name = redis_keys.prefix
    assert redis_keys.texts(f"{name}.x") == ["1"]
    assert redis_keys.texts(f"{name}.part2.x") == ["2", "5"]
    assert redis_keys.texts(f"{name}.part2.y") == ["3", "6"]
    assert redis_keys.texts(f"{name}.part3.x") == ["4.5"]


def test_a_key_of_another_type_is_put_aside_alone(redis_keys: RedisKeys, make: MakeStore) -> None:
    redis_keys.ask("SET", f"{redis_keys.prefix}.x", "mine")
    store = make(redis_keys)
    store.put(pa.table({"x": [1]}))
    store.put(pa.table({"y": [1]}), tag="other")
    store.flush()
    assert redis_keys.texts(f"{redis_keys.prefix}.other.y") == ["1"]
    assert redis_keys.ask("GET", f"{redis_keys.prefix}.x") == b"mine"
    assert len(store.aside) == 1
    assert "holds a string" in store.aside[0]


def test_a_key_that_changes_its_type_under_the_store_is_noticed(
    redis_keys: RedisKeys, make: MakeStore
) -> None:
    store = make(redis_keys)
    store.put(pa.table({"x": [1]}))
    store.flush()
    redis_keys.ask("SET", f"{redis_keys.prefix}.x", "mine")
    store.put(pa.table({"x": [2]}))
    store.flush()
    assert len(store.aside) == 1
    assert "WRONGTYPE" in store.aside[0]


@pytest.mark.parametrize("key", ["", "a b", "a\r\nSET x 1", "enrgdaq:watermarks:x", "k" * 201, "é"])
def test_wrong_keys_are_refused(redis_keys: RedisKeys, make: MakeStore, key: str) -> None:
    with pytest.raises(StoreError):
        make(redis_keys).put(pa.table({"x": [1]}), key=key)


def test_time_series(with_series: RedisKeys, make: MakeStore) -> None:
    store = make(with_series)
    begin = 1_767_225_600_000
    table = pa.table(
        {
            "timestamp": [begin, begin + 10, begin + 20],
            "volts": [1.5, math.nan, -3.25],
            "on": [True, False, None],
        }
    )
    store.put(table, tag="left", use_timeseries=True, key_expiration_days=10_000)
    store.put(
        pa.table({"timestamp": [begin / 1000 + 0.03], "volts": [7]}),
        tag="left",
        use_timeseries=True,
    )
    store.flush()
    again = make(with_series)
    again.put(table, tag="left", use_timeseries=True)
    again.flush()
    assert store.aside == again.aside == []
    name = f"{with_series.prefix}.left"
    found = with_series.ask("TS.RANGE", f"{name}.volts", "-", "+")
    assert [(int(t), float(v)) for t, v in found] == [
        (begin, 1.5),
        (begin + 20, -3.25),
        (begin + 30, 7.0),
    ]
    found = with_series.ask("TS.RANGE", f"{name}.on", "-", "+")
    assert [(int(t), float(v)) for t, v in found] == [(begin, 1.0), (begin + 10, 0.0)]
    labels = with_series.ask(
        "TS.MRANGE", "-", "+", "WITHLABELS", "FILTER", f"key={with_series.prefix}"
    )
    assert {name for name, *_ in labels} == {f"{name}.volts".encode(), f"{name}.on".encode()}
    assert [b"tag", b"left"] in [list(pair) for pair in labels[0][1]]


@pytest.mark.parametrize(
    "table", [{"x": [1.0]}, {"timestamp": [1], "x": ["text"]}, {"timestamp": ["now"], "x": [1]}]
)
def test_what_is_no_time_series_is_refused(
    with_series: RedisKeys, make: MakeStore, table: dict[str, Any]
) -> None:
    with pytest.raises(StoreError):
        make(with_series).put(pa.table(table), use_timeseries=True)


def test_a_server_without_the_module_says_so(redis_keys: RedisKeys, make: MakeStore) -> None:
    if b"timeseries" in str(redis_keys.ask("MODULE", "LIST")).lower().encode():
        pytest.skip("this server has the module")
    store = make(redis_keys)
    store.put(pa.table({"timestamp": [1], "x": [1.0]}), use_timeseries=True)

    def said() -> bool:
        with pytest.raises(ServerAwayError) as caught:
            store.job.flush()
        return "no time series module" in str(caught.value)

    wait_until(said, what="the reason")
