"""The system under trial: its jobs, its folders, and what is left of it at the end."""

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from enrgdaq.daq.numbered_rows import FINISH, ROW, read_notes
from enrgdaq.errors import ConfigurationError
from enrgdaq.supervisor.places import runtime_folder
from enrgdaq.transport import faults
from enrgdaq.trials.chaos.audit import Counted, count, count_latest
from enrgdaq.trials.chaos.backends import Backend, Found, Producer
from enrgdaq.trials.chaos.plan import SUPERVISOR, Cast
from enrgdaq.trials.chaos.processes import marked_with
from enrgdaq.trials.chaos.room import PlayedRoom, Room, TmpfsRoom, enter_private_mounts
from enrgdaq.trials.chaos.server_backends import ServerBackend
from enrgdaq.trials.chaos.stores import BACKENDS
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
_DYING_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 60.0  # the ROOT store completes its files at the end


class System:
    """A scratch node with numbered producers and the chosen stores."""

    def __init__(
        self,
        node: ScratchNode,
        stores: Sequence[str],
        *,
        may_mount: bool,
        draw: int = 0,
        producers: Sequence[Producer] = PRODUCERS,
    ) -> None:
        """``may_mount``: make disk and memory really full, where the host allows it.

        ``draw``: decides which of several stores with servers holds; all others spool.
        """
        self.node = node
        self.faults = node.folder / "faults"
        self.notes = node.folder / "notes"
        for folder in (self.faults, self.notes):
            folder.mkdir(mode=0o700)
        self.disk, self.memory = self._make_rooms(may_mount)
        made = [kind(node.out / kind.name) for kind in BACKENDS if kind.name in stores]
        self.backends = {backend.name: backend for backend in made}
        self.producers = [p for p in producers if any(b.takes(p) for b in made)]
        if isinstance(self.disk, PlayedRoom):
            self.disk.processes = [b.name for b in made if b.waits_for_disk]
        self._servers = [backend for backend in made if isinstance(backend, ServerBackend)]
        if len(self._servers) > 1:
            self._servers[draw % len(self._servers)].holds = True
        node.environment = {faults.FOLDER_VARIABLE: str(self.faults)}

    def prepare(self) -> None:
        """Start the servers, and write the jobs' files."""
        for backend in self.backends.values():
            backend.prepare(self.node.folder / "servers", self.node.environment)
        self.configure()
        self.add_stores()
        self.add_producers(self.producers, self.backends.values())

    @property
    def cast(self) -> Cast:
        """Who can be disturbed, and who passes which fault point."""
        producers = tuple(p.name for p in self.producers)
        passers: dict[str, tuple[str, ...]] = dict.fromkeys(WRITER_POINTS, producers)
        for backend in self.backends.values():
            for point in backend.passed_points:
                passers[point] = (*passers.get(point, ()), backend.name)
        passers.update(dict.fromkeys(SUPERVISOR_POINTS, (SUPERVISOR,)))
        servers = tuple(backend.name for backend in self._servers)
        return Cast(
            producers=producers, stores=tuple(self.backends), passers=passers, servers=servers
        )

    def ask_to_finish(self) -> None:
        """Let the producers end for good."""
        (self.notes / FINISH).touch()

    def is_complete(self) -> bool:
        """Whether all outputs can be read, and nothing waits in a spool to be written there."""
        # By its files: a store that has just started has not said yet what is in its spool.
        return not any(self.node.out.rglob("*.spool")) and all(
            backend.is_complete() for backend in self.backends.values()
        )

    def count(self, complaints: list[str]) -> list[Counted]:
        """Read all outputs back. One that cannot be read is complained of, and has no rows."""
        counted = []
        for backend in self.backends.values():
            for producer in self.producers:
                if backend.takes(producer):
                    try:
                        found = backend.read(producer)
                    except Exception as error:  # noqa: BLE001 - whatever a library says of it
                        complaints.append(f"{backend.name} of {producer.name}: {error!r}")
                        found = Found(np.empty(0, ROW), scraps=1)
                    lives = read_notes(self.notes, producer.name)
                    how = count if producer.keeps_all else count_latest
                    counted.append(
                        how(backend.name, producer.name, found.rows, found.scraps, lives)
                    )
        return counted

    def orphans(self) -> list[str]:
        """Processes of this trial that still run; to be asked when none should."""
        known = [b.server.pid for b in self._servers]
        return [f"process {p.pid}" for p in self._processes() if p.pid not in known]

    def leftovers(self) -> list[str]:
        """Rings, sockets, locks and half-made files that should be gone after a stop."""
        found = list(_SHM.glob(f"enrgdaq-*-{self.node.id}"))
        runtime = runtime_folder(self.node.id)
        found += [runtime, *runtime.rglob("*")] if runtime.exists() else []
        for pattern in (
            "*.ring",
            ".*.lock",
            "*.lock",
            "*.new",
            "*.spool",
            "*.damaged",
            "set-aside",
        ):
            found += self.node.out.rglob(pattern)
        return sorted({str(path) for path in found})

    def close(self) -> None:
        """Kill what still runs, undo mounts; keeps the output when the node's folder is kept."""
        with contextlib.ExitStack() as stack:
            # Last comes first, and all of it comes, whatever fails.
            for folder in (runtime_folder(self.node.id), *_SHM.glob(f"enrgdaq-*-{self.node.id}")):
                # What a system that did not end in order has left; reported by then.
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.callback(self.memory.close)
            stack.callback(self._close_disk)
            for backend in self.backends.values():
                stack.callback(backend.clean_up)
            stack.callback(self._kill_all)

    def _close_disk(self) -> None:
        if isinstance(self.disk, TmpfsRoom) and self.node.is_kept:
            self.disk.relieve()
            kept = self.node.folder / "out.kept"
            self.disk.move_out(kept)
            self.disk.close()
            self.node.out.rmdir()
            kept.rename(self.node.out)
        self.disk.close()

    def _kill_all(self) -> None:
        # Again, since what dies last may have started another.
        while processes := self._processes():
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(processes, timeout=_DYING_SECONDS)

    def _processes(self) -> list[psutil.Process]:
        return marked_with(faults.FOLDER_VARIABLE, str(self.faults))

    def _make_rooms(self, may_mount: bool) -> tuple[Room, Room]:
        if may_mount and enter_private_mounts():
            return TmpfsRoom(self.node.out), TmpfsRoom(_SHM)
        disk = PlayedRoom(self.faults, "store.rows", ())
        return disk, PlayedRoom(self.faults, "ring.reserve", (SUPERVISOR,))

    def configure(self, **settings: Any) -> None:
        """Write ``supervisor.toml``, with further settings."""
        self.node.configure(
            {
                **settings,
                "stop_grace_seconds": _GRACE_SECONDS,
                "hung_after_seconds": 3.0,
                "restart": {
                    "first_delay_seconds": 0.05,
                    "longest_delay_seconds": 0.2,
                    "max_restarts": 0,
                },
            }
        )

    def add_stores(self) -> None:
        """Write the stores' files."""
        for backend in self.backends.values():
            settings = {
                "daq_job_type": backend.job_type,
                "out_dir": str(backend.out),
                "flush_interval_seconds": 0.05,
                # The errors of a disk that is really full are to be met.
                "free_space_floor_mb": 0,
            }
            self.node.add(backend.name, {**settings, **backend.job_settings()})

    def add_producers(self, producers: Iterable[Producer], stores: Iterable[Backend]) -> None:
        """Write the files of producers, which send to those of the stores that take it."""
        every = list(stores)
        for producer in producers:
            takers = [b for b in every if b.takes(producer)]
            self.node.add(producer.name, self._producer_settings(producer, takers))

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
