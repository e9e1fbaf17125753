"""How far each ring of other nodes was taken. One small file for each node that is its home.

A file is written after records are in the mirror ring and before they are acknowledged. What a
kill leaves in between, the mirror ring itself tells.
"""

import logging
from pathlib import Path
from typing import Final

import msgspec

from enrgdaq.daq.mirrored import home_of, mirrored_records
from enrgdaq.errors import CodecError
from enrgdaq.federation.slots import SlotFile
from enrgdaq.transport.ring import RingFile

_SUFFIX: Final = ".positions"
_FOREIGN_KEPT: Final = 256
_LOG = logging.getLogger(__name__)


class Positions:
    """Ends of the last records taken, by home node and ring uuid."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._ends: dict[str, dict[str, int]] = {}
        self._changed: set[str] = set()
        self._files: dict[str, SlotFile] = {}
        for file in sorted(folder.glob(f"*{_SUFFIX}")):
            self._load(file)

    @property
    def nodes(self) -> list[str]:
        """The nodes that anything was ever taken from."""
        return sorted(self._ends)

    def has(self, node: str, ring_uuid: str, end: int) -> bool:
        """Whether a record was taken already."""
        return end <= self._ends.get(node, {}).get(ring_uuid, 0)

    def end_of(self, node: str, ring_uuid: str) -> int:
        """The end of the last record taken; 0 when there was none."""
        return self._ends.get(node, {}).get(ring_uuid, 0)

    def newest_rings(self, node: str, most: int) -> dict[str, int]:
        """Where the rings end from which something was taken last, so many at most."""
        ends = self._ends.get(node, {})
        # Streams, which also have their places here, are no rings.
        rings = [ring_uuid for ring_uuid in ends if " " not in ring_uuid]
        return {ring_uuid: ends[ring_uuid] for ring_uuid in rings[-most:]}

    def note(self, node: str, ring_uuid: str, end: int) -> None:
        """A record is in the mirror ring now."""
        ends = self._ends.setdefault(node, {})
        # The newest last, so that the oldest are forgotten first.
        ends.pop(ring_uuid, None)
        ends[ring_uuid] = end
        self._changed.add(node)

    def note_all_in(self, ring: RingFile) -> None:
        """Everything that a mirror ring still holds was taken."""
        for said, record in mirrored_records(ring):
            try:
                home = home_of(said)
            except CodecError:
                continue
            node = home.supervisor.supervisor_id
            if not self.has(node, home.ring_uuid, record.end):
                self.note(node, home.ring_uuid, record.end)

    def forget_rings(self, node: str, known: set[str]) -> None:
        """Forget rings from which nothing can come any more, all but the newest of them.

        A sender that has just started does not know yet of all that its rings hold.
        """
        ends = self._ends.setdefault(node, {})
        foreign = [ring_uuid for ring_uuid in ends if ring_uuid not in known]
        for ring_uuid in foreign[: max(0, len(foreign) - _FOREIGN_KEPT)]:
            del ends[ring_uuid]
        self._changed.add(node)

    def save(self) -> None:
        """Write what has changed. Raises ``OSError``; then nothing may be acknowledged."""
        for node in sorted(self._changed):
            self._file_of(node).write(msgspec.json.encode(self._ends[node]))
            self._changed.discard(node)

    def _file_of(self, node: str) -> SlotFile:
        path = self._folder / f"{node}{_SUFFIX}"
        return self._files.setdefault(node, SlotFile(path))

    def _load(self, file: Path) -> None:
        node = file.name.removesuffix(_SUFFIX)
        try:
            data = self._file_of(node).read()
            found = msgspec.json.decode(data, type=dict[str, int])
        except (OSError, msgspec.MsgspecError) as error:
            # After a power cut, say. Stores have watermarks of their own for what comes twice.
            _LOG.error("%s cannot be read, and is begun anew: %s", file, error)
            found = {}
        self._ends[node] = found
