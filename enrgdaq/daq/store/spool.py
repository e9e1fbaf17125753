"""Records on disk, in order, that a store could not write in time.

A spool is a folder of segments, each a row of blocks::

    magic, lengths of note and body, CRC-32 of note and body, CRC-32 of the words before
    note: how many records of which rings up to where, and the oldest one's time (msgpack)
    body: the records (msgpack, zstd)

A block is on the disk before the ring's cursor moves, and its segment is removed after the
records are durable in the store. A kill in between leaves records twice, and watermarks tell:
the notes' before something is added, the store's own when it is written.
"""

import contextlib
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
import zstandard

from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.daq.store.journal import Position
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport import faults

SUFFIX: Final = ".spool"
_MAGIC: Final = b"ESB1"
_WORDS: Final = struct.Struct("<4sIQII")
_HEAD_BYTES: Final = _WORDS.size + 4
_LONGEST_NOTE: Final = 1 << 20
_SEGMENT_BYTES: Final = 16 << 20


class SpooledRecord(msgspec.Struct, frozen=True, array_like=True):
    """A ring's record and where it comes from; ``payload`` may be any buffer when written."""

    ring_uuid: str
    producer: str
    producer_type: str
    start: int
    end: int
    sequence: int
    kind: int
    timestamp_ns: int
    header: bytes
    payload: bytes
    messages: int = 1
    supervisor: SupervisorInfo | None = None


class _Note(msgspec.Struct, frozen=True, array_like=True):
    count: int
    oldest_ns: int
    ends: dict[str, int]


class _Block(NamedTuple):
    """Where a block is; ``offset`` and ``size`` with its head, in bytes."""

    segment: Path
    offset: int
    size: int
    body_offset: int
    body_crc: int
    note: _Note


Damage = Callable[[Path, int], None]
"""Called with the file that holds what was damaged, and how many records that were."""


