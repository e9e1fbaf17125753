"""Messages to bytes and back: msgpack with a type tag, never code.

What comes in on a socket or lies in a ring is data. A tag is looked up among the classes
that this process has imported; an unknown one is a :class:`CodecError`, not a crash.
"""

import datetime as dt
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from enrgdaq.errors import CodecError

T = TypeVar("T", bound=msgspec.Struct)

# msgspec passes on what its hooks raise for types that they do not know.
_UNSENDABLE = (TypeError, OverflowError, NotImplementedError)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, NotImplementedError, RecursionError)


def tag_of(message_type: type) -> str:
    """The wire name of a message class."""
    return f"{message_type.__module__}:{message_type.__qualname__}"


def encode(message: msgspec.Struct) -> bytes:
    """``tag length, tag, msgpack body``. Raises :class:`CodecError` for unknown value types."""
    tag = _encoded_tag(type(message))
    try:
        return tag + _ENCODER.encode(message)
    except _UNSENDABLE as error:
        raise CodecError(f"{type(message).__name__} cannot be sent: {error}") from error


def encode_plain(value: Any) -> bytes:
    """msgpack of plain values; numpy numbers and arrays become Python's."""
    try:
        return _ENCODER.encode(value)
    except _UNSENDABLE as error:
        raise CodecError(f"value cannot be sent: {error}") from error


def decode(data: bytes | memoryview, base: type[T]) -> T:
    """The message in ``data``, an instance of a subclass of ``base``.

    Raises :class:`CodecError` for unknown tags, wrong types and bytes that are no message.
    """
    tag, body = _tag_and_body(data)
    message_type = find_type(base, tag)
    if message_type is None:
        raise CodecError(f"unknown message type {tag!r}: import its class in the job that reads it")
    try:
        decoded: T = _decoder(message_type).decode(body)
    except _UNREADABLE as error:
        raise CodecError(f"{tag}: {error}") from error
    return decoded


def decode_unknown(data: bytes | memoryview) -> tuple[str, Any]:
    """Tag and fields of a message whose class need not be known. Raises as :func:`decode`."""
    tag, body = _tag_and_body(data)
    return tag, decode_plain(body)


def decode_plain(data: bytes | memoryview) -> Any:
    """What :func:`encode_plain` has made. Raises :class:`CodecError`."""
    try:
        return msgspec.msgpack.decode(data)
    except _UNREADABLE as error:
        raise CodecError(f"cannot be read: {error}") from error


def _tag_and_body(data: bytes | memoryview) -> tuple[str, memoryview]:
    view = memoryview(data)
    if len(view) < 2:
        raise CodecError(f"{len(view)} bytes are no message")
    length = int.from_bytes(view[:2], "little")
    try:
        return str(view[2 : 2 + length], "utf-8"), view[2 + length :]
    except UnicodeDecodeError as error:
        raise CodecError("message tag is not UTF-8") from error


def find_type(base: type[T], tag: str) -> type[T] | None:
    """The imported subclass of ``base`` (or ``base`` itself) with this tag."""
    pending = [base]
    while pending:
        candidate = pending.pop()
        if tag_of(candidate) == tag:
            return candidate
        pending.extend(candidate.__subclasses__())
    return None


@lru_cache(maxsize=1024)
def _encoded_tag(message_type: type) -> bytes:
    tag = tag_of(message_type).encode()
    return len(tag).to_bytes(2, "little") + tag


@lru_cache(maxsize=1024)
def _decoder(message_type: type[T]) -> msgspec.msgpack.Decoder[T]:
    return msgspec.msgpack.Decoder(message_type, dec_hook=_from_plain)


def _to_plain(value: Any) -> Any:
    # Here, where numpy is loaded already as a rule: processes that only pass messages on, such as
    # the supervisor, are up sooner without it.
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (memoryview, bytearray)):
        return bytes(value)
    raise NotImplementedError(f"values of type {type(value).__name__} are not supported")


def _from_plain(expected: type, value: Any) -> Any:
    import numpy as np

    if expected is np.ndarray:
        return np.asarray(value)
    if expected is dt.timedelta:
        return dt.timedelta(seconds=value)
    raise NotImplementedError(f"fields of type {expected.__name__} are not supported")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_to_plain)
