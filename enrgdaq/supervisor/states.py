"""Job states and what moves them: one table, in one place."""

import enum
from typing import Final


class JobState(enum.StrEnum):
    """Where a job is in its life. *Stale* is not a state but a mark on ``RUNNING``."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    FAILED = "failed"


class Happening(enum.StrEnum):
    """What can happen to a job."""

    LAUNCHED = "launched"  # its process was asked for
    NOT_LAUNCHED = "could not be launched, will be tried again"
    READY = "ready"  # it says that its work begins
    TOLD_TO_STOP = "told to stop"
    ENDED_AS_TOLD = "ended as told"  # after being told to stop, or done by its own will
    ENDED_WILL_RETRY = "ended, will be started again"
    ENDED_FOR_GOOD = "ended, too often"


_S = JobState
_H = Happening

TRANSITIONS: Final[dict[tuple[JobState, Happening], JobState]] = {
    (_S.STOPPED, _H.LAUNCHED): _S.STARTING,
    (_S.BACKOFF, _H.LAUNCHED): _S.STARTING,
    (_S.FAILED, _H.LAUNCHED): _S.STARTING,
    (_S.STOPPED, _H.NOT_LAUNCHED): _S.BACKOFF,
    (_S.BACKOFF, _H.NOT_LAUNCHED): _S.BACKOFF,
    (_S.FAILED, _H.NOT_LAUNCHED): _S.BACKOFF,
    (_S.STARTING, _H.READY): _S.RUNNING,
    (_S.STOPPING, _H.READY): _S.STOPPING,
    (_S.STARTING, _H.TOLD_TO_STOP): _S.STOPPING,
    (_S.RUNNING, _H.TOLD_TO_STOP): _S.STOPPING,
    (_S.STOPPING, _H.TOLD_TO_STOP): _S.STOPPING,
    (_S.BACKOFF, _H.TOLD_TO_STOP): _S.STOPPED,
    (_S.FAILED, _H.TOLD_TO_STOP): _S.STOPPED,
    (_S.STOPPED, _H.TOLD_TO_STOP): _S.STOPPED,
    (_S.STARTING, _H.ENDED_AS_TOLD): _S.STOPPED,
    (_S.RUNNING, _H.ENDED_AS_TOLD): _S.STOPPED,
    (_S.STOPPING, _H.ENDED_AS_TOLD): _S.STOPPED,
    (_S.STARTING, _H.ENDED_WILL_RETRY): _S.BACKOFF,
    (_S.RUNNING, _H.ENDED_WILL_RETRY): _S.BACKOFF,
    (_S.STARTING, _H.ENDED_FOR_GOOD): _S.FAILED,
    (_S.RUNNING, _H.ENDED_FOR_GOOD): _S.FAILED,
}

LIVE: Final = frozenset({_S.STARTING, _S.RUNNING, _S.STOPPING})
"""States in which a process exists."""


def after(state: JobState, happening: Happening) -> JobState:
    """The next state. Raises ``KeyError`` for what cannot happen in a state."""
    return TRANSITIONS[state, happening]
