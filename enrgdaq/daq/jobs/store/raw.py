"""The raw store."""

from pathlib import Path
from typing import Any, ClassVar

from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.daq.store.files import AppendTarget, OpenTargets, SnapshotTarget, StoreTarget
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigRaw,
)
from enrgdaq.daq.store.paths import data_path
from enrgdaq.errors import StoreError


class DAQJobStoreRaw(DAQJobStore):
    """Writes bytes as they are: appended, or as the latest message only."""

    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [DAQJobStoreConfigRaw]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._files: OpenTargets[Path, bytes] = OpenTargets()

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep the bytes for the file that they belong to."""
        settings = message.store_config.raw
        if settings is None:
            raise StoreError("the message asks for other stores than this one")
        if not isinstance(message, DAQJobMessageStoreRaw) or message.timestamp is None:
            raise StoreError(f"{type(message).__name__} is not raw bytes; use another store")
        path = data_path(
            self.out_dir,
            settings.file_path,
            add_date=settings.add_date,
            timestamp=message.timestamp,
            tag=message.tag,
        )
        overwrite = settings.overwrite

        def make() -> StoreTarget[bytes]:
            return SnapshotTarget(path, bytes) if overwrite else AppendTarget(path, _joined)

        self._files.open(path, make).put(bytes(message.data), self.position)

    def flush(self) -> None:
        """Write what was kept, file by file."""
        self._files.flush(self.known_rings)

    def free(self) -> None:
        """Close all files."""
        self._files.close()
        super().free()


def _joined(bodies: list[bytes], is_first: bool) -> bytes:
    return b"".join(bodies)
