"""The raw store."""

from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar, Final

from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.daq.store.journal import AppendFile, Position, SnapshotFile
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigRaw,
)
from enrgdaq.daq.store.paths import data_path
from enrgdaq.errors import StoreError

_OPEN_FILES: Final = 64


class DAQJobStoreRaw(DAQJobStore):
    """Writes bytes as they are: appended, or as the latest message only."""

    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [DAQJobStoreConfigRaw]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._waiting: dict[tuple[Path, bool], list[tuple[bytes, Position]]] = {}
        self._files: OrderedDict[Path, AppendFile | SnapshotFile] = OrderedDict()

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep the bytes for the file that they belong to."""
        settings = message.store_config.raw
        if settings is None:
            return
        if not isinstance(message, DAQJobMessageStoreRaw) or message.timestamp is None:
            raise StoreError(f"{type(message).__name__} is not raw bytes; use another store")
        path = data_path(
            self.out_dir,
            settings.file_path,
            add_date=settings.add_date,
            timestamp=message.timestamp,
            tag=message.tag,
        )
        waiting = self._waiting.setdefault((path, settings.overwrite), [])
        if settings.overwrite:
            # Only the newest of each ring is ever written.
            waiting[:] = [
                entry for entry in waiting if entry[1].ring_uuid != self.position.ring_uuid
            ]
        waiting.append((bytes(message.data), self.position))

    def flush(self) -> None:
        """Write what was kept, file by file."""
        known = self.known_rings
        for key, entries in list(self._waiting.items()):
            path, overwrite = key
            file = self._open(path, overwrite)
            for data, position in entries:
                if isinstance(file, SnapshotFile):
                    file.put(data, position)
                elif not file.has(position):
                    file.add(data, position)
            # What the file has taken must not be handed to it again when its flush is retried.
            del self._waiting[key]
        for file in self._files.values():
            file.flush(known)
        while len(self._files) > _OPEN_FILES:
            self._files.popitem(last=False)[1].close()

    def free(self) -> None:
        """Close all files."""
        while self._files:
            self._files.popitem()[1].close()
        super().free()

    def _open(self, path: Path, overwrite: bool) -> AppendFile | SnapshotFile:
        file = self._files.get(path)
        if file is None:
            file = SnapshotFile(path) if overwrite else AppendFile(path)
            self._files[path] = file
        self._files.move_to_end(path)
        return file
