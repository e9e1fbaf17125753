"""The store for Redis."""

import base64
import datetime as dt
import time
from typing import Annotated, Any, ClassVar, Final, NamedTuple

import pyarrow as pa
import redis
from msgspec import Meta
from redis.backoff import NoBackoff
from redis.retry import Retry

from enrgdaq.daq.jobs.store.redis_columns import (
    columns_text,
    list_columns,
    list_values,
    samples_of,
    schema_from_text,
)
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigRedis,
)
from enrgdaq.daq.store.names import check_redis_key
from enrgdaq.daq.store.parts import Parts
from enrgdaq.daq.store.paths import check_tag
from enrgdaq.daq.store.rows import table_of
from enrgdaq.daq.store.server_store import DAQJobServerStore, DAQJobServerStoreConfig, Kept
from enrgdaq.errors import ServerAwayError, StoreError
from enrgdaq.transport import faults

_Pipe = Any
"""``redis.client.Pipeline``, whose types are there in part only."""

_DAY_SECONDS: Final = 86_400
_VALUES_AT_ONCE: Final = 100_000  # Redis takes a million arguments to a command
_FORGET_DAYS: Final = 30
_MOST_KEYS_SEEN: Final = 10_000
_CONTENTIONS: Final = 10


class DAQJobStoreRedisConfig(DAQJobServerStoreConfig, kw_only=True):
    """Keys of the Redis store."""

    host: Annotated[str, Meta(min_length=1, description="where the server is")]
    port: Annotated[int, Meta(ge=1, le=65535, description="port of the server")] = 6379
    db: Annotated[int, Meta(ge=0, description="number of the database")] = 0
    password: (
        Annotated[str, Meta(description='password, if there is one; better { env = "NAME" }')]
        | None
    ) = None


class _Lists(NamedTuple):
    """Rows for lists, one for each column."""

    name: str
    table: pa.Table
    producer: str
    expires_days: int | None
    day: str


class _Series(NamedTuple):
    """Rows for time series, one for each column."""

    name: str
    table: pa.Table
    key: str
    tag: str | None
    expires_days: int | None


class _Blob(NamedTuple):
    """Bytes for a list."""

    name: str
    text: bytes
    expires_days: int | None


class _Mark(NamedTuple):
    """Up to where a ring's rows are in the database, and when that was noted, s since 1970."""

    end: int
    noted: int


_NONE: Final = _Mark(0, 0)


