"""The HDF5 store."""

from typing import Any, ClassVar

import pyarrow as pa

from enrgdaq.daq.store.files import StoreTarget
from enrgdaq.daq.store.hdf5.file import BrokenFileError, ForeignFileError, schema_in
from enrgdaq.daq.store.hdf5.target import HDF5Files, HDF5Place, HDF5Target
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigHDF5,
)
from enrgdaq.daq.store.paths import data_path
from enrgdaq.daq.store.provenance import provenance
from enrgdaq.daq.store.table_store import DAQJobTableStore
from enrgdaq.errors import StoreError


class DAQJobStoreHDF5(DAQJobTableStore[DAQJobStoreConfigHDF5, HDF5Place]):
    """Writes rows into HDF5 files that can be read meanwhile, whatever is killed when."""

    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [
        DAQJobStoreConfigHDF5
    ]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._files = HDF5Files(self.log)
        self._reported: set[HDF5Place] = set()

    def settings_of(self, message: DAQJobMessageStore) -> DAQJobStoreConfigHDF5 | None:
        """See :class:`DAQJobTableStore`."""
        return message.store_config.hdf5

    def place(
        self, settings: DAQJobStoreConfigHDF5, message: DAQJobMessageStore, part: int
    ) -> HDF5Place:
        """See :class:`DAQJobTableStore`."""
        if message.timestamp is None:
            raise StoreError("the message has no time")
        path = data_path(
            self.out_dir,
            settings.file_path,
            add_date=settings.add_date,
            timestamp=message.timestamp,
            tag=message.tag,
            part=part,
        )
        return HDF5Place(path, settings.dataset_name.strip("/"))

    def schema_at(self, place: HDF5Place) -> pa.Schema | None:
        """See :class:`DAQJobTableStore`. Other programs' files take no rows."""
        try:
            return schema_in(*place)
        except ForeignFileError as error:
            if place not in self._reported:
                self._reported.add(place)
                self.log.warning("%s; it is left as it is", error)
            return pa.schema([])
        except (OSError, BrokenFileError):
            # Not the message's fault. The flush meets it again: it waits, or sets it aside.
            return None

    def make_target(
        self,
        place: HDF5Place,
        settings: DAQJobStoreConfigHDF5,
        schema: pa.Schema,
        message: DAQJobMessageStore,
    ) -> StoreTarget[pa.Table]:
        """See :class:`DAQJobTableStore`."""
        return HDF5Target(place, self._files, settings, schema, provenance(message))
