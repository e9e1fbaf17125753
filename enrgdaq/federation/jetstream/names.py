"""Names of streams, subjects and consumers."""

import re
from typing import Final

from enrgdaq.models import NODE_PATTERN

_DOT: Final = "~"
"""Stands for the dot of a node's name, which means something else to the server."""


def token(node: str) -> str:
    """A node's name as a part of names and subjects; also its consumers' name."""
    return node.replace(".", _DOT)


def node_of(part: str) -> str:
    """The node that :func:`token` named."""
    return part.replace(_DOT, ".")


def data_stream(prefix: str, node: str) -> str:
    """The stream of what a node sends."""
    return f"{prefix}-data-{token(node)}"


def data_subjects(prefix: str, node: str) -> str:
    """All subjects of that stream."""
    return f"{prefix}.data.{token(node)}.*"


def data_subject(prefix: str, node: str, ring_uuid: str) -> str:
    """Where the records of one ring go."""
    return f"{prefix}.data.{token(node)}.{ring_uuid}"


def all_data(prefix: str) -> str:
    """The subjects of all nodes."""
    return f"{prefix}.data.>"


def node_of_stream(prefix: str, stream: str) -> str | None:
    """The node whose data a stream has; ``None`` for a stream that is none of ours."""
    part = stream.removeprefix(f"{prefix}-data-")
    node = node_of(part)
    # It becomes a file's name and words on terminals; whoever may make streams chooses it.
    if part == stream or token(node) != part or not re.match(NODE_PATTERN, node):
        return None
    return node


def wanted_stream(prefix: str) -> str:
    """The stream of what nodes take, and have taken: the last word of each."""
    return f"{prefix}-wanted"


def wanted_subject(prefix: str, node: str) -> str:
    """Where a node says what it takes."""
    return f"{prefix}.wanted.{token(node)}"


def wanted_subjects(prefix: str) -> str:
    """The same of all nodes."""
    return f"{prefix}.wanted.*"


def read_subject(prefix: str, sender: str, reader: str) -> str:
    """Where a node says how far it has taken what another one has sent."""
    return f"{prefix}.read.{token(sender)}.{token(reader)}"


def read_subjects(prefix: str, sender: str) -> str:
    """The same of all that take from a node."""
    return f"{prefix}.read.{token(sender)}.*"


def all_read(prefix: str) -> str:
    """The same of all nodes."""
    return f"{prefix}.read.*.*"
