"""Who is owed a message: topics to consumer names.

The supervisor writes one routes file for its node, before any job starts and after every
change; producers read it again when the ring's ``ROWS_VERSION`` moves. Monitors that
subscribe through the broker have no row and are not listed here.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from enrgdaq.errors import TransportError


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """A job that holds rows: its name, the topics it takes, the socket path of its bell."""

    name: str
    topics: tuple[str, ...]
    bell: str


class Routes(msgspec.Struct, frozen=True, kw_only=True):
    """All the consumers of a node."""

    version: int = 1
    consumers: tuple[Consumer, ...] = ()

    def targets(self, topics: Iterable[str]) -> list[Consumer]:
        """Consumers that take at least one of ``topics``, in the order of the table."""
        wanted = list(topics)
        return [
            consumer
            for consumer in self.consumers
            if any(covers(taken, topic) for taken in consumer.topics for topic in wanted)
        ]


def covers(subscription: str, topic: str) -> bool:
    """Whether a subscription takes a topic: the same, a dotted beginning of it, or all (``""``).

    ``store`` takes ``store.DAQJobStoreCSV``; ``store.DAQJobStore`` does not.
    """
    stem = subscription.rstrip(".")
    return not stem or topic == stem or topic.startswith(stem + ".")


def save_routes(path: Path, routes: Routes) -> None:
    """Replace the routes file atomically."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_bytes(msgspec.json.encode(routes))
    unfinished.replace(path)


def load_routes(path: Path) -> Routes:
    """Read the routes file. Raises :class:`TransportError` when it is missing or broken."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Routes)
    except (OSError, msgspec.MsgspecError) as error:
        raise TransportError(f"routes file {path}: {error}") from error
