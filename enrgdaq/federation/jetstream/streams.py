"""What must hold for our streams: made when missing, compared when there, never changed."""

from typing import Final

import msgspec

from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.models import FederationNatsConfig

_SECOND: Final = 1_000_000_000
_MEGABYTE: Final = 1 << 20
_WANTED_BYTES: Final = 16 << 20
_ACK_SECONDS: Final = 6
"""What was not acknowledged for so long is delivered again."""

_FROM_NUMBER: Final = "by_start_sequence"
_KEYS: Final = {
    "retention": "retention",
    "storage": "storage",
    "num_replicas": "replicas",
    "max_bytes": "max_size_mb",
    "max_age": "max_age_hours",
    "discard": "discard",
    "duplicate_window": "duplicate_window_seconds",
}
"""Fields of a stream, and what they are called in ``[federation.nats]``."""


def data_config(settings: FederationNatsConfig, node: str) -> api.StreamConfig:
    """The stream of what a node sends."""
    age = int(settings.max_age_hours * 3600 * _SECOND)
    window = int(settings.duplicate_window_seconds * _SECOND)
    return api.StreamConfig(
        name=names.data_stream(settings.prefix, node),
        subjects=[names.data_subjects(settings.prefix, node)],
        retention=settings.retention,
        storage=settings.storage,
        num_replicas=settings.replicas,
        max_bytes=settings.max_size_mb * _MEGABYTE,
        max_age=age,
        discard=settings.discard,
        # A window longer than messages live is refused by the server.
        duplicate_window=min(window, age) if age else window,
    )


def wanted_config(settings: FederationNatsConfig) -> api.StreamConfig:
    """The stream of what nodes take, and have taken: the last word of each."""
    return api.StreamConfig(
        name=names.wanted_stream(settings.prefix),
        subjects=[names.wanted_subjects(settings.prefix), names.all_read(settings.prefix)],
        storage=settings.storage,
        num_replicas=settings.replicas,
        max_bytes=_WANTED_BYTES,
        max_msgs_per_subject=1,
        duplicate_window=120 * _SECOND,
    )


def keeps_unread(settings: FederationNatsConfig) -> bool:
    """Whether a sender keeps what is not read: not where its stream is to lose it after a while."""
    may_lose = settings.discard == "old" or settings.max_age_hours > 0
    return settings.keep_unread and not may_lose


def differences(wanted: api.StreamConfig, found: api.StreamConfig) -> list[str]:
    """How a stream is not what it should be, for people."""
    return [
        f"{_KEYS.get(name, name)}: {name} is {getattr(found, name)!r} there and"
        f" {getattr(wanted, name)!r} here"
        for name in wanted.__struct_fields__
        if getattr(wanted, name) != getattr(found, name)
    ]


async def ensure_stream(connection: Connection, wanted: api.StreamConfig) -> api.StreamInfo:
    """The stream as it is, made if there was none.

    Raises :class:`ServerAwayError` when it is another than asked for, or has no leader now.
    """
    try:
        info = await connection.ask(api.StreamInfo, f"STREAM.INFO.{wanted.name}")
    except api.RefusedError as error:
        if error.number != api.NO_STREAM:
            raise
        info = await connection.ask(api.StreamInfo, f"STREAM.CREATE.{wanted.name}", wanted)
    found = differences(wanted, info.config)
    if found:
        raise ServerAwayError(
            f"stream {wanted.name} is not as [federation.nats] says: {'; '.join(found)}. Change"
            f" one to the other: the file, or the stream by: nats stream edit {wanted.name}"
        )
    if info.cluster is not None and not info.cluster.leader:
        raise ServerAwayError(f"stream {wanted.name} has no leader: too few of its servers run")
    return info


async def ensure_consumer(
    connection: Connection, stream: str, node: str, *, first: int = 0
) -> api.ConsumerInfo:
    """The durable consumer of a node that takes, made if there was none.

    Whoever comes first makes it: sent records wait for it from then on. ``first``: the message that
    a new one begins with, if that is not the stream's first one.
    """
    name = names.token(node)
    try:
        info = await connection.ask(api.ConsumerInfo, f"CONSUMER.INFO.{stream}.{name}")
    except api.RefusedError as error:
        if error.number != api.NO_CONSUMER:
            raise
        wanted = api.ConsumerConfig(
            durable_name=name,
            ack_wait=_ACK_SECONDS * _SECOND,
            deliver_policy=_FROM_NUMBER if first else "all",
            opt_start_seq=first,
        )
        request = {"stream_name": stream, "config": _without_empty(wanted)}
        info = await connection.ask(
            api.ConsumerInfo, f"CONSUMER.DURABLE.CREATE.{stream}.{name}", request
        )
    config = info.config
    is_ours = config.ack_policy == "explicit" and config.deliver_policy in ("all", _FROM_NUMBER)
    if not is_ours or config.filter_subject or config.deliver_subject:
        raise ServerAwayError(
            f"consumer {name} of stream {stream} is none of ours; remove it by: nats consumer rm"
            f" {stream} {name}"
        )
    return info


async def remove_consumer(connection: Connection, stream: str, node: str) -> None:
    """Remove the consumer of a node, if there is one."""
    try:
        await connection.ask(api.Answer, f"CONSUMER.DELETE.{stream}.{names.token(node)}")
    except api.RefusedError as error:
        if error.number != api.NO_CONSUMER:
            raise


async def all_consumers(connection: Connection, stream: str) -> list[api.ConsumerInfo]:
    """Everybody who reads a stream in order, ours or not."""
    found: list[api.ConsumerInfo] = []
    while True:
        answer = await connection.ask(
            api.ConsumerList, f"CONSUMER.LIST.{stream}", {"offset": len(found)}
        )
        page = answer.consumers or []
        found += page
        if not page or len(found) >= answer.total:
            return [consumer for consumer in found if consumer.config.durable_name]


def _without_empty(config: api.ConsumerConfig) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(config).items() if value}
