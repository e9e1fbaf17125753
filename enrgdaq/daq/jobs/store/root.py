"""The ROOT store."""

import shlex
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from msgspec import Meta

from enrgdaq.daq.store.base import DAQJobStoreJobConfig
from enrgdaq.daq.store.files import StoreTarget
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigROOT,
)
from enrgdaq.daq.store.paths import check_place, message_path
from enrgdaq.daq.store.provenance import first_words
from enrgdaq.daq.store.root.finisher import Finisher
from enrgdaq.daq.store.root.roll import left_behind, schema_in_roll
from enrgdaq.daq.store.root.target import Rolls, ROOTPlace, ROOTTarget
from enrgdaq.daq.store.table_store import DAQJobTableStore
from enrgdaq.errors import StoreError
from enrgdaq.transport.memory import MEGABYTE


class DAQJobStoreROOTConfig(DAQJobStoreJobConfig, kw_only=True):
    """Config of :class:`DAQJobStoreROOT`."""

    roll_size_mb: Annotated[
        float, Meta(gt=0, description="finish a file when so much waits in its journal, MiB")
    ] = 256.0
    finish_after_seconds: Annotated[
        float, Meta(gt=0, description="finish a file when it took no rows for so long")
    ] = 60.0
    finish_wait_seconds: Annotated[
        float, Meta(ge=0, description="longest time that a stop waits for the last files")
    ] = 2.5


class DAQJobStoreROOT(DAQJobTableStore[DAQJobStoreConfigROOT, ROOTPlace]):
    """Writes rows into journals, and ROOT files from these when they are complete."""

    config_type = DAQJobStoreROOTConfig
    config: DAQJobStoreROOTConfig
    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [
        DAQJobStoreConfigROOT
    ]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._rolls = Rolls(
            self.log,
            longest_bytes=self.config.roll_size_mb * MEGABYTE,
            idle_seconds=self.config.finish_after_seconds,
            syncs=self.syncs,
            read_only=self.config.finished_read_only,
        )
        self._finisher = Finisher(self.log, self.floor)
        self._has_looked_back = False
        self._has_ended = False
        self._trouble = ""

    def settings_of(self, message: DAQJobMessageStore) -> DAQJobStoreConfigROOT | None:
        """See :class:`DAQJobTableStore`."""
        return message.store_config.root

    def place(
        self, settings: DAQJobStoreConfigROOT, message: DAQJobMessageStore, part: int
    ) -> ROOTPlace:
        """See :class:`DAQJobTableStore`."""
        path = message_path(self.out_dir, settings, message, part)
        return ROOTPlace(path, settings.tree_name)

    def schema_at(self, place: ROOTPlace) -> pa.Schema | None:
        """See :class:`DAQJobTableStore`. A finished file is left; the next has a new name."""
        try:
            return schema_in_roll(*place)
        except (OSError, StoreError, pa.ArrowException):
            # Not the message's fault. The flush meets it again: it waits, or sets it aside.
            return None

    def make_target(
        self,
        place: ROOTPlace,
        settings: DAQJobStoreConfigROOT,
        schema: pa.Schema,
        message: DAQJobMessageStore,
    ) -> StoreTarget[pa.Table]:
        """See :class:`DAQJobTableStore`."""
        check_place(place.path, [other.path for other in self.targets.places()])
        return ROOTTarget(
            place,
            self._rolls,
            settings,
            schema,
            first_words(message),
            origin=lambda: self.origin,
            times=lambda: self.time_ns,
        )

    def tend(self) -> None:
        """Take up what an earlier life has left, close what is idle, finish what is closed."""
        try:
            if not self._has_looked_back:
                self._look_back()
            self._rolls.close_idle()
        except (OSError, StoreError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self.log.error("%s", error)
                self.set_condition(f"waiting for disk: {error}")
            return
        if self._trouble:
            self._trouble = ""
            self.set_condition("")
        self._hand_over()
        if not self._rolls.is_empty:
            self._finisher.prepare()
        self._finisher.look()

    def start(self) -> None:
        """See :class:`DAQJobStore`."""
        super().start()
        self._has_ended = True

    def free(self) -> None:
        """Finish all files; after a crash the next life goes on with their journals."""
        self._rolls.stay_open = not self._has_ended
        if self._has_ended:
            try:
                self.targets.close()
                self._rolls.close_all()
            except OSError as error:
                self.log.error("a file stays unfinished until the next start: %s", error)
            self._hand_over()
            self._finisher.wait(self.config.finish_wait_seconds)
            for folder in self._finisher.waiting:
                self.log.warning(
                    "%s becomes a ROOT file at the next start, or at once by: python -m"
                    " enrgdaq.daq.store.root.finish %s",
                    folder,
                    shlex.quote(str(folder)),
                )
            self._finisher.close()
        super().free()

    def _look_back(self) -> None:
        paths, closed = left_behind(self.out_dir)
        self._rolls.adopt(paths)
        self._finisher.add(closed)
        self._has_looked_back = True

    def _hand_over(self) -> None:
        self._finisher.add(self._rolls.closed)
        self._rolls.closed.clear()
