"""Waveforms as packed bytes, for raw files.

A file is any number of blocks one after the other. All numbers are little-endian; there is
no padding.

Header of a block, 32 bytes:

====== ======= ===============================================================
offset type    meaning
====== ======= ===============================================================
0      4 bytes ``EWF1``: mark and version of this layout
4      u32     length of this header, bytes; skip what is unknown behind byte 32
8      u32     number of waveforms in the block
12     u32     samples of each waveform
16     f64     sampling rate, MS/s
24     u16     bits of the ADC
26     6 bytes zero
====== ======= ===============================================================

Then for each waveform ``event_time_ns`` (i64, unix time of the first sample), ``channel``
(u16), and the samples (u16 each, ADC counts).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrgdaq.errors import CodecError

MAGIC = b"EWF1"
_HEADER = struct.Struct("<4sIIIdH6x")


@dataclass(frozen=True, kw_only=True)
class WaveformBlock:
    """Waveforms of one length, with what is needed to understand them."""

    sampling_rate_msps: float
    """MS/s."""
    adc_bits: int
    event_time_ns: NDArray[np.int64]
    """Unix time of the first sample, ns; shape (n,)."""
    channel: NDArray[np.uint16]
    """Shape (n,)."""
    waveform: NDArray[np.uint16]
    """ADC counts, shape (n, samples)."""


def pack_waveforms(block: WaveformBlock) -> bytes:
    """The bytes of one block."""
    n, samples = block.waveform.shape
    records = np.zeros(n, _record_type(samples))
    records["event_time_ns"] = block.event_time_ns
    records["channel"] = block.channel
    records["waveform"] = block.waveform
    header = _HEADER.pack(MAGIC, _HEADER.size, n, samples, block.sampling_rate_msps, block.adc_bits)
    return header + records.tobytes()


def unpack_waveforms(data: bytes | memoryview) -> Iterator[WaveformBlock]:
    """The blocks of a file. Raises :class:`CodecError` at bytes that are no whole block.

    The arrays are views of ``data`` and cannot be written to.
    """
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise CodecError(f"byte {at}: {len(data) - at} bytes are left, too few for a header")
        magic, header_bytes, n, samples, rate, bits = _HEADER.unpack_from(data, at)
        if magic != MAGIC or header_bytes < _HEADER.size:
            raise CodecError(f"byte {at}: {magic!r} is not the beginning of a block of waveforms")
        record_type = _record_type(samples)
        end = at + header_bytes + n * record_type.itemsize
        if end > len(data):
            raise CodecError(f"byte {at}: the block should end at {end}, the data at {len(data)}")
        records = np.frombuffer(data, record_type, n, at + header_bytes)
        yield WaveformBlock(
            sampling_rate_msps=rate,
            adc_bits=bits,
            event_time_ns=records["event_time_ns"],
            channel=records["channel"],
            waveform=records["waveform"],
        )
        at = end


def _record_type(samples: int) -> "np.dtype[Any]":
    return np.dtype([("event_time_ns", "<i8"), ("channel", "<u2"), ("waveform", "<u2", (samples,))])
