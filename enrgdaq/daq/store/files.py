"""What stores keep between two flushes, file by file.

Nothing is opened before the first flush: a disk that is full or away is waited for there,
and one file that cannot be written holds up no other.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from enrgdaq.daq.store.journal import AppendFile, Contents, Position, SnapshotFile
from enrgdaq.daq.store.sink import Write
from enrgdaq.errors import StoreError

Body = TypeVar("Body")
_Body_contra = TypeVar("_Body_contra", contravariant=True)
Place = TypeVar("Place", bound=Hashable)
"""Where a target is: the path of a file, the name of a table."""

_MOST_OPEN: Final = 64  # more than a day and a tag per producer; the longest unused is closed


class StoreTarget(Protocol[_Body_contra]):
    """A file that takes the bodies of messages and makes them durable in flushes.

    A body that points into a ring stays valid until the flush that follows it.
    """

    def check(self, body: _Body_contra) -> None:
        """Raise :class:`StoreError` for what cannot be written."""

    def put(self, body: _Body_contra, position: Position) -> None:
        """Keep one message's rows or bytes, which were checked."""

    def flush(self, known_rings: set[str]) -> None:
        """Make what was kept durable. Raises ``OSError`` or :class:`StoreError`."""

    def close(self) -> None:
        """Let go of the file; idempotent."""


class AppendTarget(Generic[Body]):
    """A file that grows.

    ``encode`` turns the bodies of a flush, and whether they are the first of the file, into
    what writes them; ``contents`` says what the file's bytes mean.
    """

    def __init__(
        self,
        path: Path,
        encode: Callable[[list[Body], bool], Write],
        contents: Callable[[], Contents] = Contents,
        *,
        syncs: bool = False,
    ) -> None:
        self._syncs = syncs
        self._path = path
        self._encode = encode
        self._contents = contents
        self._waiting: list[tuple[Body, Position]] = []
        self._file: AppendFile | None = None

    def check(self, body: Body) -> None:
        """See :class:`StoreTarget`."""

    def put(self, body: Body, position: Position) -> None:
        """See :class:`StoreTarget`."""
        self._waiting.append((body, position))

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreTarget`. What a replay brings a second time is dropped."""
        if self._file is None:
            if not self._waiting:
                return
            self._file = AppendFile(self._path, self._contents(), syncs=self._syncs)
        file = self._file
        fresh = [(body, position) for body, position in self._waiting if not file.has(position)]
        if fresh:
            file.describe(self._contents())
            file.add(self._encode([body for body, _ in fresh], file.is_empty))
        for _, position in fresh:
            file.note(position)
        # What the file has taken must not be handed to it again when its flush is retried.
        self._waiting.clear()
        file.flush(known_rings)

    def close(self) -> None:
        """See :class:`StoreTarget`."""
        if self._file is not None:
            self._file.close()


class SnapshotTarget(Generic[Body]):
    """A file that holds the latest message only."""

    def __init__(self, path: Path, encode: Callable[[Body], bytes], *, syncs: bool = False) -> None:
        self._path = path
        self._syncs = syncs
        self._encode = encode
        self._latest: dict[str, tuple[Body, Position]] = {}
        self._file: SnapshotFile | None = None

    def check(self, body: Body) -> None:
        """See :class:`StoreTarget`."""

    def put(self, body: Body, position: Position) -> None:
        """See :class:`StoreTarget`. Of each ring only the newest is ever written."""
        self._latest.pop(position.ring_uuid, None)
        self._latest[position.ring_uuid] = (body, position)

    def flush(self, known_rings: set[str]) -> None:
        """See :class:`StoreTarget`."""
        if self._file is None:
            if not self._latest:
                return
            self._file = SnapshotFile(self._path, syncs=self._syncs)
        for body, position in self._latest.values():
            self._file.put(self._encode(body), position)
        self._latest.clear()
        self._file.flush(known_rings)

    def close(self) -> None:
        """See :class:`StoreTarget`."""


def check_kind(target: StoreTarget[Any], place: object, *, overwrites: bool) -> None:
    """Raise :class:`StoreError` where messages that are kept and latest messages would mix."""
    if isinstance(target, SnapshotTarget) != overwrites:
        raise StoreError(
            f"{place} is written with overwrite = true and with overwrite = false: give one of them"
            " another file_path"
        )


class OpenTargets(Generic[Place, Body]):
    """The files of a store, by place."""

    def __init__(self) -> None:
        self._targets: OrderedDict[Place, StoreTarget[Body]] = OrderedDict()
        self._closed: list[Place] = []

    def open(self, place: Place, make: Callable[[], StoreTarget[Body]]) -> StoreTarget[Body]:
        """The target at a place, made where it is not open yet."""
        target = self._targets.get(place)
        if target is None:
            target = self._targets[place] = make()
        self._targets.move_to_end(place)
        return target

    def places(self) -> list[Place]:
        """Of the files that are open."""
        return list(self._targets)

    def flush(self, known_rings: set[str]) -> list[Place]:
        """Flush all; returns the places of those closed for want of use.

        Those behind a broken one are flushed too; then the first error is raised.
        """
        first: OSError | StoreError | None = None
        for place, target in list(self._targets.items()):
            try:
                target.flush(known_rings)
                if len(self._targets) > _MOST_OPEN:
                    # Before the next is opened: a flush may be for thousands of files.
                    del self._targets[place]
                    self._closed.append(place)
                    target.close()
            except (OSError, StoreError) as error:
                first = first or error
        if first is not None:
            raise first
        closed, self._closed = self._closed, []
        return closed

    def close(self) -> None:
        """Close all; idempotent."""
        while self._targets:
            self._targets.popitem()[1].close()
