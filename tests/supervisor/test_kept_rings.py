"""Rings that somebody is owed are kept, whenever the supervisor is killed meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enrgdaq.supervisor.facts import JobFacts
from enrgdaq.supervisor.places import Places
from enrgdaq.supervisor.rings import NodeRings
from enrgdaq.transport import faults
from enrgdaq.transport.ring import RecordKind, RingFile, RingReader, RingWriter, layout


def facts(name: str, *, takes: bool) -> JobFacts:
    return JobFacts(
        unique_id=name,
        type_name=name,
        kind="store" if takes else "source",
        topics_in=["all"] if takes else [],
        takes_messages=takes,
        may_skip=False,
        stores_wanted=[],
        files=[],
        out_dir=None,
        ring_size_mb=None,
        use_shm=True,
        restart_offset_seconds=0.0,
        stale_after_seconds=None,
    )


JOBS = [facts("producer", takes=False), facts("store", takes=True)]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(
        supervisor_id="t",
        runtime=tmp_path / "run",
        memory=tmp_path / "memory",
        ring_files=tmp_path / "rings",
        out=tmp_path / "out",
    )
    for folder in (made.runtime, made.memory, made.ring_files, made.state):
        folder.mkdir(parents=True)
    return made


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "faults"
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setenv(faults.FOLDER_VARIABLE, str(folder))
        faults.enter("supervisor")
    yield folder
    faults.enter("supervisor")


def start(places: Places) -> NodeRings:
    places.memory.mkdir(exist_ok=True)
    rings = NodeRings(places, Path("configs"), 1)
    rings.prepare(JOBS)
    return rings


def owe_a_record(rings: NodeRings) -> str:
    """Leave one record for the store; returns the name of the ring's file."""
    ring = rings.ring_of("producer")
    row = ring.row_of("store")
    assert row is not None
    writer = RingWriter(ring)
    space = writer.reserve(1, 3)
    assert space is not None
    space[:] = b"row"
    writer.stage(mask=1 << row, kind=RecordKind.RAW, header=b"h", timestamp_ns=0)
    writer.commit()
    return ring.path.name


def owed(rings: NodeRings) -> int:
    return rings.backlog().waiting["store"]


def old_ring_of_the_store(rings: NodeRings) -> RingReader:
    path = next(source.path for source in rings.sources_of("store") if source.is_old)
    reader = RingReader.open(RingFile.open(Path(path)), "store")
    assert reader is not None
    return reader


def test_ring_outlives_a_stop_and_is_gone_when_drained(places: Places) -> None:
    name = owe_a_record(first := start(places))
    assert first.close() == [
        f"{places.state / name} holds data for store; the next start goes on with it"
    ]
    again = start(places)
    assert owed(again)
    reader = old_ring_of_the_store(again)
    assert [bytes(record.payload) for record in reader.read()] == [b"row"]
    reader.commit()
    again.remove_drained()
    assert not list(places.state.iterdir())
    assert again.close() == []
    assert not list(places.state.iterdir()) and not places.memory.exists()


def test_ring_that_owes_a_record_which_was_never_shown_is_drained(places: Places) -> None:
    # The producer was killed between noting who is owed and showing the record, and then its
    # supervisor: nobody is left to take it back.
    killed = start(places)
    ring = killed.ring_of("producer")
    row = ring.row_of("store")
    assert row is not None
    ring.words[layout.row_base(row) + layout.DUE] = ring.head + 4096
    assert owed(killed)
    again = start(places)
    assert not owed(again)
    assert not ring.path.exists()
    assert again.close() == []


def test_ring_is_left_alone_while_its_old_producer_is_dying(places: Places) -> None:
    owe_a_record(start(places))
    script = (
        "import sys, pathlib; from enrgdaq.transport.lock import NameLock;"
        "NameLock(pathlib.Path(sys.argv[1])).acquire(); print(flush=True); sys.stdin.read()"
    )
    lock = str(places.runtime / "producer.lock")
    with subprocess.Popen(
        [sys.executable, "-c", script, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as dying:
        assert dying.stdin is not None and dying.stdout is not None
        dying.stdout.readline()
        with ThreadPoolExecutor() as pool:
            starting = pool.submit(start, places)
            with pytest.raises(TimeoutError):
                starting.result(0.2)
            dying.stdin.close()
            again = starting.result(20.0)
    assert owed(again)


def test_copy_that_was_cut_short_at_the_stop_is_made_again(places: Places) -> None:
    name = owe_a_record(rings := start(places))
    (places.state / f"{name}.new").write_bytes(b"half of a ring")
    (kept,) = rings.close()
    assert "the next start goes on with it" in kept
    assert [path.name for path in places.state.iterdir()] == [name]


def test_copy_that_was_cut_short_at_the_start_is_made_again(places: Places) -> None:
    name = owe_a_record(rings := start(places))
    rings.close()
    places.memory.mkdir()
    (places.memory / f"{name}.new").write_bytes(b"half of a ring")
    (places.state / "other.ring.new").write_bytes(b"half of another ring")
    again = start(places)
    assert owed(again)
    assert [path.name for path in places.state.iterdir()] == [name]
    again.close()


def test_copy_on_disk_goes_before_the_drained_ring(places: Places, trial: Path) -> None:
    owe_a_record(rings := start(places))
    rings.close()
    again = start(places)
    reader = old_ring_of_the_store(again)
    list(reader.read())
    reader.commit()
    faults.arm(trial, "supervisor.drained", "supervisor", faults.Fault(action="no_space"))
    with pytest.raises(OSError, match="No space"):
        again.remove_drained()
    # Whoever is killed here leaves the ring that knows that it is drained, not the copy.
    assert not list(places.state.iterdir())
    assert reader.ring.path.exists()
