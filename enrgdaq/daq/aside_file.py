"""The file of a record that was put aside: a line that says what follows, header, payload."""

from pathlib import Path
from typing import Final, NamedTuple

from enrgdaq.errors import CodecError
from enrgdaq.transport.ring import Record

_MAGIC: Final = b"ENRGASIDE1\n"


class AsideRecord(NamedTuple):
    """What is left of a record."""

    kind: int
    """As :class:`enrgdaq.transport.ring.RecordKind`."""
    header: bytes
    payload: bytes


def write_aside(path: Path, record: Record) -> None:
    """Write a record, whole or not at all. Raises ``OSError``."""
    sizes = f"{len(record.header)} {len(record.payload)} {record.kind}\n".encode()
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(b"".join((_MAGIC, sizes, record.header, bytes(record.payload))))
    unfinished.replace(path)


def read_aside(path: Path) -> AsideRecord:
    """Read one. Raises ``OSError``, and :class:`CodecError` for what is none."""
    with path.open("rb") as file:
        magic, sizes = file.readline(), file.readline()
        try:
            header_length, payload_length, kind = map(int, sizes.split())
        except ValueError:
            header_length = payload_length = kind = -1
        if magic != _MAGIC or min(header_length, payload_length) < 0:
            raise CodecError(f"{path} holds no record that was put aside")
        record = AsideRecord(kind, file.read(header_length), file.read(payload_length))
    if len(record.payload) != payload_length:
        raise CodecError(f"{path} ends early: {len(record.payload)} of {payload_length} bytes")
    return record
