"""What comes in is data: a message, or one kind of error."""

import contextlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.errors import CodecError
from enrgdaq.transport import codec


class Message(msgspec.Struct):
    number: int = 0
    values: list[Any] = []


class Odd(Message):
    thing: complex = 0j


def test_round_trip_with_numpy_values() -> None:
    message = Message(number=np.int64(7), values=[np.float32(0.5), np.arange(3), b"x"])  # type: ignore[arg-type]
    assert codec.decode(codec.encode(message), Message) == Message(7, [0.5, [0, 1, 2], b"x"])


@pytest.mark.parametrize("value", [object(), 2**70, {1: object()}])
def test_values_that_cannot_be_sent(value: object) -> None:
    with pytest.raises(CodecError, match="cannot be sent"):
        codec.encode(Message(values=[value]))
    with pytest.raises(CodecError, match="cannot be sent"):
        codec.encode_plain(value)


def test_field_type_that_nobody_can_read() -> None:
    tag = codec.tag_of(Odd).encode()
    sent = len(tag).to_bytes(2, "little") + tag + msgspec.msgpack.encode({"thing": 1})
    with pytest.raises(CodecError, match="not supported"):
        codec.decode(sent, Message)


def test_unknown_type_names_the_mend() -> None:
    class Elsewhere(msgspec.Struct):
        pass

    with pytest.raises(CodecError, match="import its class"):
        codec.decode(codec.encode(Elsewhere()), Message)


def test_lists_in_lists_without_end_are_that_error_too() -> None:
    tag = codec.tag_of(Message).encode()
    body = b"\x81\xa6values" + b"\x91" * 100_000 + b"\x01"
    with pytest.raises(CodecError, match="recursion"):
        codec.decode(len(tag).to_bytes(2, "little") + tag + body, Message)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(CodecError):
        codec.decode(data, Message)


@given(st.integers(0, 60), st.binary(min_size=1, max_size=4))
def test_damaged_messages_are_messages_or_that_error(position: int, damage: bytes) -> None:
    sent = bytearray(codec.encode(Message(3, [1, "two", None])))
    sent[position : position + len(damage)] = damage
    with contextlib.suppress(CodecError):
        assert isinstance(codec.decode(bytes(sent), Message), Message)