class _Batch:
    """What one transaction does, gathered by key."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {}
        self.samples: list[Any] = []
        self.expiries: dict[str, int] = {}
        self.settings: dict[str, bytes] = {}
        self.members: dict[str, list[Kept]] = {}
        """By key the messages whose values go there."""

    def push(self, key: str, values: list[Any], item: Kept, expires_days: int | None) -> None:
        """Add values to a list."""
        self.lists.setdefault(key, []).extend(values)
        self._belongs(key, item, expires_days)

    def add(self, key: str, samples: list[tuple[int, float]], item: Kept) -> None:
        """Add samples to a time series."""
        for moment, value in samples:
            self.samples += (key, moment, value)
        self._belongs(key, item, None)

    def _belongs(self, key: str, item: Kept, expires_days: int | None) -> None:
        self.members.setdefault(key, []).append(item)
        if expires_days is not None:
            self.expiries[key] = expires_days * _DAY_SECONDS


class DAQJobStoreRedis(DAQJobServerStore["redis.Redis"]):
    """Appends columns to lists or time series of Redis, each row once, whatever is killed when."""

    config_type = DAQJobStoreRedisConfig
    config: DAQJobStoreRedisConfig
    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [
        DAQJobStoreConfigRedis
    ]
    server_errors = (redis.RedisError, OSError)

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._parts: Parts[str] = Parts(self._schema_at, self.log)
        self._pipe: _Pipe | None = None
        """What :meth:`_schema_at` asks."""
        self._kinds: dict[str, bytes] = {}
        """Keys seen on the server, and of what type they are."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.config.host}:{self.config.port}"

    def connect(self) -> "redis.Redis":
        """A client with one connection, which never sends anything twice by itself."""
        config = self.config
        client = redis.Redis(
            host=config.host,
            port=config.port,
            db=config.db,
            password=config.password,
            socket_timeout=config.timeout_seconds,
            socket_connect_timeout=config.timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            single_connection_client=True,
        )
        client.ping()
        if self.syncs:
            _check_durability(client)
        return client

    def is_alive(self, connection: "redis.Redis") -> bool:
        """Whether the server still answers on it."""
        try:
            connection.ping()
        except self.server_errors:
            return False
        return True

    def body_of(self, message: DAQJobMessageStore) -> _Lists | _Series | _Blob | None:
        """The message's values as Redis holds them."""
        settings = message.store_config.redis
        if settings is None:
            raise StoreError("the message asks for other stores than this one")
        check_redis_key(settings.key)
        check_tag(message.tag)
        name = settings.key if message.tag is None else f"{settings.key}.{message.tag}"
        days = settings.key_expiration_days
        day = ""
        if days is not None:
            # Of the record, so that a replay after midnight goes where the first attempt went.
            moment = message.timestamp or dt.datetime.fromtimestamp(self.sent_ns / 1e9, dt.UTC)
            day = f":{moment.astimezone(dt.UTC):%Y-%m-%d}"
        if isinstance(message, DAQJobMessageStoreRaw):
            return _Blob(name + day, base64.b64encode(message.data), days)
        table = table_of(message)
        if not table.num_rows:
            return None
        if settings.use_timeseries:
            return _Series(name, samples_of(table), settings.key, message.tag, days)
        producer = message.daq_job_info.unique_id if message.daq_job_info else "unknown"
        return _Lists(name, list_columns(table), producer, days, day)

    def write(self, connection: "redis.Redis", kept: list[Kept]) -> None:
        """One MULTI/EXEC for all keys and the watermarks.

        The watermarks are watched from before they are read. So of two transactions with the
        same rows, one on a connection whose answer was lost and one on the next, only the
        first that arrives is carried out.
        """
        for _ in range(_CONTENTIONS):
            with connection.pipeline(transaction=True) as pipe:
                try:
                    self._transact(pipe, kept)
                except redis.WatchError:
                    continue
                except self.server_errors:
                    self._forget_keys()
                    raise
                return
        self._forget_keys()
        raise ServerAwayError("others write the same watermarks: two stores with one name?")

    def _transact(self, pipe: _Pipe, kept: list[Kept]) -> None:
        pipe.watch(self._marks_key)
        marks = self._watermarks(pipe)
        fresh = [
            item
            for item in kept
            if item.position.end > marks.get(item.position.ring_uuid, _NONE).end
        ]
        batch = self._batch(pipe, fresh)
        pipe.multi()
        touched = self._queue(pipe, batch)
        self._note(pipe, kept, marks)
        faults.hit("server.commit")
        answers = pipe.execute(raise_on_error=False)
        faults.hit("server.committed")
        self._look_at_answers(batch, touched, answers)

    @property
    def _marks_key(self) -> str:
        return f"enrgdaq:watermarks:{self.unique_id}"

    def _watermarks(self, pipe: _Pipe) -> dict[str, _Mark]:
        found: Any = pipe.hgetall(self._marks_key)
        return {ring.decode(): _Mark(*map(int, value.split())) for ring, value in found.items()}

    def _note(self, pipe: _Pipe, kept: list[Kept], marks: dict[str, _Mark]) -> None:
        now = int(time.time())
        new = {ring: mark.end for ring, mark in marks.items()}
        for item in kept:
            ring, end = item.position
            new[ring] = max(end, new.get(ring, 0))
        rings = {item.position.ring_uuid for item in kept}
        pipe.hset(self._marks_key, mapping={ring: f"{new[ring]} {now}" for ring in rings})
        oldest = now - _FORGET_DAYS * _DAY_SECONDS
        gone = [ring for ring, mark in marks.items() if mark.noted < oldest]
        gone = [ring for ring in gone if ring not in rings | self.known_rings]
        if gone:
            pipe.hdel(self._marks_key, *gone)

    def _batch(self, pipe: _Pipe, fresh: list[Kept]) -> _Batch:
        """All values by key, with what each key still needs."""
        batch = _Batch()
        self._pipe = pipe
        for item in fresh:
            body = item.body
            try:
                if isinstance(body, _Blob):
                    self._expect(pipe, body.name, b"list")
                    batch.push(body.name, [body.text], item, body.expires_days)
                elif isinstance(body, _Lists):
                    self._add_lists(pipe, batch, body, item)
                else:
                    self._add_series(pipe, batch, body, item)
            except StoreError as error:
                if isinstance(error, ServerAwayError):
                    raise
                item.put_aside(str(error))
        return batch

    def _add_lists(self, pipe: _Pipe, batch: _Batch, body: _Lists, item: Kept) -> None:
        def place(part: int) -> str:
            return (f"{body.name}.part{part}" if part > 1 else body.name) + body.day

        where, table = self._parts.fit(place, body.table, body.producer)
        # The part's number stands before the column, the day after it.
        name = where.removesuffix(body.day)
        keys = [f"{name}.{column}{body.day}" for column in table.column_names]
        for key in keys:
            self._expect(pipe, key, b"list")
        columns_key = _columns_key(where)
        if columns_key not in self._kinds:
            batch.settings[columns_key] = columns_text(table.schema)
        if body.expires_days is not None:
            batch.expiries[columns_key] = body.expires_days * _DAY_SECONDS
        for key, column in zip(keys, table.columns, strict=True):
            batch.push(key, list_values(column), item, body.expires_days)

    def _add_series(self, pipe: _Pipe, batch: _Batch, body: _Series, item: Kept) -> None:
        moments = body.table.column("timestamp").to_pylist()
        for column in body.table.column_names:
            if column == "timestamp":
                continue
            key = f"{body.name}.{column}"
            if self._expect(pipe, key, b"TSDB-TYPE") == b"none":
                _create_series(pipe, key, body, column)
                self._kinds[key] = b"TSDB-TYPE"
            values = body.table.column(column).to_pylist()
            samples = [(t, v) for t, v in zip(moments, values, strict=True) if v is not None]
            batch.add(key, samples, item)

    def _schema_at(self, where: str) -> pa.Schema | None:
        if self._pipe is None:
            raise AssertionError("no rows seek a place")
        found: Any = self._pipe.get(_columns_key(where))
        if found is None:
            return None
        self._kinds[_columns_key(where)] = b"string"
        return schema_from_text(found)

    def _expect(self, pipe: _Pipe, key: str, wanted: bytes) -> bytes:
        """The type of a key. An EXEC is not taken back for a key of another type: look first."""
        kind = self._kinds.get(key)
        if kind is None:
            kind = pipe.execute_command("TYPE", key)
            if len(self._kinds) >= _MOST_KEYS_SEEN:
                self._forget_keys()
            self._kinds[key] = kind = kind if isinstance(kind, bytes) else str(kind).encode()
        if kind not in (wanted, b"none"):
            raise StoreError(
                f"key {key} holds a {kind.decode()} and no {wanted.decode()}: delete it or choose"
                " another key"
            )
        return kind

    def _queue(self, pipe: _Pipe, batch: _Batch) -> list[list[str]]:
        """Queue all commands; returns the keys that each writes."""
        touched: list[list[str]] = []
        for key, values in batch.lists.items():
            for begin in range(0, len(values), _VALUES_AT_ONCE):
                pipe.execute_command("RPUSH", key, *values[begin : begin + _VALUES_AT_ONCE])
                touched.append([key])
        for begin in range(0, len(batch.samples), 3 * _VALUES_AT_ONCE):
            samples = batch.samples[begin : begin + 3 * _VALUES_AT_ONCE]
            pipe.execute_command("TS.MADD", *samples)
            touched.append(samples[::3])
        for key, text in batch.settings.items():
            pipe.set(key, text)
            touched.append([])
        for key, seconds in batch.expiries.items():
            pipe.expire(key, seconds)
            touched.append([])
        return touched

    def _look_at_answers(self, batch: _Batch, touched: list[list[str]], answers: list[Any]) -> None:
        """What Redis refused in a transaction that it carried out otherwise is put aside."""
        for keys, answer in zip(touched, answers, strict=False):
            if isinstance(answer, Exception):
                refused = dict.fromkeys(keys, answer)
            elif isinstance(answer, list):
                pairs = zip(keys, answer, strict=True)
                refused = {key: one for key, one in pairs if isinstance(one, Exception)}
            else:
                continue
            for key, error in refused.items():
                self._kinds.pop(key, None)
                for item in batch.members.get(key, []):
                    item.put_aside(f"key {key}: {error}")
        for key in batch.lists:
            self._kinds[key] = b"list"
        self._kinds.update(dict.fromkeys(batch.settings, b"string"))

    def _forget_keys(self) -> None:
        self._kinds.clear()
        self._parts.forget_all()


