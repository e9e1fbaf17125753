"""A consumer's side of a ring."""

import zlib
from collections.abc import Iterator

import msgspec

from enrgdaq.errors import RingCorruptError, TransportError
from enrgdaq.transport import faults
from enrgdaq.transport.ring import layout
from enrgdaq.transport.ring.file import RingFile, fence
from enrgdaq.transport.ring.layout import Policy, RowState


class Record(msgspec.Struct, frozen=True, gc=False):  # made in a fifth of a named tuple's time
    """A record as it lies in the ring.

    ``payload`` points into the ring and stays valid until the reader's cursor passes
    ``end``; for consumers with :attr:`Policy.SKIP` it is a copy. ``start`` and ``end`` are
    positions in bytes, ``timestamp_ns`` counts from 1970 in UTC; ``messages`` is how many the
    record holds.
    """

    start: int
    end: int
    sequence: int
    kind: int
    timestamp_ns: int
    header: bytes
    payload: memoryview
    messages: int = 1


class RingReader:
    """Reads the records that are addressed to one row of a ring, from its cursor on.

    Records come in order, each once for the life of this reader; a new reader of the same
    row begins again at the cursor. What has been read may be reused by the producer only
    after :meth:`commit`.
    """

    def __init__(self, ring: RingFile, row: int) -> None:
        self.ring = ring
        self.row = row
        self._base = layout.row_base(row)
        self._words = faults.watch_words(ring.words, {self._base + layout.CURSOR: "ring.cursor"})
        self._data = ring.data
        self._capacity = ring.capacity
        self._may_skip = ring.words[self._base + layout.POLICY] == Policy.SKIP
        if ring.row_state(row) is not RowState.ATTACHED:
            raise TransportError(
                f"row {row} of ring {ring.identity.producer!r} is"
                f" {ring.row_state(row).name.lower()}, not attached"
            )
        fence()
        self._cursor: int = self._words[self._base + layout.CURSOR]
        self.position = self._begin()
        self._sequence: int | None = None
        # Whoever has not looked is taken to be awake, and not rung.
        self._words[self._base + layout.READ] = self.position

    @classmethod
    def open(cls, ring: RingFile, name: str) -> "RingReader | None":
        """The reader of a named consumer; ``None`` while the producer has not let it join."""
        row = ring.row_of(name)
        if row is None:
            raise TransportError(f"ring {ring.identity.producer!r} has no row for {name!r}")
        return None if ring.row_state(row) is RowState.JOINING else cls(ring, row)

    @property
    def is_behind(self) -> bool:
        """Whether there are bytes that this reader has not looked at."""
        return bool(self._words[layout.HEAD] > self.position)

    @property
    def held_bytes(self) -> int:
        """Bytes that this reader has read and not committed."""
        return max(0, self.position - self._begin())

    def is_half_held(self, more: int = 0) -> bool:
        """Whether half of the ring waits for this reader to commit, or will with ``more`` bytes.

        With ``more`` for one more record as large as the last, the producer of large ones
        never waits for a reader that waits for another record.
        """
        half = self._capacity // 2 - more
        # No more is held than was read since the last commit, which no shared word needs to tell.
        return self.position - self._cursor >= half and self.held_bytes >= half

    def read(self) -> Iterator[Record]:
        """Records addressed to this row, up to the head as it is now.

        Raises :class:`RingCorruptError` when a record does not check out.
        """
        # A third of the time that a small message takes is spent in this loop, and half of
        # that was calls and named tuples: so what can be in place is.
        words, data, capacity, bit = self._words, self._data, self._capacity, 1 << self.row
        unpack, checksum_of = layout.WHOLE.unpack_from, zlib.crc32
        head = words[layout.HEAD]
        fence()
        while (start := self.position) < head:
            if self._may_skip and start < self._begin():
                self._jump()
                continue
            offset = start % capacity
            after = offset + layout.ALIGN
            (
                checksum,
                header_length,
                size,
                sequence,
                mask,
                sent_ns,
                position,
                length,
                kind,
                messages,
            ) = unpack(data, offset)
            is_whole = (
                checksum_of(data[offset + layout.CHECKSUM_BYTES : after]) == checksum
                and position == start
            )
            if not is_whole or self._sequence not in (None, sequence):
                # The tail is looked at only now: for every record that would take the cache
                # line of the head away from the producer.
                fence()
                if start < words[layout.TAIL]:
                    self._jump()
                    continue
                raise self._corrupt(start, sequence if is_whole else None)
            self._sequence = sequence + 1
            end = self.position = start + size
            if not mask & bit:
                continue
            payload_at = after + (header_length + 63 & -64)
            header = bytes(data[after : after + header_length])
            payload = data[payload_at : payload_at + length]
            if self._may_skip:
                payload = memoryview(bytes(payload))
                fence()
                if start < words[layout.TAIL]:
                    continue
            yield Record(start, end, sequence, kind, sent_ns, header, payload, messages)

    def await_bell(self) -> None:
        """Say that the next record for this row is to be rung: its reader may sleep.

        Said before sleeping and not after each look: a reader that is awake comes back by
        itself, and a bell is a system call of its producer.
        """
        self._words[self._base + layout.READ] = self.position

    def look_ahead(self) -> Iterator[Record]:
        """What :meth:`read` would give now, without having read it; payloads are left out."""
        return _walk(self.ring, self.position, 1 << self.row)

    @property
    def ahead_bytes(self) -> int:
        """Bytes that this reader has not looked at."""
        return max(0, int(self._words[layout.HEAD]) - self.position)

    def rewind(self) -> None:
        """Read again what was read and not committed."""
        self.position = self._begin()
        self._sequence = None

    def take_in_hand(self, record: Record) -> None:
        """Say which record is being handled, so that a crash can be laid at its door."""
        self._words[self._base + layout.IN_HAND] = record.end

    def put_down(self) -> None:
        """No record is being handled."""
        self._words[self._base + layout.IN_HAND] = 0

    def commit(self, position: int | None = None) -> None:
        """All before ``position`` (default: all that was read) is durable and may be reused."""
        self._cursor = self.position if position is None else position
        fence()
        self._words[self._base + layout.CURSOR] = self._cursor

    def _begin(self) -> int:
        return max(self._cursor, self._words[self._base + layout.FROM])

    def _jump(self) -> None:
        """Go on where the ring is intact.

        Only a reader that is owed nothing here, or one that may lose records, is overtaken.
        """
        self.position = max(self._words[layout.TAIL], self._begin())
        self._sequence = None

    def _corrupt(self, start: int, sequence: int | None) -> RingCorruptError:
        what = "no record" if sequence is None else f"record {sequence}, not {self._sequence},"
        return RingCorruptError(f"ring {self.ring.identity.producer!r}: {what} at position {start}")


