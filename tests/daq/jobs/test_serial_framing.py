"""Framing gives the same frames however the bytes were cut on the way."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from enrgdaq.daq.jobs.serial_framing import DelimitedFramer, FixedFramer, Frame, Framer

# Few different bytes, so that delimiters and their beginnings are frequent.
nasty_bytes = st.binary(max_size=200).map(lambda data: bytes(b"ab\r\n\0"[b % 5] for b in data))
delimiters = st.sampled_from([b"\n", b"\r\n", b"aba", b"aab"])


def feed_all(framer: Framer, chunks: list[bytes]) -> list[Frame]:
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    return frames + framer.reset(is_cut=False)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(data=nasty_bytes, places=st.lists(st.integers(0, 300)), delimiter=delimiters)
def test_delimited_frames_are_what_split_gives_wherever_the_bytes_are_cut(data, places, delimiter):
    *whole, left = data.split(delimiter)

    frames = feed_all(DelimitedFramer(delimiter, max_bytes=1000), cut(data, places))

    assert [frame.data for frame in frames if not frame.problem] == [f for f in whole if f]
    assert [frame.data for frame in frames if frame.problem] == ([left] if left else [])


@given(data=nasty_bytes, places=st.lists(st.integers(0, 300)), delimiter=delimiters)
def test_over_long_frames_are_reported_with_their_length_and_nothing_else_changes(
    data, places, delimiter
):
    limit = 7
    *whole, _ = data.split(delimiter)

    framer = DelimitedFramer(delimiter, max_bytes=limit)
    frames = [frame for chunk in cut(data, places) for frame in framer.feed(chunk)]

    assert [frame.data for frame in frames] == [f[:limit] for f in whole if f]
    for frame, expected in zip(frames, [f for f in whole if f], strict=True):
        too_long = f"frame of {len(expected)} bytes, {limit} allowed"
        assert frame.problem == (too_long if len(expected) > limit else "")


def test_a_line_that_never_ends_takes_no_memory():
    framer = DelimitedFramer(b"\r\n", max_bytes=10)
    for _ in range(1000):
        assert framer.feed(b"x" * 1000) == []
    assert len(framer._held) <= 11
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\ngood\r\n") == [
        Frame(b"x" * 10, "frame of 1000000 bytes, 10 allowed"),
        Frame(b"good"),
    ]


def test_a_first_frame_that_may_be_cut_is_reported_and_only_that():
    framer = DelimitedFramer(b"\n", max_bytes=100, strip=b"\r")
    framer.reset(is_cut=True)
    first, second = framer.feed(b"3.4,5\r\n123.4,5\r\n")
    assert first.data == b"3.4,5"
    assert "beginning" in first.problem
    assert second == Frame(b"123.4,5")


def test_an_empty_end_of_a_cut_frame_leaves_the_next_one_alone():
    framer = DelimitedFramer(b"\n", max_bytes=100, strip=b"\r")
    framer.reset(is_cut=True)
    assert framer.feed(b"\r\n1\r\n") == [Frame(b"1")]


@given(data=st.binary(max_size=200), places=st.lists(st.integers(0, 300)))
def test_fixed_frames_are_slices_wherever_the_bytes_are_cut(data, places):
    frames = feed_all(FixedFramer(7), cut(data, places))
    assert b"".join(frame.data for frame in frames) == data
    assert all(len(frame.data) == 7 for frame in frames if not frame.problem)


@given(
    frames=st.lists(st.binary(min_size=4, max_size=4).map(lambda b: b.replace(b"\xaa", b"\0"))),
    noise=st.lists(st.sampled_from([b"", b"\x01", b"\xaa", b"\xaa\x01", b"noise" * 10])),
    places=st.lists(st.integers(0, 300)),
)
def test_a_sync_word_finds_every_frame_behind_any_noise(frames, noise, places):
    sync = b"\xaa\x55"
    gaps = [*noise, *[b""] * len(frames)]
    data = b"".join(gap + sync + frame for gap, frame in zip(gaps, frames, strict=False))

    found = feed_all(FixedFramer(6, sync), cut(data, places))

    assert [frame.data for frame in found if not frame.problem] == [sync + f for f in frames]


def test_noise_before_a_sync_word_is_counted_and_bounded():
    framer = FixedFramer(4, b"\xaa\x55")
    frames = framer.feed(b"x" * 1000)
    assert frames == [Frame(b"xxxx", "1000 bytes before a sync word")]
    assert framer.feed(b"\xaa") == []
    assert framer.feed(b"\x55ok") == [Frame(b"\xaa\x55ok")]
