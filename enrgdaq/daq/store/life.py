"""The life of a store's files: begun, rolled, finished, sealed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from enrgdaq.daq.origins import Origin
from enrgdaq.daq.store.base import DAQJobStore
from enrgdaq.daq.store.files import Body, StoreTarget
from enrgdaq.daq.store.models import DAQJobStoreConfigFile
from enrgdaq.daq.store.rolling import Hand, RollingFile, RollingFiles, RollingTarget
from enrgdaq.daq.store.rolls import Limits, Marks, limits_of
from enrgdaq.daq.store.sealing import Sealer

_LAST_SEALS_SECONDS: Final = 2.0
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d_")
_ANY_DATE: Final = "[0-9]" * 4 + "-[0-9][0-9]-[0-9][0-9]_"


class FileLife:
    """Between a store and the targets that write its files."""

    def __init__(self, store: DAQJobStore, kind: str, marks_in: Callable[[Path], Marks]) -> None:
        """``marks_in`` reads the watermarks of a file that is closed."""
        self._store = store
        self._marks_in = marks_in
        self._files = RollingFiles(store.log)
        self._hand = Hand()
        self._sealer = Sealer(
            store.out_dir,
            type(store).__name__,
            kind,
            store.log,
            read_only=store.config.finished_read_only,
        )

    def target(
        self,
        settings: DAQJobStoreConfigFile,
        path: Path,
        unit: str,
        make: Callable[[Path], StoreTarget[Body]],
        rows_of: Callable[[Body], int],
    ) -> StoreTarget[Body]:
        """What writes a file that may roll; ``make`` gives what writes one of its rolls."""
        limits = limits_of(settings)
        if not limits.are_set:
            return make(path)
        file = self._files.file(path, lambda: self._file(path, limits))
        if settings.add_date:
            self._take_up_other_days(path, limits)
        store = self._store
        return RollingTarget(
            file,
            unit,
            make,
            lambda body: (rows_of(body), store.time_ns, store.origin),
            self._hand,
        )

    def origin(self) -> Origin:
        """Of the rows that are put into a target now."""
        return self._hand.origin or self._store.origin

    def tend(self) -> None:
        """Finish and seal what is due. Called between messages."""
        self._files.finish_what_is_over(self._store.known_rings)
        self._sealer.look()

    def close(self) -> None:
        """Seal what time is left for; the next life does the rest."""
        if not self._sealer.close(_LAST_SEALS_SECONDS):
            self._store.log.info("the sidecars of the last files are written at the next start")

    def _file(self, path: Path, limits: Limits) -> RollingFile:
        return RollingFile(
            path,
            limits,
            marks_in=self._marks_in,
            finished=self._sealer.note,
            syncs=self._store.syncs,
        )

    def _take_up_other_days(self, path: Path, limits: Limits) -> None:
        """Days before this one that an earlier life has not finished."""
        rest = _DATED.sub("", path.name, count=1)
        for book in path.parent.glob(f".{_ANY_DATE}{rest}.rolls"):
            other = path.with_name(book.name.removeprefix(".").removesuffix(".rolls"))
            if other.name < path.name:
                self._files.take_up(other, lambda other=other: self._file(other, limits))  # type: ignore[misc]
