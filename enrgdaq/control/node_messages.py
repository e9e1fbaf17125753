"""What spokes and hub say to each other beside the data: how a node is, and commands to it.

News may be dropped on the way, and are counted; the latest wins. What comes from another node is
shown on terminals here, so every text in it is made safe before it is looked at.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from enrgdaq.control.protocol import UNREADABLE, Answer, Caller, LogLine, Request
from enrgdaq.control.status import JobStatus, LinkStatus, SupervisorStatus, TopicStatus
from enrgdaq.errors import ControlError
from enrgdaq.models import SupervisorInfo

VERSION: Final = 1
LARGEST: Final = 4 << 20  # bytes
MOST_LINES: Final = 200
"""Log lines that travel with one message; more in a second are counted, not sent."""


class NodeView(Struct, kw_only=True):
    """A node as others see it."""

    supervisor: SupervisorStatus
    jobs: Annotated[list[JobStatus], Meta(max_length=1_000)]
    topics: Annotated[list[TopicStatus], Meta(max_length=10_000)]
    links: Annotated[list[LinkStatus], Meta(max_length=1_000)]


class News(Struct, kw_only=True, tag="news"):
    """Spoke, once a second."""

    version: int
    node: SupervisorInfo
    view: NodeView
    lines: Annotated[list[LogLine], Meta(max_length=MOST_LINES)]
    lines_missed: int
    dropped: int
    """Messages like this one that could not be sent so far."""
    statistics: bytes
    """The node's job table, as jobs that subscribe to it get it."""


class Goodbye(Struct, kw_only=True, tag="goodbye"):
    """Spoke: this node stops in order."""


class Forwarded(Struct, kw_only=True, tag="forwarded"):
    """Hub: somebody there asks this of you."""

    number: Annotated[int, Meta(ge=0)]
    caller: Caller
    request: Request


class Answered(Struct, kw_only=True, tag="answered"):
    """Spoke: the answer."""

    number: Annotated[int, Meta(ge=0)]
    answer: Answer


FromSpoke = News | Goodbye | Answered
_Message = TypeVar("_Message")
_ENCODER: Final = msgspec.msgpack.Encoder()


def encode(message: News | Goodbye | Answered | Forwarded) -> bytes:
    """The only frame of a message."""
    return _ENCODER.encode(message)


def decode(
    data: bytes | memoryview, kind: "type[_Message] | Any", clean: Callable[[str], str]
) -> Any:
    """A message in which every text went through ``clean``.

    Raises :class:`ControlError` for what is none.
    """
    try:
        return msgspec.convert(_cleaned(msgspec.msgpack.decode(data), clean), kind)
    except UNREADABLE as error:
        raise ControlError(f"no message of a node: {error}") from error


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one, clean) for one in value]
    if isinstance(value, dict):
        return {_cleaned(key, clean): _cleaned(one, clean) for key, one in value.items()}
    return value