def intact_records(ring: RingFile) -> Iterator[Record]:
    """All records that a ring still holds, whoever is owed them; payloads are left out."""
    return _walk(ring, ring.words[layout.TAIL], -1)


def _walk(ring: RingFile, position: int, mask: int) -> Iterator[Record]:
    """Records from a position on that are addressed to one of these rows."""
    head = ring.words[layout.HEAD]
    fence()
    while position < head:
        offset = position % ring.capacity
        found = layout.unpack_header(ring.data[offset : offset + layout.ALIGN])
        if found is None or found.position != position:
            return  # overtaken, or damaged: read() will say it
        after = offset + layout.ALIGN
        if found.mask & mask:
            yield Record(
                start=position,
                end=position + found.size,
                sequence=found.sequence,
                kind=found.kind,
                timestamp_ns=found.timestamp_ns,
                header=bytes(ring.data[after : after + found.header_length]),
                payload=ring.data[:0],
                messages=found.messages,
            )
        position += found.size


def look_at(ring: RingFile, position: int) -> Record | None:
    """A copy of the record at ``position``, without a row; ``None`` when it is not intact.

    A seqlock: the tail moves before space is reused, so bytes that were copied while the
    tail stood before them are the record's own.
    """
    if not ring.words[layout.TAIL] <= position < ring.words[layout.HEAD]:
        return None
    header_at = position % ring.capacity + layout.ALIGN
    found = layout.unpack_header(ring.data[header_at - layout.ALIGN : header_at])
    if found is None or found.position != position:
        return None
    payload_at = header_at + layout.aligned(found.header_length)
    record = Record(
        start=position,
        end=position + found.size,
        sequence=found.sequence,
        kind=found.kind,
        timestamp_ns=found.timestamp_ns,
        header=bytes(ring.data[header_at : header_at + found.header_length]),
        payload=memoryview(bytes(ring.data[payload_at : payload_at + found.payload_length])),
        messages=found.messages,
    )
    fence()
    return record if ring.words[layout.TAIL] <= position else None
