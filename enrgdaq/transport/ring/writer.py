"""The producer's side of a ring."""

from collections import deque
from collections.abc import Callable
from typing import Final

from enrgdaq.errors import RecordTooLargeError, RingCorruptError
from enrgdaq.transport import faults
from enrgdaq.transport.ring import layout
from enrgdaq.transport.ring.file import RingFile, fence, full_fence
from enrgdaq.transport.ring.layout import Policy, RecordKind, RowState

_MILESTONES: Final = 16  # how finely the tail follows, in parts of the ring
_FAULT_POINTS: Final = {
    layout.HEAD: "ring.head",
    layout.SEQUENCE: "ring.sequence",
    layout.TAIL: "ring.tail",
    **{layout.row_base(row) + layout.DUE: "ring.due" for row in range(layout.MAX_ROWS)},
}


class RingWriter:
    """Appends records; one per ring, in the process that holds the producer's name.

    Not thread-safe: the caller brings its own lock. ``on_rows_changed`` is called when the
    supervisor changed rows or routes, before the record at hand gets its target mask.
    """

    def __init__(self, ring: RingFile, on_rows_changed: Callable[[], None] | None = None) -> None:
        self.ring = ring
        self._on_rows_changed = on_rows_changed or (lambda: None)
        self._words = ring.words
        self._data = ring.data
        self._capacity = ring.capacity
        self._largest = ring.capacity // 2
        self._head: int = self._words[layout.HEAD]
        self._sequence: int = self._words[layout.SEQUENCE]
        self._limit: int = self._words[layout.TAIL] + self._capacity
        # Record starts that the tail may move to, so that it follows in steps of a part of
        # the ring: whoever looks without a row then finds most of the ring still intact.
        self._milestones: deque[int] = deque([self._head])
        self._rows: list[tuple[int, Policy]] = []
        self._rows_seen = -1
        self._pending: tuple[int, int, int] | None = None
        self._shown = self._head  # what readers see; beyond it lies what is staged
        self._targets = 0
        self._sleepers: list[int] = []
        self._words_of: dict[int, list[tuple[int, int, int, int, int]]] = {}
        self._milestone_bytes = self._capacity // _MILESTONES
        self._repair()
        self._look_at_rows()
        self._words = faults.watch_words(ring.words, _FAULT_POINTS)

    def refresh_rows(self) -> None:
        """Act on row changes now; :meth:`reserve` does it before every record as well."""
        if self._words[layout.ROWS_VERSION] != self._rows_seen:
            self._look_at_rows()

    def reserve(self, header_length: int, payload_length: int) -> memoryview | None:
        """Space for a record's payload, or ``None`` while consumers hold the ring.

        A new ``reserve`` before :meth:`stage` forgets the old.
        Raises :class:`RecordTooLargeError` for what can never fit.
        """
        self.refresh_rows()
        header_end = layout.ALIGN + layout.aligned(header_length)
        size = header_end + layout.aligned(payload_length)
        if size > self._largest:
            self.check_size(header_length, payload_length)
        offset = self._place(size)
        if offset is None:
            return None
        self._pending = (size, header_length, payload_length)
        start = offset + header_end
        return self._data[start : start + payload_length]

    def check_size(self, header_length: int, payload_length: int) -> int:
        """Bytes that a record takes. Raises :class:`RecordTooLargeError`."""
        size = layout.record_size(header_length, payload_length)
        if size > self._largest:
            raise RecordTooLargeError(
                f"message of {payload_length / 1e6:.1f} MB in ring"
                f" {self.ring.identity.producer!r} of {self._capacity / 1e6:.1f} MB:"
                f" a message may fill half the ring; set ring_size_mb ="
                f" {-(-2 * size // (1 << 20))} or more in the job's file"
            )
        return size

    def stage(
        self, mask: int, kind: int, header: bytes, timestamp_ns: int, messages: int = 1
    ) -> tuple[int, int]:
        """Finish the reserved record; returns its start position and sequence number.

        It becomes visible, with all that were staged before it, at the next :meth:`commit`.
        """
        if self._pending is None:
            raise AssertionError("stage without reserve")
        size, header_length, payload_length = self._pending
        self._pending = None
        if len(header) != header_length:
            raise AssertionError("header changed its length between reserve and stage")
        return self._finish(size, mask, kind, header, payload_length, timestamp_ns, messages)

    def append(
        self,
        mask: int,
        kind: int,
        header: bytes,
        payload: bytes | memoryview,
        timestamp_ns: int,
        messages: int = 1,
    ) -> tuple[int, int] | None:
        """:meth:`reserve`, a copy and :meth:`stage` in one, for a payload that lies ready.

        ``None`` while consumers hold the ring, and when rows or routes have changed since
        ``mask`` was made: :meth:`refresh_rows` first. Raises as :meth:`reserve`.
        """
        # layout.record_size() written out: this runs for every message.
        header_end = layout.ALIGN + ((len(header) + 63) & -64)
        length = len(payload)
        size = header_end + ((length + 63) & -64)
        if size > self._largest:
            self.check_size(len(header), length)
        if self._words[layout.ROWS_VERSION] != self._rows_seen:
            return None
        offset = self._place(size)
        if offset is None:
            return None
        start = offset + header_end
        self._data[start : start + length] = payload
        return self._finish(size, mask, kind, header, length, timestamp_ns, messages)

    def commit(self) -> list[int]:
        """Make all staged records visible; returns the rows that may have to be rung.

        Those are the targets that had looked at everything that they were owed before. One
        that had not is awake, or has a bell to answer.
        """
        self._show()
        sleepers = self._sleepers
        if sleepers:
            self._sleepers = []
        return sleepers

    def add_waited(self, nanoseconds: int) -> None:
        """Count time spent waiting for room."""
        self._words[layout.WAITED_NS] = self._words[layout.WAITED_NS] + nanoseconds

    def _place(self, size: int) -> int | None:
        """Where in the ring the next record goes; ``None`` while consumers hold it."""
        head = self._head
        offset = head % self._capacity
        to_end = self._capacity - offset
        if to_end < size:
            # The pad goes alone and first: pad and record together may exceed the capacity.
            if head + to_end > self._limit and not self._reclaim(head + to_end - self._capacity):
                return None
            self._finish(to_end, 0, RecordKind.PAD, b"", to_end - layout.ALIGN, 0, 0)
            self._show()
            faults.hit("ring.pad")
            head, offset = self._head, 0
        if head + size > self._limit and not self._reclaim(head + size - self._capacity):
            return None
        return offset

    def _finish(
        self,
        size: int,
        mask: int,
        kind: int,
        header: bytes,
        payload_length: int,
        timestamp_ns: int,
        messages: int,
    ) -> tuple[int, int]:
        """Write the headers of a record whose payload is there."""
        start, sequence = self._head, self._sequence
        offset = start % self._capacity
        length = len(header)
        self._data[offset : offset + layout.ALIGN + length] = (
            layout.pack_header(
                length, size, sequence, mask, timestamp_ns, start, payload_length, kind, messages
            )
            + header
        )
        self._head = start + size
        self._sequence = sequence + 1
        self._targets |= mask
        return start, sequence

    def _show(self) -> None:
        end, begin, words = self._head, self._shown, self._words
        if end == begin:
            return
        targets = self._words_of.get(self._targets) or self._look_up_words(self._targets)
        caught_up = []
        for row, cursor_at, from_at, due_at, read_at in targets:
            # Before the head: a producer killed in between then owes too much at most, and
            # _repair() takes that back. Owing too little would let data be overwritten.
            due = words[due_at]
            if words[cursor_at] >= due or words[from_at] >= due:
                words[from_at] = begin
            words[due_at] = end
            caught_up.append((row, read_at, due))
        fence()
        words[layout.HEAD] = end
        fence()
        words[layout.SEQUENCE] = self._sequence
        self._shown = end
        self._targets = 0
        if end - self._milestones[-1] >= self._milestone_bytes:
            self._milestones.append(end)
        full_fence()
        for row, read_at, due in caught_up:
            if words[read_at] >= due:
                self._sleepers.append(row)

    def _look_up_words(self, mask: int) -> list[tuple[int, int, int, int, int]]:
        """Per target its row, and where its CURSOR, FROM, DUE and READ are."""
        places = (layout.CURSOR, layout.FROM, layout.DUE, layout.READ)
        found = []
        for row, _ in self._rows:
            if mask >> row & 1:
                base = layout.row_base(row)
                cursor_at, from_at, due_at, read_at = (base + place for place in places)
                found.append((row, cursor_at, from_at, due_at, read_at))
        self._words_of[mask] = found
        return found

    def _reclaim(self, wanted_tail: int) -> bool:
        """Move the tail to at least ``wanted_tail``, as far as what is owed allows."""
        lowest = self._lowest_owed()
        if lowest < wanted_tail:
            self._take_from_skippers(wanted_tail)
            lowest = self._lowest_owed()
        if lowest < wanted_tail:
            return False
        while self._milestones and self._milestones[0] < wanted_tail:
            self._milestones.popleft()
        if not self._milestones:
            self._milestones.append(self._shown)
        # Both are record boundaries; `lowest` is one because cursors and FROM only ever are.
        tail = min(self._milestones[0], lowest)
        self._words[layout.TAIL] = tail
        fence()
        self._limit = tail + self._capacity
        return True

    def _lowest_owed(self) -> int:
        words = self._words
        lowest = self._shown
        for row, _ in self._rows:
            base = layout.row_base(row)
            begin = max(words[base + layout.CURSOR], words[base + layout.FROM])
            if begin < words[base + layout.DUE] and begin < lowest:
                lowest = begin
        return lowest

    def _take_from_skippers(self, wanted_tail: int) -> None:
        """Take their oldest records from consumers with Policy.SKIP, counting each."""
        words = self._words
        # A quarter more than needed, so that a slow monitor costs this walk rarely.
        target = min(self._shown, wanted_tail + self._capacity // 4)
        for row, policy in self._rows:
            base = layout.row_base(row)
            begin = max(words[base + layout.CURSOR], words[base + layout.FROM])
            if policy is not Policy.SKIP or begin >= min(words[base + layout.DUE], wanted_tail):
                continue
            position, taken = begin, 0
            while position < target:
                record = self._record_at(position)
                taken += record.messages * (record.mask >> row & 1)
                position += record.size
            # Counted before it is taken: a kill in between counts twice, never not at all.
            words[base + layout.SKIPPED] = words[base + layout.SKIPPED] + taken
            fence()
            words[base + layout.FROM] = position

    def _look_at_rows(self) -> None:
        # What is staged is addressed to the rows as they were.
        self._show()
        words = self._words
        version = words[layout.ROWS_VERSION]
        fence()
        rows: list[tuple[int, Policy]] = []
        for row in range(layout.MAX_ROWS):
            state = self.ring.row_state(row)
            base = layout.row_base(row)
            if state is RowState.JOINING:
                # A consumer that joins begins here, and is owed nothing yet.
                words[base + layout.FROM] = self._head
                words[base + layout.DUE] = self._head
                fence()
                words[base + layout.JOINED] = words[base + layout.GENERATION]
            if state in (RowState.JOINING, RowState.ATTACHED):
                rows.append((row, Policy(words[base + layout.POLICY])))
        self._rows = rows
        self._words_of = {}
        words[layout.ROWS_SEEN] = self._rows_seen = version
        self._on_rows_changed()

    def _repair(self) -> None:
        """Mend what a producer that was killed in the middle of a commit left behind."""
        words = self._words
        self.ring.forget_unwritten()
        faults.hit("ring.repair")
        # The head may have moved without SEQUENCE: the records themselves know better.
        position = words[layout.TAIL]
        while position < self._head:
            record = self._record_at(position)
            self._sequence = record.sequence + 1
            position += record.size

    def _record_at(self, position: int) -> layout.RecordHeader:
        offset = position % self._capacity
        record = layout.unpack_header(bytes(self._data[offset : offset + layout.ALIGN]))
        if record is None or record.position != position:
            raise RingCorruptError(
                f"{self.ring.path}: no record at position {position}; move the file away and"
                " start again: its rows up to there are in the stores"
            )
        return record
