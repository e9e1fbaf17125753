"""What a supervisor takes for itself alone: its name on this host, and its ``out_dir``."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from enrgdaq.errors import ConfigurationError, NameInUseError, TransportError
from enrgdaq.models import SupervisorConfig
from enrgdaq.supervisor.places import Places, make_places
from enrgdaq.transport.lock import NameLock

_WAIT_SECONDS: Final = 0.5  # for one that is just ending
_ATTEMPTS: Final = 30
_PAUSE_SECONDS: Final = 0.01


@contextlib.contextmanager
def claimed(config: SupervisorConfig) -> Iterator[Places]:
    """Make the folders of a node and hold them; sockets and locks are removed at the end.

    Raises :class:`ConfigurationError` when they cannot be made, or another supervisor has them.
    """
    places, name = _take_name(config)
    folder = NameLock(places.out / ".supervisor.lock")
    try:
        _take_folder(folder, places)
        yield places
    finally:
        folder.release()
        _clear_runtime(places, name)


def _take_name(config: SupervisorConfig) -> tuple[Places, NameLock]:
    """The folders and the name. The one that had them may be ending, and removes its folders."""
    attempts_left = _ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            places = make_places(config)
            name = NameLock(places.runtime / "supervisor.lock")
            _acquire(
                name,
                f"a supervisor called {places.supervisor_id!r} runs on this host already",
                "attach to it with 'enrgdaq-console --attach' or 'enrgdaq status', or give this"
                " one another supervisor_id in supervisor.toml",
            )
            return make_places(config), name
        except OSError as error:
            if attempts_left:
                time.sleep(_PAUSE_SECONDS)
                continue
            raise _unwritable(error) from error
        except TransportError as error:
            raise ConfigurationError(str(error)) from error


def _take_folder(folder: NameLock, places: Places) -> None:
    try:
        _acquire(
            folder,
            f"another supervisor writes its statistics in {places.out}",
            "set out_dir in supervisor.toml, start this one in another directory, or end the other"
            " with 'enrgdaq shutdown'",
        )
    except OSError as error:
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{error.filename}: {error.strerror}; name a folder that can be written: out_dir in"
        " supervisor.toml for files and logs, XDG_RUNTIME_DIR for sockets"
    )


def _acquire(lock: NameLock, taken: str, mend: str) -> None:
    try:
        lock.acquire(wait_seconds=_WAIT_SECONDS)
    except NameInUseError as error:
        raise ConfigurationError(f"{taken} ({error}): {mend}") from error


def _clear_runtime(places: Places, lock: NameLock) -> None:
    """Remove sockets, locks, routes and empty folders. Rings that could not be kept stay."""
    for leftover in places.runtime.iterdir():
        if leftover.is_dir():
            with contextlib.suppress(OSError):
                leftover.rmdir()
        elif leftover != lock.path:
            leftover.unlink(missing_ok=True)
    # Under the lock: the next supervisor of this name makes it again when it has the lock.
    with contextlib.suppress(OSError):
        places.memory.rmdir()
    lock.release()
    with contextlib.suppress(OSError):
        places.runtime.rmdir()
