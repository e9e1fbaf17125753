"""Arrow columns as JSON text, whole columns at a time: a hundred times faster than by value."""

import base64
import json
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_NON_FINITE: Final = (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity"))


def json_texts(values: pa.Array, *, keeps_non_finite: bool) -> pa.Array:
    """Each value as JSON, ``null`` for those that are missing.

    Numbers read back to the same bits. With ``keeps_non_finite`` there are ``NaN``,
    ``Infinity`` and ``-Infinity``, as Python writes and reads them; else ``null``, since JSON
    proper has none. Bytes are base64; decimals and times are texts; structs are objects; maps
    are lists of pairs.
    """
    return pc.fill_null(_texts(values, keeps_non_finite), "null")


def base64_texts(values: pa.Array) -> pa.Array:
    """Bytes as base64."""
    texts = [None if v is None else base64.b64encode(v).decode() for v in values.to_pylist()]
    return pa.array(texts, pa.string())


def in_utc(kind: pa.DataType) -> pa.DataType:
    """The type for the same moments in UTC; other types as they are."""
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    return kind


def _texts(values: pa.Array, keeps: bool) -> pa.Array:
    kind, types = values.type, pa.types
    if types.is_dictionary(kind):
        return _texts(values.cast(kind.value_type), keeps)
    if types.is_floating(kind):
        return _float_texts(values, keeps)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_null(kind):
        return values.cast(pa.string())
    if types.is_duration(kind):
        return values.cast(pa.int64()).cast(pa.string())
    if types.is_map(kind):
        pairs = pa.StructArray.from_arrays([values.keys, values.items], ["key", "value"])
        return _joined(values, _pair_texts(_within(values, pairs), keeps))
    if types.is_struct(kind):
        return _object_texts(values, keeps)
    if types.is_fixed_size_list(kind):
        values = values.cast(pa.list_(kind.value_type))
    if types.is_nested(kind):
        return _joined(values, json_texts(_within(values, values.values), keeps_non_finite=keeps))
    if is_bytes(kind):
        return _quoted(base64_texts(values))
    if is_text(kind):
        quoted = [
            None if v is None else json.dumps(v, ensure_ascii=False) for v in values.to_pylist()
        ]
        return pa.array(quoted, pa.string())
    return _quoted(values.cast(in_utc(kind)).cast(pa.string()))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes."""
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _float_texts(values: pa.Array, keeps: bool) -> pa.Array:
    texts = values.cast(pa.string())
    # JSON's readers take -0 for an integer, which has no sign.
    texts = pc.if_else(pc.equal(texts, "-0"), "-0.0", texts)
    if not keeps:
        return pc.if_else(pc.is_finite(values.cast(pa.float64())), texts, None)
    for text, word in _NON_FINITE:
        texts = pc.if_else(pc.equal(texts, text), word, texts)
    return texts


def _object_texts(values: pa.Array, keeps: bool) -> pa.Array:
    parts: list[pa.Array | str] = ["{"]
    for field, inner in zip(values.type, values.flatten(), strict=True):
        comma = ", " if len(parts) > 1 else ""
        parts += [
            f"{comma}{json.dumps(field.name, ensure_ascii=False)}: ",
            json_texts(inner, keeps_non_finite=keeps),
        ]
    return _masked(values, pc.binary_join_element_wise(*parts, "}", ""))


def _pair_texts(pairs: pa.Array, keeps: bool) -> pa.Array:
    key, value = (json_texts(inner, keeps_non_finite=keeps) for inner in pairs.flatten())
    return pc.binary_join_element_wise("[", key, ",", value, "]", "")


def _within(lists: pa.Array, items: pa.Array) -> pa.Array:
    """The items of these lists alone: those of a slice are a part of all."""
    begin, end = lists.offsets[0].as_py(), lists.offsets[-1].as_py()
    return items.slice(begin, end - begin)


def _joined(lists: pa.Array, texts: pa.Array) -> pa.Array:
    is_large = pa.types.is_large_list(lists.type)
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    made = (pa.LargeListArray if is_large else pa.ListArray).from_arrays(offsets, texts)
    return _masked(lists, pc.binary_join_element_wise("[", pc.binary_join(made, ","), "]", ""))


def _masked(values: pa.Array, texts: pa.Array) -> pa.Array:
    return pc.if_else(values.is_valid(), texts, None)


def _quoted(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', texts, '"', "")