def _columns_key(where: str) -> str:
    return f"enrgdaq:columns:{where}"


def _create_series(pipe: _Pipe, key: str, body: _Series, column: str) -> None:
    """Make a time series; that of a replay is there already, which is as good."""
    labels = ["key", body.key, "column", column]
    if body.tag is not None:
        labels += ["tag", body.tag]
    retention = (body.expires_days or 0) * _DAY_SECONDS * 1000
    try:
        pipe.execute_command(
            "TS.CREATE", key, "RETENTION", retention, "DUPLICATE_POLICY", "LAST", "LABELS", *labels
        )
    except redis.ResponseError as error:
        if "unknown command" in str(error).lower():
            raise ServerAwayError(
                "use_timeseries is set, and the server has no time series module: load"
                " RedisTimeSeries (Redis Stack, Redis 8) or set use_timeseries = false"
            ) from error
        raise


def _check_durability(client: "redis.Redis") -> None:
    wanted = {"appendonly": "yes", "appendfsync": "always"}
    found = {name: client.config_get(name).get(name) for name in wanted}
    texts = {n: v.decode() if isinstance(v, bytes) else v for n, v in found.items()}
    if texts != wanted:
        raise StoreError(
            'durability = "power" needs appendonly yes and appendfsync always, and the server has'
            f" {texts['appendonly']} and {texts['appendfsync']}: set them there, or be content"
            ' with "process"'
        )
