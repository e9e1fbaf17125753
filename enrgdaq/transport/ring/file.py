"""Ring files: made by the supervisor, opened by jobs, looked into by anyone who may."""

import errno
import mmap
import os
import platform
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from enrgdaq.errors import MemoryBudgetError, RingFormatError, TransportError
from enrgdaq.transport import faults
from enrgdaq.transport.ring import layout
from enrgdaq.transport.ring.layout import Policy, RowState

_POPULATE_WRITE: Final = 23  # madvise(2), Linux 5.14; the mmap module does not name it
_IS_X86: Final = platform.machine() in {"x86_64", "AMD64", "i686"}
_FENCE_LOCK: Final = threading.Lock()


class RingIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Whose ring it is. ``uuid`` is what watermarks refer to.

    ``made_ns`` (UTC, ns since 1970) orders the rings of one producer. The records of a mirror
    come from rings of other nodes, and say so in their headers.
    """

    uuid: str
    producer: str
    supervisor_id: str
    config_path: str
    out_dir: str
    capacity: int
    made_ns: int
    is_mirror: bool = False


@dataclass(frozen=True)
class ConsumerState:
    """One row of a ring as a snapshot: positions in bytes since the ring was made."""

    row: int
    name: str
    state: RowState
    policy: Policy
    read: int
    cursor: int
    due: int
    skipped: int
    in_hand: int

    @property
    def is_owed(self) -> bool:
        """Whether records wait for this consumer."""
        return self.state is RowState.ATTACHED and self.cursor < self.due

    @property
    def lag_bytes(self) -> int:
        """Bytes between what is durable and the last record owed."""
        return max(0, self.due - self.cursor)


def new_ring_uuid() -> str:
    """A ring's name for ever: 32 hex digits."""
    return uuid.uuid4().hex


