"""The system under trial: its jobs, its folders, and what is left of it at the end."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from enrgdaq.daq.numbered_rows import FINISH, read_notes
from enrgdaq.errors import ConfigurationError
from enrgdaq.supervisor.places import runtime_folder
from enrgdaq.transport import faults
from enrgdaq.trials.chaos.audit import Counted, count, count_latest
from enrgdaq.trials.chaos.backends import BACKENDS, Backend, Producer
from enrgdaq.trials.chaos.plan import SUPERVISOR, Cast
from enrgdaq.trials.chaos.processes import marked_with
from enrgdaq.trials.chaos.room import PlayedRoom, Room, TmpfsRoom, enter_private_mounts
from enrgdaq.trials.scratch import ScratchNode

PRODUCERS: Final = (
    Producer("tables", 1, "arrow"),
    Producer("rows", 2, "rows"),
    Producer("bytes", 3, "raw"),
    Producer("latest", 4, "arrow", keeps_all=False),
)
WRITER_POINTS: Final = (
    "ring.due",
    "ring.head",
    "ring.sequence",
    "ring.pad",
    "ring.tail",
    "ring.repair",
)
SUPERVISOR_POINTS: Final = (
    "ring.reserve",
    "supervisor.ring",
    "supervisor.launch",
    "supervisor.copy",
    "supervisor.kept",
    "supervisor.drained",
)
_SHM: Final = Path("/dev/shm")  # noqa: S108 - mounted over, in a namespace of our own
_GRACE_SECONDS: Final = 60.0  # the ROOT store completes its files at the end


class System:
    """A scratch node with numbered producers and the chosen stores."""

    def __init__(self, node: ScratchNode, stores: Sequence[str], *, may_mount: bool) -> None:
        """``may_mount``: make disk and memory really full, where the host allows it."""
        self.node = node
        self.faults = node.folder / "faults"
        self.notes = node.folder / "notes"
        for folder in (self.faults, self.notes):
            folder.mkdir(mode=0o700)
        self.disk, self.memory = self._make_rooms(may_mount)
        made = [kind(node.out / kind.name) for kind in BACKENDS if kind.name in stores]
        self.backends = {backend.name: backend for backend in made}
        self.producers = [p for p in PRODUCERS if any(b.takes(p) for b in made)]
        if isinstance(self.disk, PlayedRoom):
            self.disk.processes = [b.name for b in made if b.waits_for_disk]
        self._configure()

    @property
    def cast(self) -> Cast:
        """Who can be disturbed, and who passes which fault point."""
        producers = tuple(p.name for p in self.producers)
        passers: dict[str, tuple[str, ...]] = dict.fromkeys(WRITER_POINTS, producers)
        for backend in self.backends.values():
            for point in backend.points:
                passers[point] = (*passers.get(point, ()), backend.name)
        passers.update(dict.fromkeys(SUPERVISOR_POINTS, (SUPERVISOR,)))
        return Cast(producers=producers, stores=tuple(self.backends), passers=passers)

    def ask_to_finish(self) -> None:
        """Let the producers end for good."""
        (self.notes / FINISH).touch()

    def is_complete(self) -> bool:
        """Whether all outputs can be read."""
        return all(backend.is_complete() for backend in self.backends.values())

    def count(self) -> list[Counted]:
        """Read all outputs back."""
        counted = []
        for backend in self.backends.values():
            for producer in self.producers:
                if backend.takes(producer):
                    found = backend.read(producer)
                    lives = read_notes(self.notes, producer.name)
                    how = count if producer.keeps_all else count_latest
                    counted.append(
                        how(backend.name, producer.name, found.rows, found.scraps, lives)
                    )
        return counted

    def orphans(self) -> list[str]:
        """Processes of this trial that still run; to be asked when none should."""
        return [f"process {process.pid}" for process in self._processes()]

    def leftovers(self) -> list[str]:
        """Rings, sockets, locks and half-made files that should be gone after a stop."""
        found = list(_SHM.glob(f"enrgdaq-*-{self.node.id}"))
        runtime = runtime_folder(self.node.id)
        found += [runtime, *runtime.rglob("*")] if runtime.exists() else []
        for pattern in ("*.ring", ".*.lock", "*.lock", "*.new", "set-aside"):
            found += self.node.out.rglob(pattern)
        return sorted({str(path) for path in found})

    def close(self) -> None:
        """Undo mounts, clean up servers; keeps the output when the node's folder is kept."""
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for backend in self.backends.values():
            backend.clean_up()
        if isinstance(self.disk, TmpfsRoom):
            self.disk.relieve()
            if self.node.is_kept:
                kept = self.node.folder / "out.kept"
                self.disk.move_out(kept)
                self.disk.close()
                self.node.out.rmdir()
                kept.rename(self.node.out)
        self.disk.close()
        self.memory.close()
        # What a system that did not end in order has left; reported by then.
        shutil.rmtree(runtime_folder(self.node.id), ignore_errors=True)
        for folder in _SHM.glob(f"enrgdaq-*-{self.node.id}"):
            shutil.rmtree(folder, ignore_errors=True)

    def _processes(self) -> list[psutil.Process]:
        return marked_with(faults.FOLDER_VARIABLE, str(self.faults))

    def _make_rooms(self, may_mount: bool) -> tuple[Room, Room]:
        if may_mount and enter_private_mounts():
            return TmpfsRoom(self.node.out), TmpfsRoom(_SHM)
        disk = PlayedRoom(self.faults, "store.rows", ())
        return disk, PlayedRoom(self.faults, "ring.reserve", (SUPERVISOR,))

    def _configure(self) -> None:
        node = self.node
        node.environment = {faults.FOLDER_VARIABLE: str(self.faults)}
        node.configure(
            {
                "stop_grace_seconds": _GRACE_SECONDS,
                "hung_after_seconds": 3.0,
                "restart": {
                    "first_delay_seconds": 0.05,
                    "longest_delay_seconds": 0.2,
                    "max_restarts": 0,
                },
            }
        )
        for backend in self.backends.values():
            settings = {
                "daq_job_type": backend.job_type,
                "out_dir": str(backend.out),
                "flush_interval_seconds": 0.05,
            }
            node.add(backend.name, {**settings, **backend.job_settings()})
        for producer in self.producers:
            takers = [b for b in self.backends.values() if b.takes(producer)]
            node.add(producer.name, self._producer_settings(producer, takers))

    def _producer_settings(self, producer: Producer, takers: list[Backend]) -> dict[str, Any]:
        return {
            "daq_job_type": "DAQJobNumbered",
            "lane": producer.lane,
            "producer": producer.number,
            "notes": str(self.notes),
            "sends_large": producer.keeps_all and producer.lane != "raw",
            "ring_size_mb": 1,
            "store_config": {b.name: b.store_config(producer) for b in takers},
        }


def usable_stores(asked: Sequence[str] | None) -> list[str]:
    """The stores that were asked for, or all that this host has what they need for.

    Raises :class:`ConfigurationError` for one that does not exist or cannot run here.
    """
    missing = {kind.name: kind.missing() for kind in BACKENDS}
    if asked is None:
        return [name for name, lack in missing.items() if not lack]
    for name in asked:
        if name not in missing:
            raise ConfigurationError(f"--stores: {name!r} is none of {', '.join(missing)}")
        if missing[name]:
            raise ConfigurationError(f"--stores: {name} cannot run here: {missing[name]}")
    return list(dict.fromkeys(asked))
