"""Raw files: blobs that can be told apart, once each, and never mixed with others."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrgdaq.daq.jobs.store.raw import DAQJobStoreRaw
from enrgdaq.daq.store.base import DAQJobStoreJobConfig
from enrgdaq.daq.store.frames import read_frames
from enrgdaq.daq.store.journal import Position, journal_path
from enrgdaq.daq.store.models import (
    DAQJobMessageStoreRaw,
    DAQJobStoreConfig,
    DAQJobStoreConfigRaw,
)
from enrgdaq.testing import RecordingHost
from tests.daq.store.tables import NOON


class Store:
    """The raw store without rings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "a.dat"
        self.open()

    def open(self) -> None:
        """Also what comes after SIGKILL."""
        config = DAQJobStoreJobConfig(daq_job_type="DAQJobStoreRaw", out_dir=str(self.folder))
        self.job = DAQJobStoreRaw(config, host=RecordingHost())

    def put(self, number: int, data: bytes, framing: str = "length") -> None:
        config = {"raw": {"file_path": "a.dat", "overwrite": False, "framing": framing}}
        self.job.position = Position("ring", number)
        self.job.store(
            DAQJobMessageStoreRaw(
                store_config=msgspec.convert(config, DAQJobStoreConfig),
                data=memoryview(data),
                timestamp=NOON,
            )
        )

    def write(self, number: int, data: bytes, framing: str = "length") -> None:
        self.put(number, data, framing)
        self.job.flush()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.job.free()


@settings(deadline=None, max_examples=30)
@given(
    blobs=st.lists(st.binary(max_size=40), min_size=1, max_size=12),
    flushed=st.integers(0, 12),
    torn=st.binary(max_size=30),
)
def test_frames_are_there_once_after_a_crash_and_a_replay(
    tmp_path_factory: pytest.TempPathFactory, blobs: list[bytes], flushed: int, torn: bytes
) -> None:
    store = Store(tmp_path_factory.mktemp("raw"))
    for number, blob in enumerate(blobs[:flushed], 1):
        store.put(number, blob)
    store.job.flush()
    with store.path.open("ab") as half_written:
        half_written.write(torn)
    if not flushed:
        store.path.unlink()
    store.open()
    for number, blob in enumerate(blobs, 1):
        store.put(number, blob)
    store.job.flush()
    assert list(read_frames(store.path)) == blobs
    store.job.free()


def test_more_pieces_than_one_call_takes(store: Store) -> None:
    blobs = [b"%d" % n for n in range(5_000)]
    for number, blob in enumerate(blobs, 1):
        store.put(number, blob)
    store.job.flush()
    assert list(read_frames(store.path)) == blobs


def test_frames_are_read_without_this_program_too(store: Store) -> None:
    store.write(1, b"first")
    store.write(2, b"")
    store.write(3, b"third")
    with store.path.open("rb") as file:
        blobs = [file.read(int.from_bytes(n, "little")) for n in iter(lambda: file.read(8), b"")]
    assert blobs == [b"first", b"", b"third"]


def test_a_frame_that_is_being_written_is_not_read_yet(store: Store) -> None:
    store.write(1, b"first")
    store.write(2, b"second")
    whole = store.path.read_bytes()
    for size in range(13, len(whole)):
        store.path.write_bytes(whole[:size])
        assert list(read_frames(store.path)) == [b"first"]


@pytest.mark.parametrize(("first", "then"), [("none", "length"), ("length", "none")])
def test_framings_are_never_mixed(
    store: Store, first: str, then: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(1, b"one", first)
    before = store.path.read_bytes()
    store.open()
    store.write(2, b"two", then)
    store.write(3, b"three", first)
    assert store.path.read_bytes().startswith(before)
    assert b"two" in (store.folder / "a.part2.dat").read_bytes()
    assert b"three" in store.path.read_bytes()
    assert "a.dat has another framing" in caplog.text
    assert len(caplog.records) == 1


def test_files_from_before_there_were_frames_have_none(store: Store) -> None:
    store.write(1, b"old", "none")
    where = journal_path(store.path)
    old = json.loads(where.read_text())
    del old["framing"]
    where.write_text(json.dumps(old))
    store.open()
    store.write(2, b"new")
    store.write(3, b"er", "none")
    assert store.path.read_bytes() == b"older"
    assert list(read_frames(store.folder / "a.part2.dat")) == [b"new"]


def test_a_users_file_takes_no_frames(store: Store) -> None:
    store.path.write_bytes(b"precious")
    store.write(1, b"blob")
    assert store.path.read_bytes() == b"precious"
    assert list(read_frames(store.folder / "a.part2.dat")) == [b"blob"]


def test_frames_are_for_files_that_grow() -> None:
    with pytest.raises(ValueError, match="set overwrite = false"):
        DAQJobStoreConfigRaw(file_path="a.dat", framing="length")
