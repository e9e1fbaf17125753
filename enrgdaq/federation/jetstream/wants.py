"""What each node takes, and has taken: its last word, which servers keep while it is away.

How far a node has come it says itself. Servers know it too, of their consumers; but what is
removed by that cannot be had again, and the node's own positions are what it goes on by.

Whoever may publish there may leave anything, and servers keep it. So what is no word of ours is
named and left out.
"""

import logging
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from enrgdaq.errors import ServerAwayError, TransportError
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.streams import ensure_stream, wanted_config
from enrgdaq.models import NODE_PATTERN, RING_PATTERN, FederationNatsConfig

VERSION: Final = 1
_LARGEST: Final = 1 << 20
_MOST_NODES: Final = 1_000

MOST_RINGS: Final = 100
"""That a node speaks of."""

_NodeName = Annotated[str, Meta(pattern=NODE_PATTERN)]
_RingUuid = Annotated[str, Meta(pattern=RING_PATTERN)]
_Count = Annotated[int, Meta(ge=0)]

_named: set[str] = set()
"""Subjects whose words were said to be left out: every new connection reads them again."""


class Want(Struct, frozen=True, kw_only=True):
    """What a node takes of all others. ``largest_bytes``: of a record with its header."""

    version: int
    node: _NodeName
    topics: Annotated[list[Annotated[str, Meta(max_length=300)]], Meta(max_length=10_000)]
    largest_bytes: Annotated[int, Meta(ge=1)]


class HasRead(Struct, frozen=True, kw_only=True):
    """How far a node has taken a stream, and the rings in it."""

    node: _NodeName
    created: Annotated[str, Meta(max_length=100)]
    """Of the stream that ``number`` is of."""
    number: _Count
    rings: Annotated[dict[_RingUuid, _Count], Meta(max_length=MOST_RINGS)] = {}
    """Where each ring ends for it, those that moved last."""
    lacks: Annotated[list[_RingUuid], Meta(max_length=MOST_RINGS)] = []
    """Rings of which it has seen something whose beginning it does not have: it takes no more."""


class _Versioned(Struct, frozen=True, kw_only=True):
    """What words of all versions have."""

    version: int
    node: _NodeName


WordT = TypeVar("WordT", Want, HasRead, _Versioned)


def read_want(data: bytes, subject: str, prefix: str) -> Want:
    """What a node has said. Raises :class:`TransportError` for what none of ours says."""
    want = _decode(Want, data, subject)
    if want.version != VERSION or subject != names.wanted_subject(prefix, want.node):
        raise TransportError(f"{subject}: has what {want.node} says in version {want.version}")
    return want


def read_progress(data: bytes, subject: str, prefix: str, sender: str) -> HasRead:
    """How far a node has come. Raises :class:`TransportError` for what none of ours says."""
    said = _decode(HasRead, data, subject)
    if subject != names.read_subject(prefix, sender, said.node):
        raise TransportError(f"{subject}: has what {said.node} says")
    return said


def union(wants: Mapping[str, Want]) -> list[str]:
    """All topics that somebody takes."""
    return sorted({topic for want in wants.values() for topic in want.topics})


async def wants_of_others(
    connection: Connection, settings: FederationNatsConfig, own: str, log: logging.Logger
) -> dict[str, Want]:
    """What all other nodes have said last, by node.

    Raises :class:`ServerAwayError` while one of them speaks another version: what it takes is not
    known, and must not be missed.
    """
    await ensure_stream(connection, wanted_config(settings))
    prefix = settings.prefix
    found = {}
    for subject, data in await _last_words(connection, prefix, names.wanted_subjects(prefix)):
        if subject == names.wanted_subject(prefix, own):
            continue
        try:
            want = read_want(data, subject, prefix)
        except TransportError as error:
            _check_version(data, subject, prefix)
            _name_once(subject, error, log)
            continue
        found[want.node] = want
    return found


async def progress_of_others(
    connection: Connection, settings: FederationNatsConfig, own: str, log: logging.Logger
) -> dict[str, HasRead]:
    """How far all that take from this node have come, by node; one left out has read nothing."""
    prefix = settings.prefix
    found = {}
    for subject, data in await _last_words(connection, prefix, names.read_subjects(prefix, own)):
        try:
            said = read_progress(data, subject, prefix, own)
        except TransportError as error:
            _name_once(subject, error, log)
            continue
        found[said.node] = said
    return found


async def say_want(connection: Connection, settings: FederationNatsConfig, want: Want) -> None:
    """Say what this node takes; returns when that is stored."""
    await _say(connection, names.wanted_subject(settings.prefix, want.node), want)


async def say_progress(
    connection: Connection, settings: FederationNatsConfig, sender: str, said: HasRead
) -> None:
    """Say how far this node has taken what another one sends; returns when that is stored."""
    await _say(connection, names.read_subject(settings.prefix, sender, said.node), said)


async def _last_words(
    connection: Connection, prefix: str, subjects: str
) -> list[tuple[str, bytes]]:
    stream = names.wanted_stream(prefix)
    info = await connection.ask(
        api.StreamInfo, f"STREAM.INFO.{stream}", {"subjects_filter": subjects}
    )
    found = list(info.state.subjects or {})
    if len(found) > _MOST_NODES:
        raise TransportError(f"stream {stream} has words of more than {_MOST_NODES} nodes")
    words = []
    for subject in found:
        answer = await connection.ask(
            api.MessageAnswer, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}
        )
        if answer.message is not None:
            words.append((subject, answer.message.data))
    return words


async def _say(connection: Connection, subject: str, word: Struct) -> None:
    message = await connection.client.request(
        subject, msgspec.json.encode(word), timeout=connection.timeout
    )
    answer = api.decode(api.PubAck, message.data)
    if answer.error is not None:
        raise api.RefusedError(subject, answer.error)


def _check_version(data: bytes, subject: str, prefix: str) -> None:
    """Raise for a word of a node that speaks another version; what is none of ours may pass."""
    try:
        said = _decode(_Versioned, data, subject)
    except TransportError:
        return
    if said.version != VERSION and subject == names.wanted_subject(prefix, said.node):
        raise ServerAwayError(
            f"node {said.node} says in version {said.version} what it takes, this one reads version"
            f" {VERSION}: bring both to the same release of enrgdaq, or remove its word by: nats"
            f" stream purge {names.wanted_stream(prefix)} --subject {subject}"
        )


def _name_once(subject: str, error: TransportError, log: logging.Logger) -> None:
    if subject not in _named and len(_named) < _MOST_NODES:
        _named.add(subject)
        log.error("left out: %s", ascii(str(error)))


def _decode(kind: type[WordT], data: bytes, subject: str) -> WordT:
    if len(data) > _LARGEST:
        raise TransportError(f"{len(data)} bytes are too many for what a node says")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TransportError(f"{subject}: is not what a node says: {error}") from error