class Spool:
    """The spool of one store. Raises ``OSError`` as the disk does; everything can be retried."""

    def __init__(
        self, folder: Path, limit_bytes: int, on_damage: Damage, floor: FreeSpaceFloor
    ) -> None:
        """``floor``: of the disk on which the folder lies."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._floor = floor
        self._folder = folder
        self._limit = limit_bytes
        self._on_damage = on_damage
        self._blocks: deque[_Block] = deque()
        self._read_ahead = 0
        self._sizes: dict[Path, int] = {}
        self._ends: dict[str, int] = {}
        self._descriptor = -1
        self._current: Path | None = None
        self._number = 0
        for segment in sorted(folder.glob(f"*{SUFFIX}")):
            self._number = int(segment.stem)
            self._find_blocks(segment)
        self._remove_used_up()

    @property
    def is_empty(self) -> bool:
        """Whether everything was committed."""
        return not self._blocks

    @property
    def bytes(self) -> int:
        """Bytes on the disk."""
        return sum(self._sizes.values())

    @property
    def oldest_ns(self) -> int:
        """When the oldest record was published, ns since 1970; 0 for an empty spool."""
        return self._blocks[0].note.oldest_ns if self._blocks else 0

    @property
    def rings(self) -> set[str]:
        """The rings whose records are here."""
        return {ring for block in self._blocks for ring in block.note.ends}

    def has(self, position: Position) -> bool:
        """Whether a record was added already."""
        return position.end <= self._ends.get(position.ring_uuid, 0)

    def full_reason(self) -> str:
        """Why nothing can be added now; empty when it can."""
        if self.bytes + _SEGMENT_BYTES > self._limit:
            return f"the spool has {self.bytes / 1e6:.0f} MB, its limit (spool_size_mb)"
        lack = self._floor.lack()
        return f"{self._folder}: {lack}" if lack else ""

    def add(self, records: list[SpooledRecord]) -> None:
        """Put records on the disk, as one block; when this returns they survive a power cut."""
        note = _Note(
            len(records),
            min(record.timestamp_ns for record in records),
            {record.ring_uuid: record.end for record in records},
        )
        body = zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(records))
        noted = msgspec.msgpack.encode(note)
        words = _WORDS.pack(_MAGIC, len(noted), len(body), zlib.crc32(noted), zlib.crc32(body))
        head = words + zlib.crc32(words).to_bytes(4, "little")
        size = len(head) + len(noted) + len(body)
        segment, offset = self._place_for_block()
        block = b"".join((head, noted, body))
        faults.hit("spool.torn", lambda: _write_all(self._descriptor, block[: size // 2], offset))
        try:
            _write_all(self._descriptor, block, offset)
        except OSError:
            # Behind a shorter block it would be taken for damage.
            os.ftruncate(self._descriptor, offset)
            raise
        os.fdatasync(self._descriptor)
        faults.hit("spool.block")
        body_offset = offset + len(head) + len(noted)
        self._sizes[segment] = offset + size
        self._append(_Block(segment, offset, size, body_offset, zlib.crc32(body), note))

    def read(self, most_bytes: int) -> Iterator[SpooledRecord]:
        """Records after those read before, oldest first, about so many bytes of them."""
        while self._read_ahead < len(self._blocks) and most_bytes > 0:
            block = self._blocks[self._read_ahead]
            self._read_ahead += 1
            for record in self._records(block):
                most_bytes -= len(record.payload)
                yield record

    def commit(self) -> None:
        """All that was read is durable elsewhere."""
        for _ in range(self._read_ahead):
            self._blocks.popleft()
        self._read_ahead = 0
        self._remove_used_up()

    def rewind(self) -> None:
        """Read again what was read since the last commit."""
        self._read_ahead = 0

    def close(self) -> None:
        """Let go of the files; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._current = None

    def _append(self, block: _Block) -> None:
        self._blocks.append(block)
        for ring, end in block.note.ends.items():
            self._ends[ring] = max(end, self._ends.get(ring, 0))

    def _place_for_block(self) -> tuple[Path, int]:
        """Where the next block goes; a segment of an earlier life is never written again."""
        if self._current is None or self._sizes[self._current] >= _SEGMENT_BYTES:
            self.close()
            segment = self._folder / f"{self._number + 1:010d}{SUFFIX}"
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(segment, flags, 0o600)
            self._number += 1
            self._current = segment
            self._sizes[segment] = 0
            _sync_folder(self._folder)
        return self._current, self._sizes[self._current]

    def _remove_used_up(self) -> None:
        needed = {block.segment for block in self._blocks}
        for segment in [s for s in self._sizes if s not in needed]:
            if segment == self._current:
                self.close()
            segment.unlink(missing_ok=True)
            faults.hit("spool.removed")
            del self._sizes[segment]

    def _find_blocks(self, segment: Path) -> None:
        size = segment.stat().st_size
        self._sizes[segment] = size
        offset = 0
        with segment.open("rb") as file:
            # What is too short was cut by a kill: the ring still has its records.
            while offset + _HEAD_BYTES <= size:
                block = _read_head(file, segment, offset)
                if block is None:
                    self._set_apart(segment, offset, size, 0)
                    return
                offset += block.size
                if offset > size:
                    return
                self._append(block)

    def _records(self, block: _Block) -> list[SpooledRecord]:
        with block.segment.open("rb") as file:
            file.seek(block.body_offset)
            body = file.read(block.offset + block.size - block.body_offset)
        try:
            if zlib.crc32(body) != block.body_crc:
                raise ValueError("checksum")
            packed = zstandard.ZstdDecompressor().decompress(body)
            return msgspec.msgpack.decode(packed, type=list[SpooledRecord])
        except (ValueError, zstandard.ZstdError, msgspec.MsgspecError):
            end = block.offset + block.size
            self._set_apart(block.segment, block.offset, end, block.note.count)
            return []

    def _set_apart(self, segment: Path, begin: int, end: int, count: int) -> None:
        """Keep what the disk has spoiled in a file beside; the rest goes on."""
        apart = self._folder / f"{segment.stem}_{begin}.damaged"
        if not apart.exists():
            with segment.open("rb") as file:
                file.seek(begin)
                apart.write_bytes(file.read(end - begin))
            self._on_damage(apart, count)


def _read_head(file: BinaryIO, segment: Path, offset: int) -> _Block | None:
    """The block that begins there; ``None`` when its head is damaged."""
    file.seek(offset)
    words, checksum = file.read(_WORDS.size), file.read(4)
    magic, note_length, body_length, note_crc, body_crc = _WORDS.unpack(words)
    if magic != _MAGIC or zlib.crc32(words) != int.from_bytes(checksum, "little"):
        return None
    noted = file.read(min(note_length, _LONGEST_NOTE))
    note = _Note(0, 0, {})
    if len(noted) == note_length:  # else it was cut by a kill, which the size tells
        if zlib.crc32(noted) != note_crc:
            return None
        note = msgspec.msgpack.decode(noted, type=_Note)
    body_offset = offset + _HEAD_BYTES + note_length
    size = _HEAD_BYTES + note_length + body_length
    return _Block(segment, offset, size, body_offset, body_crc, note)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Not every file system syncs folders; those that do not need no sync.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
