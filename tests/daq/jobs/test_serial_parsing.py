"""Values come out typed, or the frame is refused with a reason; nothing in between."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.jobs.serial_parsing import (
    BadFrameError,
    CSVParser,
    JSONParser,
    NMEAParser,
    RegexParser,
    SerialColumn,
    convert_text,
)

FLOAT = SerialColumn(name="temperature", unit="degC")
INT = SerialColumn(name="count", type="int")

# The example sentence of many manuals, with its checksum.
GGA = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47"


def test_the_unit_becomes_part_of_the_stored_name():
    assert FLOAT.stored_name == "temperature_degC"
    assert INT.stored_name == "count"


@given(value=st.floats(allow_nan=False), count=st.integers(-(2**63), 2**63 - 1))
def test_csv_gives_the_numbers_that_were_sent(value, count):
    parser = CSVParser([FLOAT, INT], ",", "ascii")
    assert parser.parse(f" {value!r}, {count}".encode()) == [value, count]


@given(frame=st.binary())
def test_no_frame_makes_a_parser_raise_anything_but_a_reason(frame):
    for parser in (
        CSVParser([FLOAT, INT], ",", "utf-8"),
        RegexParser([INT], r"n=(?P<count>.*)", "utf-8"),
        JSONParser([FLOAT], "utf-8"),
        NMEAParser([FLOAT], [], needs_checksum=True),
    ):
        try:
            parser.parse(frame)
        except BadFrameError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"1.5", "1 fields, expected 2"),
        (b"1.5,2,3", "3 fields, expected 2"),
        (b"1.5,", "count is empty"),
        (b"1.5,2.5", "count = '2.5' is no int"),
        (b"1.5,1_0", "count = '1_0' is no int"),
        (b"1.5,9223372036854775808", "is no int"),
        (b"x,1", "temperature = 'x' is no float"),
        (b"1\xb0,1", "no ascii text at byte 1"),
    ],
)
def test_csv_says_what_is_wrong(frame, reason):
    with pytest.raises(BadFrameError, match=reason.replace("(", r"\(")):
        CSVParser([FLOAT, INT], ",", "ascii").parse(frame)


def test_csv_positions_pick_fields_out_of_longer_frames():
    columns = [
        SerialColumn(name="b", type="hex", source=2),
        SerialColumn(name="a", type="str", source=0),
    ]
    assert CSVParser(columns, ";", "ascii").parse(b"x;skip;0x1f;more") == [31, "x"]
    with pytest.raises(BadFrameError, match="at least 3"):
        CSVParser(columns, ";", "ascii").parse(b"x;skip")


def test_a_blank_separates_by_runs_of_blanks():
    assert CSVParser([FLOAT, INT], " ", "ascii").parse(b"  1.5 \t 2 ") == [1.5, 2]


def test_positions_are_given_for_all_columns_or_for_none():
    with pytest.raises(ValueError, match="every column a position"):
        CSVParser([SerialColumn(name="a", source=1), SerialColumn(name="b")], ",", "ascii")


def test_an_empty_value_may_be_allowed():
    column = SerialColumn(name="a", allow_empty=True)
    assert convert_text("  ", column) is None
    assert math.isnan(float(str(convert_text("nan", column))))


@pytest.mark.parametrize(("text", "value"), [("ON", True), ("0", False), ("yes", True)])
def test_booleans_have_many_names(text, value):
    assert convert_text(text, SerialColumn(name="a", type="bool")) is value


def test_regex_takes_named_groups_of_the_whole_frame():
    parser = RegexParser([FLOAT, INT], r"T=(?P<temperature>\S+) N=(?P<count>\d+)", "ascii")
    assert parser.parse(b"T=-3.5 N=7") == [-3.5, 7]
    with pytest.raises(BadFrameError, match="does not match"):
        parser.parse(b"T=-3.5 N=7 and more")


def test_regex_mistakes_are_found_before_the_first_byte():
    with pytest.raises(ValueError, match="has no group 'count'"):
        RegexParser([INT], r"(?P<n>\d+)", "ascii")
    with pytest.raises(ValueError, match="no regular expression"):
        RegexParser([INT], r"(?P<count>", "ascii")


def test_json_reaches_into_objects():
    columns = [
        SerialColumn(name="t", source="env.temp"),
        SerialColumn(name="n", type="int"),
        SerialColumn(name="ok", type="bool"),
        SerialColumn(name="gone", allow_empty=True),
    ]
    frame = b'{"env": {"temp": 3}, "n": "12", "ok": true}'
    assert JSONParser(columns, "utf-8").parse(frame) == [3.0, 12, True, None]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"[1]", "JSON list"),
        (b"{", "no JSON"),
        (b"{}", "count is missing"),
        (b'{"count": 1.5}', "count = 1.5 is no int"),
        (b'{"count": true}', "count = True is no int"),
        (b'{"count": 1e99}', "is no int"),
    ],
)
def test_json_says_what_is_wrong(frame, reason):
    with pytest.raises(BadFrameError, match=reason):
        JSONParser([INT], "utf-8").parse(frame)


def test_nmea_fields_are_counted_from_the_name():
    columns = [SerialColumn(name="altitude", unit="m", source=9)]
    assert NMEAParser(columns, ["GGA"], needs_checksum=True).parse(GGA) == [545.4]
    assert NMEAParser(columns, ["GPGGA"], needs_checksum=True).parse(GGA) == [545.4]
    assert NMEAParser(columns, ["RMC"], needs_checksum=True).parse(GGA) is None


@given(place=st.integers(1, len(GGA) - 4), bit=st.integers(0, 6))
def test_nmea_checksum_finds_every_single_flipped_bit(place, bit):
    damaged = bytearray(GGA)
    damaged[place] ^= 1 << bit
    with pytest.raises(BadFrameError):
        NMEAParser([SerialColumn(name="altitude", source=9)], [], needs_checksum=True).parse(
            bytes(damaged)
        )


def test_nmea_without_checksum():
    column = SerialColumn(name="time", type="str")
    bare = GGA.partition(b"*")[0]
    with pytest.raises(BadFrameError, match="checksum is missing"):
        NMEAParser([column], [], needs_checksum=True).parse(bare)
    assert NMEAParser([column], [], needs_checksum=False).parse(bare) == ["123519"]
