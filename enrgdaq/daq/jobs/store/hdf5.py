"""The HDF5 store."""

import time
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from enrgdaq.daq.store.files import StoreTarget
from enrgdaq.daq.store.hdf5.file import ForeignFileError, marks_in, schema_in
from enrgdaq.daq.store.hdf5.target import HDF5Files, HDF5Place, HDF5Target, check_groups
from enrgdaq.daq.store.life import FileLife
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigHDF5,
)
from enrgdaq.daq.store.paths import check_place, message_path
from enrgdaq.daq.store.provenance import first_words, provenance
from enrgdaq.daq.store.rolls import present_path
from enrgdaq.daq.store.table_store import DAQJobTableStore
from enrgdaq.errors import StoreError

_RETRY_SECONDS: Final = 10.0


class DAQJobStoreHDF5(DAQJobTableStore[DAQJobStoreConfigHDF5, HDF5Place]):
    """Writes rows into HDF5 files that can be read meanwhile, whatever is killed when."""

    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [
        DAQJobStoreConfigHDF5
    ]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._files = HDF5Files(self.log, folder=self.out_dir, syncs=self.syncs)
        self._mend_after: float | None = 0.0
        self._life = FileLife(self, "hdf5", marks_in)
        self._reported: set[HDF5Place] = set()

    def tend(self) -> None:
        """See :class:`DAQJobStore`."""
        self._life.tend()
        self._mend_unclosed()

    def _mend_unclosed(self) -> None:
        """Mend what an earlier life left open; a disk that is full or away is tried again."""
        if self._mend_after is None or time.monotonic() < self._mend_after:
            return
        try:
            self._files.mend_unclosed()
        except OSError as error:
            self.log.warning("a file that was not closed cannot be mended yet: %s", error)
            self._mend_after = time.monotonic() + _RETRY_SECONDS
        else:
            self._mend_after = None

    def settings_of(self, message: DAQJobMessageStore) -> DAQJobStoreConfigHDF5 | None:
        """See :class:`DAQJobTableStore`."""
        return message.store_config.hdf5

    def place(
        self, settings: DAQJobStoreConfigHDF5, message: DAQJobMessageStore, part: int
    ) -> HDF5Place:
        """See :class:`DAQJobTableStore`."""
        path = message_path(self.out_dir, settings, message, part)
        return HDF5Place(path, settings.dataset_name.strip("/"))

    def schema_at(self, place: HDF5Place) -> pa.Schema | None:
        """See :class:`DAQJobTableStore`. Other programs' files take no rows."""
        try:
            return schema_in(present_path(place.path), place.group)
        except ForeignFileError as error:
            if place not in self._reported:
                self._reported.add(place)
                self.log.warning("%s; it is left as it is", error)
            return pa.schema([])
        except (OSError, StoreError):
            # Not the message's fault. The flush meets it again: it waits, or sets it aside.
            return None

    def free(self) -> None:
        """Close all files."""
        self.targets.close()
        self._life.close()
        super().free()

    def make_target(
        self,
        place: HDF5Place,
        settings: DAQJobStoreConfigHDF5,
        schema: pa.Schema,
        message: DAQJobMessageStore,
    ) -> StoreTarget[pa.Table]:
        """See :class:`DAQJobTableStore`."""
        open_places = self.targets.places()
        check_place(place.path, [other.path for other in open_places])
        check_groups(place, open_places)
        attributes = {**provenance(self.origin), **first_words(message)}

        def make(path: Path) -> StoreTarget[pa.Table]:
            if path != place.path:
                attributes.pop("first_record", None)  # is in an earlier roll
            roll = place._replace(path=path)
            return HDF5Target(
                roll, self._files, settings, schema, attributes, origin=self._life.origin
            )

        return self._life.target(settings, place.path, place.group, make, len)