class RingFile:
    """A mapped ring file.

    ``words`` is the table of shared u64 words, ``data`` the log. The mapping is never closed
    while Arrow buffers point into it: :meth:`close` leaves that to the last reference.
    """

    def __init__(self, path: Path, mapping: mmap.mmap, identity: RingIdentity) -> None:
        self.path = path
        self.identity = identity
        self.capacity = identity.capacity
        self._mapping = mapping
        whole = memoryview(mapping)
        self.words: memoryview = whole[layout.WORDS_OFFSET : layout.DATA_OFFSET].cast("Q")
        self.data: memoryview = whole[layout.DATA_OFFSET : layout.DATA_OFFSET + self.capacity]
        whole.release()

    @classmethod
    def create(cls, path: Path, identity: RingIdentity) -> "RingFile":
        """Make a ring file of mode 0600 with all its memory reserved.

        Raises :class:`MemoryBudgetError` when the file system cannot hold it. Without the
        reservation a full ``/dev/shm`` is a SIGBUS in the middle of a write.
        """
        if identity.capacity % layout.PAGE:
            raise TransportError(
                f"ring {path.name}: capacity {identity.capacity} is not a multiple of {layout.PAGE}"
            )
        encoded = msgspec.msgpack.encode(identity)
        preamble = layout.PREAMBLE.pack(layout.MAGIC, layout.VERSION, len(encoded))
        if len(preamble) + len(encoded) > layout.PAGE:
            raise TransportError(f"ring {path.name}: paths in its identity exceed one page")
        size = layout.DATA_OFFSET + identity.capacity
        unfinished = path.with_name(path.name + ".new")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(unfinished, flags, 0o600)
        try:
            _reserve(descriptor, size, path)
            os.pwrite(descriptor, preamble + encoded, 0)
            mapping = mmap.mmap(descriptor, size)
        except BaseException:
            unfinished.unlink()
            raise
        finally:
            os.close(descriptor)
        unfinished.rename(path)
        return cls(path, mapping, identity)

    @classmethod
    def open(cls, path: Path) -> "RingFile":
        """Map an existing ring file for reading and writing.

        Raises :class:`RingFormatError` when the file is no ring of this version.
        """
        identity = read_identity(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            mapping = mmap.mmap(descriptor, layout.DATA_OFFSET + identity.capacity)
        finally:
            os.close(descriptor)
        return cls(path, mapping, identity)

    def populate(self) -> None:
        """Touch every page of the log: a first touch is ten times slower than a later one."""
        try:
            self._mapping.madvise(_POPULATE_WRITE, layout.DATA_OFFSET, self.capacity)
        except (OSError, ValueError):
            # Older kernels: read-modify-write of one byte a page. Only the producer calls
            # this, before it writes, so the bytes do not change under anybody.
            for offset in range(0, self.capacity, layout.PAGE):
                self.data[offset] = self.data[offset]

    def attach(self, name: str, policy: Policy = Policy.HOLD) -> int:
        """Give a consumer a row and tell the producer; returns the row. Supervisor only.

        The consumer begins where the producer is when it sees this.
        Raises :class:`TransportError` when all rows are taken or the name is too long.
        """
        encoded = name.encode()
        if not 0 < len(encoded) <= layout.NAME_BYTES:
            raise TransportError(f"consumer name {name!r} must have 1 to {layout.NAME_BYTES} bytes")
        row = self._unused_row()
        base = layout.row_base(row)
        name_words = memoryview(encoded.ljust(layout.NAME_BYTES, b"\0")).cast("Q")
        start = base + layout.NAME_LINE
        self.words[start : start + len(name_words)] = name_words
        self.words[base + layout.POLICY] = policy
        self.words[base + layout.GENERATION] = self.words[base + layout.GENERATION] + 1
        fence()
        self.words[base + layout.STATE] = RowState.ATTACHED
        self.announce_rows()
        return row

    def detach(self, row: int) -> None:
        """Take a row away: what it is owed may be overwritten. Supervisor only."""
        self.words[layout.row_base(row) + layout.STATE] = RowState.DETACHED
        self.announce_rows()

    def announce_rows(self) -> None:
        """Make the producer look at rows and routes again. Supervisor only."""
        fence()
        self.words[layout.ROWS_VERSION] = self.words[layout.ROWS_VERSION] + 1

    def row_name(self, row: int) -> str:
        """Name of the consumer in a row; empty for a row never used."""
        start = layout.row_base(row) + layout.NAME_LINE
        raw = self.words[start : start + layout.NAME_BYTES // 8].tobytes()
        return raw.rstrip(b"\0").decode()

    def consumers(self) -> list[ConsumerState]:
        """All rows in use, as a snapshot."""
        return [
            self.consumer(row)
            for row in range(layout.MAX_ROWS)
            if self.words[layout.row_base(row) + layout.STATE] != RowState.FREE
        ]

    def consumer(self, row: int) -> ConsumerState:
        """One row as a snapshot."""
        base = layout.row_base(row)
        words = self.words
        return ConsumerState(
            row=row,
            name=self.row_name(row),
            state=self.row_state(row),
            policy=Policy(words[base + layout.POLICY]),
            read=words[base + layout.READ],
            cursor=max(words[base + layout.CURSOR], words[base + layout.FROM]),
            due=words[base + layout.DUE],
            skipped=words[base + layout.SKIPPED],
            in_hand=words[base + layout.IN_HAND],
        )

    def row_state(self, row: int) -> RowState:
        """State of a row, ``JOINING`` included."""
        base = layout.row_base(row)
        state = RowState(self.words[base + layout.STATE])
        joined = self.words[base + layout.JOINED] == self.words[base + layout.GENERATION]
        return RowState.JOINING if state is RowState.ATTACHED and not joined else state

    def row_of(self, name: str) -> int | None:
        """The row that a consumer has in this ring, joining or attached."""
        for consumer in self.consumers():
            if consumer.name == name and consumer.state in (RowState.JOINING, RowState.ATTACHED):
                return consumer.row
        return None

    @property
    def head(self) -> int:
        """Bytes ever written."""
        return int(self.words[layout.HEAD])

    @property
    def tail(self) -> int:
        """Start of the oldest record that is still there."""
        return int(self.words[layout.TAIL])

    @property
    def sequence(self) -> int:
        """Records ever written, pads among them."""
        return int(self.words[layout.SEQUENCE])

    @property
    def beat_ns(self) -> int:
        """Last heartbeat of the producer's process, monotonic ns; 0 before the first."""
        return int(self.words[layout.BEAT])

    @property
    def waited_seconds(self) -> float:
        """How long the producer has waited for room since the ring was made."""
        return float(self.words[layout.WAITED_NS]) / 1e9

    def beat(self, now_ns: int) -> None:
        """Heartbeat of the producer's process."""
        self.words[layout.BEAT] = now_ns

    def clear_beat(self) -> None:
        """Forget the last heartbeat. Supervisor only, while no producer process lives."""
        self.words[layout.BEAT] = 0

    def forget_unwritten(self) -> None:
        """Owe nobody what a producer was killed over: records that were never made visible.

        Only for who writes this ring, or while nobody does.
        """
        head = self.head
        for row in range(layout.MAX_ROWS):
            base = layout.row_base(row)
            for word in (layout.FROM, layout.DUE):
                self.words[base + word] = min(self.words[base + word], head)

    def is_drained(self) -> bool:
        """Whether no attached consumer is owed anything."""
        return not any(consumer.is_owed for consumer in self.consumers())

    def _unused_row(self) -> int:
        for row in range(layout.MAX_ROWS):
            if self.row_state(row) in (RowState.FREE, RowState.DETACHED):
                return row
        raise TransportError(
            f"ring {self.identity.producer!r} has {layout.MAX_ROWS} consumers already;"
            " a ring cannot have more"
        )

    def close(self) -> None:
        """Let go of the mapping; idempotent. Buffers handed out stay valid."""
        self.words.release()
        try:
            self.data.release()
            self._mapping.close()
        except BufferError:
            pass  # Arrow buffers still point into it; the last one to go unmaps it.


def read_identity(path: Path) -> RingIdentity:
    """Read and check the first page of a ring file.

    Raises :class:`RingFormatError` naming the file and what is wrong with it.
    """
    with path.open("rb") as file:
        page = file.read(layout.PAGE)
        size = os.fstat(file.fileno()).st_size
    if len(page) < layout.PREAMBLE.size or not page.startswith(layout.MAGIC):
        raise RingFormatError(f"{path}: not a ring file; remove it or move it elsewhere")
    _, version, length = layout.PREAMBLE.unpack_from(page)
    if version != layout.VERSION:
        raise RingFormatError(
            f"{path}: ring format {version}, this version reads {layout.VERSION}; start the"
            " version that made it to drain it, or remove it with 'enrgdaq rings discard'"
        )
    body = page[layout.PREAMBLE.size : layout.PREAMBLE.size + length]
    try:
        identity = msgspec.msgpack.decode(body, type=RingIdentity)
    except msgspec.MsgspecError as error:
        raise RingFormatError(f"{path}: its identity cannot be read: {error}") from error
    if size != layout.DATA_OFFSET + identity.capacity:
        raise RingFormatError(
            f"{path}: {size} bytes long, {layout.DATA_OFFSET + identity.capacity} expected"
        )
    return identity


def fence() -> None:
    """Keep the loads and stores before this call before those after it.

    x86-64 keeps the order that this project relies on and needs nothing. On arm64 a position
    found by looking at a shared word is not ordered against the bytes behind it, and Python
    has no fence of its own. Taking and giving back a lock twice is one: nothing sinks below
    the first release, nothing rises above the second acquire, and ARMv8 never moves an
    acquire before an earlier release. Reasoned, not tested: no such machine was at hand.
    """
    if not _IS_X86:
        full_fence()


def full_fence() -> None:
    """Make the stores before this call visible before the loads after it are done.

    The one order that x86-64 does not keep. A bell needs it on both sides: the producer
    moves the head and then looks who sleeps, the consumer says how far it has looked and then
    looks at the head. A lock is taken with an atomic exchange, which drains the processor's
    store buffer. That a bell was missed for want of it is reasoned, not seen.
    """
    with _FENCE_LOCK:
        pass
    if not _IS_X86:  # where the one exchange is enough
        with _FENCE_LOCK:
            pass


def _reserve(descriptor: int, size: int, path: Path) -> None:
    disk = os.statvfs(path.parent)
    free = disk.f_bavail * disk.f_frsize
    shortage = (
        f"{path.parent} has {free / 1e6:.1f} MB free, ring {path.name} needs {size / 1e6:.1f} MB:"
        " lower ring_buffer_size_mb in supervisor.toml, or make the file system larger"
        " (docker run --shm-size)"
    )
    if free < size:
        raise MemoryBudgetError(shortage)
    try:
        faults.hit("ring.reserve")
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.ftruncate(descriptor, size)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise MemoryBudgetError(shortage) from error
        raise
