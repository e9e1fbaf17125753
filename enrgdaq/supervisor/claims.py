"""What a supervisor takes for itself alone: its name on this host, and its ``out_dir``."""

import contextlib
from collections.abc import Iterator

from enrgdaq.errors import ConfigurationError, NameInUseError, TransportError
from enrgdaq.models import SupervisorConfig
from enrgdaq.supervisor.places import Places, make_places
from enrgdaq.transport.lock import NameLock

_WAIT_SECONDS = 0.5  # one that is just ending


@contextlib.contextmanager
def claimed(config: SupervisorConfig) -> Iterator[Places]:
    """Make the folders of a node and hold them; sockets and locks are removed at the end.

    Raises :class:`ConfigurationError` when they cannot be made, or another supervisor has them.
    """
    try:
        places = make_places(config)
    except (OSError, TransportError) as error:
        raise ConfigurationError(
            f"{error}; set out_dir in supervisor.toml to a folder that can be written"
        ) from error
    name = NameLock(places.runtime / "supervisor.lock")
    _acquire(
        name,
        f"a supervisor called {places.supervisor_id!r} runs on this host already",
        "attach to it with 'enrgdaq-console --attach' or 'enrgdaq status', or give this one"
        " another supervisor_id in supervisor.toml",
    )
    folder = NameLock(places.out / ".supervisor.lock")
    try:
        _acquire(
            folder,
            f"another supervisor writes its statistics in {places.out}",
            "set out_dir in supervisor.toml, or start this one in another directory",
        )
        yield places
    finally:
        folder.release()
        _clear_runtime(places, name)


def _acquire(lock: NameLock, taken: str, mend: str) -> None:
    try:
        lock.acquire(wait_seconds=_WAIT_SECONDS)
    except NameInUseError as error:
        raise ConfigurationError(f"{taken} ({error}): {mend}") from error


def _clear_runtime(places: Places, lock: NameLock) -> None:
    """Remove sockets, locks and routes. Rings that could not be kept elsewhere stay."""
    for leftover in places.runtime.iterdir():
        if leftover.is_dir():
            with contextlib.suppress(OSError):
                leftover.rmdir()
        elif leftover != lock.path:
            leftover.unlink(missing_ok=True)
    lock.release()
    with contextlib.suppress(OSError):
        places.runtime.rmdir()
