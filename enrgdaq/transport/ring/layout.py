"""What lies where in a ring file.

::

    0      magic, version, length, then the identity as msgpack     4 096 bytes
    4096   words of the producer and of the supervisor              4 096 bytes
    8192   64 rows of 256 bytes                                    16 384 bytes
    24576  the log                                             capacity bytes

Words that different writers change often lie on different cache lines. Words are read and
written as ``memoryview.cast("Q")[i]``, which is one aligned 8-byte move. ``struct.pack_into``
copies byte by byte: 15 % of concurrent reads saw a torn value.
"""

import enum
import struct
import zlib
from typing import Final, NamedTuple

MAGIC: Final = b"ENRGRING"
VERSION: Final = 2
PREAMBLE: Final = struct.Struct("<8sII")

PAGE: Final = 4096
ALIGN: Final = 64
MAX_ROWS: Final = 64  # one bit of a record's target mask each
ROW_BYTES: Final = 256
NAME_BYTES: Final = 64

WORDS_OFFSET: Final = PAGE
ROWS_OFFSET: Final = 2 * PAGE
DATA_OFFSET: Final = ROWS_OFFSET + MAX_ROWS * ROW_BYTES

# Indexes into the u64 words that begin at WORDS_OFFSET. Eight words are a cache line.
HEAD: Final = 0
TAIL: Final = 1
SEQUENCE: Final = 2
BEAT: Final = 8  # monotonic ns, written by the job's service thread
ROWS_VERSION: Final = 16  # supervisor: raised after every change of a row or route
ROWS_SEEN: Final = 24  # producer: the ROWS_VERSION that it has acted on
WAITED_NS: Final = 25  # producer: time spent waiting for room since the ring was made

_WORDS_BEFORE_ROWS: Final = (ROWS_OFFSET - WORDS_OFFSET) // 8
_WORDS_A_ROW: Final = ROW_BYTES // 8

# Indexes into the words of one row.
STATE: Final = 0
POLICY: Final = 1
GENERATION: Final = 2  # supervisor: raised whenever a consumer is given this row
# Consumer: end position of the record being handled, 0 for none. Written for every record, so
# not beside READ and CURSOR, which the producer looks at for every record.
IN_HAND: Final = 7
FROM: Final = 8
DUE: Final = 9
SKIPPED: Final = 10  # producer: records taken away from a consumer with Policy.SKIP
JOINED: Final = 11  # producer: the GENERATION for which it has set FROM
READ: Final = 16
CURSOR: Final = 17
NAME_LINE: Final = 24  # eight words of UTF-8


class RowState(enum.IntEnum):
    """Life of a row. The supervisor writes it, all but ``JOINING``.

    ``JOINING`` is how an attached row reads until the producer has decided where its
    consumer begins: two words with one writer each, so that no kill can lose the answer.
    """

    FREE = 0
    ATTACHED = 1
    DETACHED = 2
    JOINING = 3


class Policy(enum.IntEnum):
    """What happens when the consumer is behind and the ring is full."""

    HOLD = 0  # the producer waits
    SKIP = 1  # the consumer loses its oldest records, counted


class RecordKind(enum.IntEnum):
    """What a record's payload is. The ring itself only looks at ``PAD``."""

    PAD = 0
    MESSAGE = 1  # the message is all in the header
    ROWS = 2  # msgpack of tabular rows
    ARROW = 3  # an Arrow IPC stream
    RAW = 4  # bytes as they are
    RAW_BATCH = 5  # many of them, each a message


_BODY: Final = struct.Struct("<IQQQQQQII")
CHECKSUM_BYTES: Final = 4
WHOLE: Final = struct.Struct("<IIQQQQQQII")


class RecordHeader(NamedTuple):
    """The 64 bytes before every record, as numbers.

    ``size`` counts header, message header and payload with their padding; ``position`` is the
    record's own start, so that stale bytes of an earlier lap never look like a record;
    ``messages`` is how many the record holds.
    """

    header_length: int
    size: int
    sequence: int
    mask: int
    timestamp_ns: int
    position: int
    payload_length: int
    kind: int
    messages: int


def pack_header(
    header_length: int,
    size: int,
    sequence: int,
    mask: int,
    timestamp_ns: int,
    position: int,
    payload_length: int,
    kind: int,
    messages: int,
) -> bytes:
    """The fields of :class:`RecordHeader` as bytes, with their checksum in front."""
    body = _BODY.pack(
        header_length, size, sequence, mask, timestamp_ns, position, payload_length, kind, messages
    )
    return zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "little") + body


def unpack_header(raw: bytes | memoryview) -> RecordHeader | None:
    """64 bytes as numbers; ``None`` when the checksum does not match."""
    fields = WHOLE.unpack(raw)
    if zlib.crc32(raw[CHECKSUM_BYTES:]) != fields[0]:
        return None
    return RecordHeader._make(fields[1:])


def aligned(length: int) -> int:
    """``length`` rounded up to the record alignment of 64 bytes."""
    return (length + ALIGN - 1) & -ALIGN


def record_size(header_length: int, payload_length: int) -> int:
    """Bytes that a record takes in the log."""
    # aligned() written out: this runs for every message.
    return ALIGN + ((header_length + 63) & -64) + ((payload_length + 63) & -64)


def row_base(row: int) -> int:
    """Index of the first word of a row, counted from WORDS_OFFSET."""
    return _WORDS_BEFORE_ROWS + row * _WORDS_A_ROW
