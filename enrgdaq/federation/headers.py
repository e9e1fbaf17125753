"""What a link must know of a record, from its header alone: it imports no user's class."""

from typing import Any, Final, NamedTuple

import msgspec

from enrgdaq.daq.store.models import STORE_TYPES
from enrgdaq.daq.topics import Topic
from enrgdaq.errors import CodecError

_KEPT: Final = 1_024
_TAG_LENGTH_BYTES: Final = 2


class _Said(msgspec.Struct):
    topics: list[str] = []
    store_config: dict[str, Any] | None = None
    target_local_supervisor: bool = False


class Address(NamedTuple):
    """Where a record is to go."""

    topics: tuple[str, ...]
    stays_here: bool
    """Whether it is for this node only."""


_DECODER: Final = msgspec.msgpack.Decoder(_Said)


class Addresses:
    """Reads headers; those of one producer are alike, so each is read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Address] = {}

    def of(self, header: bytes) -> Address:
        """The address in a header. Raises :class:`CodecError` for what is none."""
        found = self._known.get(header)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[header] = _read(header)
        return found


def _read(header: bytes) -> Address:
    length = int.from_bytes(header[:_TAG_LENGTH_BYTES], "little")
    try:
        said = _DECODER.decode(header[_TAG_LENGTH_BYTES + length :])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"no header of a message: {error}") from error
    settings = said.store_config or {}
    stores = [Topic.store(STORE_TYPES[key]) for key in STORE_TYPES if settings.get(key) is not None]
    return Address(
        topics=(*said.topics, *stores),
        stays_here=said.target_local_supervisor or settings.get("target_local_supervisor") is True,
    )
