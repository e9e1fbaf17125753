"""How the link to the supervisor stands."""

from enum import Enum


class Contact(Enum):
    """What the last attempt to read the supervisor's state came to."""

    WAITING = "waiting"
    ANSWERED = "answered"
    SILENT = "silent"
    GONE = "gone"
    REFUSED = "refused"
