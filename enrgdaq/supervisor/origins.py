"""Notes before each start of a job what it is: for the files that its rows go to."""

import datetime as dt
import logging
import socket
from pathlib import Path

from enrgdaq import __version__
from enrgdaq.daq.origins import Origin, note_origin, origins_path
from enrgdaq.daq.secrets import masked_text
from enrgdaq.supervisor.config import JobFile
from enrgdaq.transport.ring import RingFile

_LOG = logging.getLogger(__name__)


class OriginNotes:
    """What the producers of a node are in this run."""

    def __init__(self, folder: Path, supervisor_id: str) -> None:
        self._folder = folder
        self._supervisor_id = supervisor_id
        self._began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")

    def note_start(self, file: JobFile, ring: RingFile) -> None:
        """A job is about to be started: what it writes from now on is of this text."""
        path = origins_path(self._folder, ring.identity.uuid)
        origin = Origin(
            job=file.unique_id,
            job_type=file.job_class.name,
            supervisor=self._supervisor_id,
            host=socket.gethostname(),
            software=f"ENRGDAQ {__version__}",
            run_started=self._began,
            config_file=file.path.name,
            config=masked_text(file.text),
        )
        try:
            note_origin(path, ring.head, origin, oldest=ring.tail)
        except OSError as error:
            # No reason not to take data. Rather nothing is said than what was right before.
            path.unlink(missing_ok=True)
            _LOG.error("files will not say what %s was set to: %s", file.unique_id, error)

    def sweep(self, rings: set[str]) -> None:
        """Forget rings that are no longer there."""
        for path in self._folder.glob("*"):
            if path.stem not in rings:
                path.unlink(missing_ok=True)
