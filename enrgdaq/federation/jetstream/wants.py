"""What each node takes: its last word, which stays with the servers while it is away."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from enrgdaq.errors import TransportError
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.streams import ensure_stream, wanted_config
from enrgdaq.models import FederationNatsConfig

VERSION: Final = 1
_LARGEST: Final = 1 << 20
_MOST_NODES: Final = 1_000


class Want(Struct, frozen=True, kw_only=True):
    """What a node takes of all others. ``largest_bytes``: of a record with its header."""

    version: int
    node: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")]
    topics: Annotated[list[Annotated[str, Meta(max_length=300)]], Meta(max_length=10_000)]
    largest_bytes: Annotated[int, Meta(ge=1)]


def read_want(data: bytes, subject: str, prefix: str) -> Want:
    """What a node has said. Raises :class:`TransportError` for what none of ours says."""
    if len(data) > _LARGEST:
        raise TransportError(f"{len(data)} bytes are too many for what a node takes")
    try:
        want = msgspec.json.decode(data, type=Want)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TransportError(f"{subject}: is not what a node takes: {error}") from error
    if want.version != VERSION or subject != names.wanted_subject(prefix, want.node):
        raise TransportError(f"{subject}: has what {want.node} says in version {want.version}")
    return want


def union(wants: Mapping[str, Want]) -> list[str]:
    """All topics that somebody takes."""
    return sorted({topic for want in wants.values() for topic in want.topics})


async def wants_of_others(
    connection: Connection, settings: FederationNatsConfig, own: str
) -> dict[str, Want]:
    """What all other nodes have said last, by node."""
    stream = wanted_config(settings)
    await ensure_stream(connection, stream)
    info = await connection.ask(
        api.StreamInfo,
        f"STREAM.INFO.{stream.name}",
        {"subjects_filter": names.wanted_subjects(settings.prefix)},
    )
    subjects = [s for s in info.state.subjects or {} if s != _subject(settings, own)]
    if len(subjects) > _MOST_NODES:
        raise TransportError(f"more than {_MOST_NODES} nodes have said what they take")
    found = {}
    for subject in subjects:
        answer = await connection.ask(
            api.MessageAnswer, f"STREAM.MSG.GET.{stream.name}", {"last_by_subj": subject}
        )
        if answer.message is not None:
            want = read_want(answer.message.data, subject, settings.prefix)
            found[want.node] = want
    return found


async def say_want(connection: Connection, settings: FederationNatsConfig, want: Want) -> None:
    """Say what this node takes; returns when that is stored."""
    subject = _subject(settings, want.node)
    message = await connection.client.request(
        subject, msgspec.json.encode(want), timeout=connection.timeout
    )
    answer = api.decode(api.PubAck, message.data)
    if answer.error is not None:
        raise api.RefusedError(subject, answer.error)


def _subject(settings: FederationNatsConfig, node: str) -> str:
    return names.wanted_subject(settings.prefix, node)
