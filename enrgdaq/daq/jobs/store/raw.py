"""The raw store."""

from pathlib import Path
from typing import Any, ClassVar, Final

from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.daq.store.files import (
    AppendTarget,
    OpenTargets,
    SnapshotTarget,
    StoreTarget,
    check_kind,
)
from enrgdaq.daq.store.frames import frame_head
from enrgdaq.daq.store.journal import Contents, is_begun, marks_in, read_journal
from enrgdaq.daq.store.life import FileLife
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigRaw,
)
from enrgdaq.daq.store.paths import check_place, message_path
from enrgdaq.daq.store.provenance import ns_of
from enrgdaq.daq.store.rolls import present_path
from enrgdaq.daq.store.sink import Write
from enrgdaq.errors import StoreError

_MOST_PARTS: Final = 1_000


class DAQJobStoreRaw(DAQJobStore):
    """Writes bytes as they are: appended, or as the latest message only."""

    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [DAQJobStoreConfigRaw]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._files: OpenTargets[Path, memoryview] = OpenTargets()
        self._framings: dict[Path, str] = {}
        self._life = FileLife(self, "raw", marks_in)

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep the bytes for the file that they belong to."""
        settings = message.store_config.raw
        if settings is None:
            raise StoreError("the message asks for other stores than this one")
        if not isinstance(message, DAQJobMessageStoreRaw):
            raise StoreError(f"{type(message).__name__} is not raw bytes; use another store")
        path = self._place(settings, message)
        self.time_ns = ns_of(message)
        target = self._files.open(path, lambda: self._open(path, settings))
        check_kind(target, path, overwrites=settings.overwrite)
        # It points into the ring, and stays valid until the flush.
        target.put(memoryview(message.data).cast("B"), self.position)

    def _open(self, path: Path, settings: DAQJobStoreConfigRaw) -> StoreTarget[memoryview]:
        check_place(path, self._files.places())
        if settings.overwrite:
            return SnapshotTarget(path, bytes, syncs=self.syncs)

        def make(path: Path) -> StoreTarget[memoryview]:
            return _growing(path, settings.framing, syncs=self.syncs)

        return self._life.target(settings, path, "", make, lambda _: 1)

    def tend(self) -> None:
        """See :class:`DAQJobStore`."""
        self._life.tend()

    def flush(self) -> None:
        """Write what was kept, file by file."""
        for closed in self._files.flush(self.known_rings):
            self._framings.pop(closed, None)

    def free(self) -> None:
        """Close all files."""
        self._files.close()
        self._life.close()
        super().free()

    def _place(self, settings: DAQJobStoreConfigRaw, message: DAQJobMessageStoreRaw) -> Path:
        """The first part with this framing: what has none is not gone on with in frames."""
        for part in range(1, _MOST_PARTS):
            path = message_path(self.out_dir, settings, message, part)
            if settings.overwrite:
                return path
            if path not in self._framings:
                self._framings[path] = self._framing_at(path) or settings.framing
                if part > 1 and self._framings[path] == settings.framing:
                    self.log.warning(
                        '%s has another framing than "%s"; the bytes go to %s',
                        settings.file_path,
                        settings.framing,
                        path,
                    )
            if self._framings[path] == settings.framing:
                return path
        raise StoreError(f"{settings.file_path} has {_MOST_PARTS} parts: rename it")

    def _framing_at(self, path: Path) -> str | None:
        try:
            return framing_in(present_path(path))
        except (OSError, StoreError):
            # Not the message's fault. The flush meets it again, says so and waits.
            return None


def framing_in(path: Path) -> str | None:
    """How a file's blobs are told apart; ``None`` when it has none yet."""
    if not is_begun(path):
        return None
    journal = read_journal(path)
    return journal.framing if journal is not None else "none"


def _growing(path: Path, framing: str, *, syncs: bool) -> AppendTarget[memoryview]:
    def encode(blobs: list[memoryview], is_first: bool) -> Write:
        pieces: list[bytes | memoryview] = []
        for blob in blobs:
            if framing == "length":
                pieces.append(frame_head(len(blob)))
            pieces.append(blob)
        return lambda sink: sink.write_all(pieces)

    return AppendTarget(path, encode, lambda: Contents(framing=framing), syncs=syncs)
