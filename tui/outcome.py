"""How the interface ended."""

from enum import Enum


class Outcome(Enum):
    """What became of acquisition when the interface was left."""

    DETACHED = "detached"
    STOPPED = "stopped"
    STILL_STOPPING = "still stopping"
    GONE = "gone"
