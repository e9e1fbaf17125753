"""What is asked of JetStream, and what it answers. Durations are nanoseconds there."""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from enrgdaq.errors import TransportError

NOT_FOUND: Final = 404
NO_STREAM: Final = 10059
NO_CONSUMER: Final = 10014
NO_MESSAGE: Final = 10037
WRONG_LAST_ID: Final = 10070
WRONG_LAST_SEQUENCE: Final = 10071
STREAM_FULL: Final = 10077

_Count = Annotated[int, Meta(ge=0)]
_Name = Annotated[str, Meta(max_length=255)]


class ApiError(Struct):
    """Why the server refused."""

    code: int = 0
    err_code: int = 0
    description: Annotated[str, Meta(max_length=2_000)] = ""


class RefusedError(TransportError):
    """JetStream has refused a request. ``number``: which error it is."""

    def __init__(self, what: str, error: ApiError) -> None:
        super().__init__(f"{what}: {error.description} ({error.err_code or error.code})")
        self.number = error.err_code
        self.is_not_found = error.code == NOT_FOUND


class Answer(Struct):
    """What all answers have."""

    error: ApiError | None = None


class StreamConfig(Struct, kw_only=True):
    """The settings of a stream that matter here; a server has more."""

    name: _Name
    subjects: list[Annotated[str, Meta(max_length=300)]] = []
    retention: str = "limits"
    storage: str = "file"
    num_replicas: int = 1
    max_bytes: int = -1
    max_msgs: int = -1
    max_age: int = 0
    max_msgs_per_subject: int = -1
    max_msg_size: int = -1
    discard: str = "old"
    duplicate_window: int = 0
    sealed: bool = False
    no_ack: bool = False


class StreamState(Struct):
    """How full a stream is."""

    messages: _Count = 0
    bytes: _Count = 0
    first_seq: _Count = 0
    last_seq: _Count = 0
    subjects: dict[str, int] | None = None


class Cluster(Struct):
    """The servers of a stream; ``leader``: none while there is an election."""

    leader: _Name = ""


class StreamInfo(Answer, kw_only=True):
    """Answer about a stream."""

    config: StreamConfig = field(default_factory=lambda: StreamConfig(name=""))
    state: StreamState = field(default_factory=StreamState)
    cluster: Cluster | None = None
    created: str = ""


class StreamNames(Answer, kw_only=True):
    """Answer to the question for streams by subject."""

    total: _Count = 0
    streams: list[_Name] | None = None


class ConsumerConfig(Struct, kw_only=True):
    """The settings of a consumer."""

    durable_name: _Name = ""
    deliver_policy: str = "all"
    opt_start_seq: int = 0
    ack_policy: Literal["none", "all", "explicit"] = "explicit"
    ack_wait: int = 0
    max_deliver: int = -1
    max_ack_pending: int = 0
    filter_subject: str = ""
    replay_policy: str = "instant"
    deliver_subject: str = ""


class SequencePair(Struct):
    """A place in a consumer and in its stream."""

    consumer_seq: _Count = 0
    stream_seq: _Count = 0


class ConsumerInfo(Answer, kw_only=True):
    """Answer about a consumer."""

    name: _Name = ""
    config: ConsumerConfig = field(default_factory=ConsumerConfig)
    delivered: SequencePair = field(default_factory=SequencePair)
    ack_floor: SequencePair = field(default_factory=SequencePair)
    num_ack_pending: _Count = 0
    num_pending: _Count = 0

    @property
    def lag(self) -> int:
        """Messages that this consumer has not acknowledged."""
        return self.num_pending + self.num_ack_pending


class ConsumerList(Answer, kw_only=True):
    """Answer to the question for a stream's consumers."""

    total: _Count = 0
    consumers: list[ConsumerInfo] | None = None


class StoredMessage(Struct):
    """A message as the stream has it; JSON's base64."""

    subject: str
    seq: _Count
    hdrs: bytes = b""
    data: bytes = b""


class MessageAnswer(Answer, kw_only=True):
    """Answer to the question for one message."""

    message: StoredMessage | None = None


class PubAck(Answer, kw_only=True):
    """Answer to a message: where it is stored."""

    stream: str = ""
    seq: _Count = 0
    duplicate: bool = False


AnswerT = TypeVar("AnswerT", bound=Answer)


def decode(kind: type[AnswerT], data: bytes) -> AnswerT:
    """An answer, its types checked. Raises :class:`TransportError` for what is none."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TransportError(f"no answer of JetStream: {error}") from error


def encode(request: dict[str, Any] | Struct) -> bytes:
    """A request."""
    return msgspec.json.encode(request)


def headers_of(raw: bytes) -> dict[str, str]:
    """The headers of a stored message: lines ``Name: value`` after the first."""
    found = {}
    for line in raw.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found
