"""What a stream has acknowledged and not every reader has yet: kept on this node's disk.

Servers were seen to lose what they had acknowledged: one that was killed and had caught up became
the leader of a stream while it lacked its end. So a batch is put here before it is published, and
removed when all readers have said that they have it; until then it can be published again.

A folder of segments, each a row of batches::

    magic, lengths of note and data, checksum of data, CRC-32 of note and the words before
    note: of which ring, from where to where (msgpack)
    data: the batch, as in :mod:`.messages`

It survives a kill, not a power cut: then servers have it.
"""

import contextlib
import logging
import os
import struct
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from enrgdaq.daq.store.checksum import checksum_of
from enrgdaq.daq.store.floor import FreeSpaceFloor
from enrgdaq.errors import TransportError
from enrgdaq.federation.jetstream.cold import ColdFiles

SUFFIX: Final = ".unread"
_LOG = logging.getLogger(__name__)
_MAGIC: Final = b"EUB1"
_WORDS: Final = struct.Struct("<4sIQI")
_CRC_BYTES: Final = 4
_LONGEST_NOTE: Final = 1_024
_SEGMENT_BYTES: Final = 16 << 20


class _Note(msgspec.Struct, frozen=True, array_like=True):
    ring_uuid: str
    before: int
    end: int


class Batch(NamedTuple):
    """Where a batch of a ring is; its records begin at ``before`` and end at ``end``, at home."""

    ring_uuid: str
    before: int
    end: int
    segment: Path
    offset: int
    size: int
    checksum: int


class Unread:
    """Batches of this node by ring, each in order. Raises ``OSError`` as the disk does."""

    def __init__(self, folder: Path, floor: FreeSpaceFloor) -> None:
        """``floor``: of the disk on which the folder lies."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._floor = floor
        self._rings: dict[str, deque[Batch]] = {}
        self._left: Counter[Path] = Counter()
        self._cold = ColdFiles()
        self._descriptor = -1
        self._current = folder
        self._offset = 0
        self._number = 0
        self.bytes = 0
        """Of all batches."""
        for segment in sorted(folder.glob(f"*{SUFFIX}")):
            self._number = int(segment.stem)
            self._find_batches(segment)

    @property
    def rings(self) -> Set[str]:
        """Rings of which anything is here."""
        return self._rings.keys()

    def end_of(self, ring_uuid: str) -> int:
        """Where the last batch of a ring ends; 0 when there is none."""
        batches = self._rings.get(ring_uuid)
        return batches[-1].end if batches else 0

    def end_before(self, ring_uuid: str, place: int) -> int:
        """Up to where a ring was sent before a place of it; 0 when nothing is kept of that."""
        batches = reversed(self._rings.get(ring_uuid, ()))
        return next((min(one.end, place) for one in batches if one.before < place), 0)

    def after(self, ring_uuid: str, place: int) -> Iterator[Batch]:
        """Batches of a ring that have something behind a place, in order."""
        return (one for one in self._rings.get(ring_uuid, ()) if one.end > place)

    def add(self, ring_uuid: str, before: int, end: int, data: bytes) -> None:
        """Keep a batch, unless all of it is here; when this returns it survives a kill."""
        if end <= self.end_of(ring_uuid):
            return
        note = msgspec.msgpack.encode(_Note(ring_uuid, before, end))
        total = checksum_of(data)
        head = _WORDS.pack(_MAGIC, len(note), len(data), total) + note
        head += zlib.crc32(head).to_bytes(_CRC_BYTES, "little")
        segment = self._open()
        try:
            _write_all(self._descriptor, head, data)
        except OSError:
            # What comes next must not follow half a batch.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._offset)
            self.close()
            if not self._left[segment]:
                self._remove(segment)
            raise
        offset = self._offset + len(head)
        self._offset = offset + len(data)
        self._append(Batch(ring_uuid, before, end, segment, offset, len(data), total))

    def read(self, batch: Batch) -> bytes:
        """A batch's data. Raises :class:`TransportError` for what the disk has damaged."""
        try:
            with batch.segment.open("rb") as file:
                file.seek(batch.offset)
                data = file.read(batch.size)
        except OSError as error:
            raise TransportError(f"{batch.segment}: {error.strerror}") from error
        if len(data) != batch.size or checksum_of(data) != batch.checksum:
            raise TransportError(f"{batch.segment}: the batch at {batch.offset} is damaged")
        return data

    def release(self, read_to: Callable[[str], int]) -> None:
        """Remove what all readers have; ``read_to``: how far that is, by ring."""
        for ring_uuid, batches in list(self._rings.items()):
            end = read_to(ring_uuid)
            while batches and batches[0].end <= end:
                self._drop(batches.popleft())
            if not batches:
                del self._rings[ring_uuid]

    def close(self) -> None:
        """Let go of the file; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _append(self, batch: Batch) -> None:
        self._rings.setdefault(batch.ring_uuid, deque()).append(batch)
        self._left[batch.segment] += 1
        self.bytes += batch.size

    def _drop(self, batch: Batch) -> None:
        self.bytes -= batch.size
        self._left[batch.segment] -= 1
        if self._left[batch.segment] == 0:
            del self._left[batch.segment]
            if batch.segment == self._current:
                self.close()
            self._remove(batch.segment)

    def _remove(self, segment: Path) -> None:
        # A disk that is read-only now: the next start removes it.
        with contextlib.suppress(OSError):
            segment.unlink(missing_ok=True)

    def _open(self) -> Path:
        """Where the next batch goes; a segment of an earlier life is never written again."""
        if self._descriptor < 0 or self._offset >= _SEGMENT_BYTES:
            if self._descriptor >= 0:
                self._cold.add(self._current)
            self.close()
            self._floor.check()
            self._number += 1
            self._current = self._folder / f"{self._number:010d}{SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._current, flags, 0o600)
            self._offset = 0
        return self._current

    def _find_batches(self, segment: Path) -> None:
        size = segment.stat().st_size
        offset = 0
        with segment.open("rb") as file:
            # What is too short was cut by a kill: it was not published either.
            while (
                found := _read_head(file, segment, offset)
            ) and found.offset + found.size <= size:
                self._append(found)
                offset = found.offset + found.size
        if offset < size:
            _LOG.warning(
                "%s: the last %d bytes are no batch; cut by a kill, or damaged",
                *(segment, size - offset),
            )
        if not self._left[segment]:
            self._remove(segment)


def _read_head(file: BinaryIO, segment: Path, offset: int) -> Batch | None:
    """The batch that begins there; ``None`` when there is none, or not all of its head."""
    file.seek(offset)
    words = file.read(_WORDS.size)
    if len(words) < _WORDS.size:
        return None
    magic, note_bytes, data_bytes, total = _WORDS.unpack(words)
    note = file.read(min(note_bytes, _LONGEST_NOTE))
    crc = int.from_bytes(file.read(_CRC_BYTES), "little")
    if magic != _MAGIC or len(note) != note_bytes or zlib.crc32(words + note) != crc:
        return None
    where = msgspec.msgpack.decode(note, type=_Note)
    begin = offset + _WORDS.size + note_bytes + _CRC_BYTES
    return Batch(where.ring_uuid, where.before, where.end, segment, begin, data_bytes, total)


def _write_all(descriptor: int, head: bytes, data: bytes) -> None:
    # One call for both: after each, a thread waits until it may run Python again.
    written = os.writev(descriptor, (head, data))
    if written < len(head) + len(data):
        rest = memoryview(head + data)[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
