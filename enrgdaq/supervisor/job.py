"""One job as the supervisor sees it: state, lives so far, statistics."""

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from enrgdaq.control.protocol import ExitRecord
from enrgdaq.daq.spec import SetAside
from enrgdaq.supervisor.child import Child
from enrgdaq.supervisor.config import JobFile
from enrgdaq.supervisor.facts import JobFacts
from enrgdaq.supervisor.restart import Exit
from enrgdaq.supervisor.states import Happening, JobState, after
from enrgdaq.supervisor.stats import JobStats

CRASHES_AT_ONE_RECORD: Final = 3
"""After so many a record is put aside and passed."""

MOST_SET_ASIDE_IN_A_ROW: Final = 3
"""After so many without a healthy run in between, the job is at fault and not its data."""

_LOG = logging.getLogger(__name__)


@dataclass
class Job:
    """A configured job over all its lives."""

    file: JobFile
    facts: JobFacts
    stats: JobStats
    state: JobState = JobState.STOPPED
    child: Child | None = None
    lives: int = 0
    exits: deque[Exit] = field(default_factory=lambda: deque(maxlen=200))
    exit_records: deque[ExitRecord] = field(default_factory=lambda: deque(maxlen=50))
    exit_reason: str = ""
    next_start: float | None = None
    fallback: tuple[JobFile, JobFacts] | None = None
    """What counted before a change of its file, until it has started with the new one."""
    start_again: bool = False
    """A restart was asked for: start when the process has ended."""
    last_restart: float | None = None
    crashes_at: Counter[tuple[str, int]] = field(default_factory=Counter)
    set_aside: list[SetAside] = field(default_factory=list)
    set_aside_in_a_row: int = 0
    records_set_aside: int = 0

    @property
    def id(self) -> str:
        """The job's name."""
        return self.facts.unique_id

    @property
    def restarts(self) -> int:
        """Every start after the first."""
        return max(0, self.lives - 1)

    @property
    def pid(self) -> int | None:
        """Its process, if there is one."""
        return self.child.pid if self.child else None

    def move(self, happening: Happening) -> None:
        """Change the state; what cannot happen is logged and changes nothing."""
        try:
            self.state = after(self.state, happening)
        except KeyError:
            _LOG.error("%s: %s in state %s", self.id, happening.value, self.state.value)

    def note_crash(self, in_hand: list[tuple[str, int]]) -> list[SetAside]:
        """Count a crash at the records in hand; returns those that are now to be passed."""
        passed = []
        for place in in_hand:
            self.crashes_at[place] += 1
            if self.crashes_at[place] == CRASHES_AT_ONE_RECORD:
                if self.set_aside_in_a_row == MOST_SET_ASIDE_IN_A_ROW:
                    _LOG.error(
                        "%s crashes at one message after the other: the job is at fault, not its"
                        " data, which waits until the job is mended",
                        self.id,
                    )
                    continue
                self.set_aside_in_a_row += 1
                passed.append(SetAside(ring_uuid=place[0], end=place[1]))
        self.set_aside.extend(passed)
        return passed

    def note_health(self) -> None:
        """A life was long enough to forgive what was before it."""
        self.set_aside_in_a_row = 0

    def record_exit(self, now: float, reason: str, *, unasked: bool) -> None:
        """Remember how a life ended."""
        started = self.child.started_at if self.child else now
        ran = now - started
        self.exit_reason = reason
        self.exit_records.append(
            ExitRecord(time=time.time(), reason=reason, ran_seconds=round(ran, 3))
        )
        if unasked:
            self.exits.append(Exit(at=now, ran_seconds=ran))
