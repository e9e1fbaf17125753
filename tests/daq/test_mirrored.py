"""Records of other nodes in a mirror ring, read as if they were at home."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.mirrored import Home, encode_home, home_of, mirror_header, unmirror
from enrgdaq.errors import CodecError
from enrgdaq.models import SupervisorInfo
from enrgdaq.transport.ring import Record, RecordKind


def record(header: bytes, *, start: int = 64, end: int = 192, sequence: int = 7) -> Record:
    return Record(
        start=start,
        end=end,
        sequence=sequence,
        kind=RecordKind.RAW,
        timestamp_ns=123,
        header=header,
        payload=memoryview(b"payload"),
        messages=3,
    )


HOME = Home(
    ring_uuid="0123456789abcdef" * 2,
    producer="digitizer",
    producer_type="DAQJobDigitizer",
    supervisor=SupervisorInfo(supervisor_id="hall-a", supervisor_tags=["cold"]),
)


def test_a_record_comes_out_of_a_mirror_as_it_was_at_home() -> None:
    at_home = record(b"header", start=1 << 40, end=(1 << 40) + 192, sequence=1 << 33)
    place = at_home.start, at_home.end, at_home.sequence
    said, found = unmirror(record(mirror_header(encode_home(HOME), *place, at_home.header)))
    assert found == at_home
    assert home_of(said) == HOME


@given(st.binary(max_size=200))
def test_what_is_no_mirror_header_is_refused(header: bytes) -> None:
    try:
        said, _ = unmirror(record(header))
        home_of(said)
    except CodecError as error:
        assert "mirror" in str(error)
    else:
        pytest.fail("bytes out of the air were taken for an home")
