"""Nodes that are linked over NATS."""

import uuid
from collections.abc import Sequence

from tests.system import links
from tests.system.node import Node


def new_prefix() -> str:
    """Names of streams that nobody else has."""
    return f"test_{uuid.uuid4().hex[:12]}"


def link(
    node: Node,
    servers: Sequence[str],
    prefix: str,
    *,
    send: bool = True,
    receive: bool = False,
    nats: dict[str, object] | None = None,
    **settings: object,
) -> None:
    """Let a node send, receive, or both."""
    links.federate(node, engine="nats", receive=receive, **settings)
    section = {"servers": list(servers), "prefix": prefix, "send": send, **(nats or {})}
    links.federate(node, section="federation.nats", **section)
