"""What is done to whom, and when: decided by a seed, before anything happens."""

import enum
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SUPERVISOR: Final = "supervisor"
FORKSERVER: Final = "forkserver"
BROKER: Final = "broker"
OFFICES: Final = (SUPERVISOR, FORKSERVER, BROKER)
"""Processes that are not jobs."""

_LONGEST_PAUSE_SECONDS: Final = 0.3


class Action(enum.Enum):
    """One kind of disturbance; the values are what reports show."""

    KILL = "kill"
    KILL_ALL = "kill everything"
    FREEZE = "freeze"
    RESTART = "restart by command"
    FAULT = "fault point"
    PAUSE_AT = "freeze at a fault point"
    CLOCK = "clock an hour back"
    SLOW = "slow store"
    FULL_DISK = "full disk"
    FULL_MEMORY = "full memory"
    SERVER_KILL = "kill a server"
    SERVER_FREEZE = "freeze a server"
    SERVER_AWAY = "server away"
    CUT = "cut the line to a server"
    LOST_ANSWER = "lose the answer to a commit"


SERVER_ACTIONS: Final = (
    Action.SERVER_KILL,
    Action.SERVER_FREEZE,
    Action.SERVER_AWAY,
    Action.CUT,
    Action.LOST_ANSWER,
)


class Occasion(enum.Enum):
    """What must happen for a process to pass a fault point."""

    WORK = "passes there in its daily work"
    NEXT_LIFE = "passes there after a kill"
    OUTAGE = "passes there when it spools because its server is away"
    START = "passes there when the system is started"
    STOP = "passes there when the system is stopped while a store is owed data"
    START_AFTER_STOP = "passes there when the system is started after such a stop"


OCCASIONS: Final[Mapping[str, Occasion]] = {
    "ring.repair": Occasion.NEXT_LIFE,
    "store.recover": Occasion.NEXT_LIFE,
    "spool.torn": Occasion.OUTAGE,
    "spool.block": Occasion.OUTAGE,
    "spool.drained": Occasion.OUTAGE,
    "spool.removed": Occasion.OUTAGE,
    "ring.reserve": Occasion.START,
    "supervisor.ring": Occasion.START,
    "supervisor.launch": Occasion.START,
    "supervisor.copy": Occasion.STOP,
    "supervisor.kept": Occasion.STOP,
    "supervisor.drained": Occasion.START_AFTER_STOP,
}
"""Points that are not passed in daily work."""

# The n-th pass from the arming on, at most: a ring's points are passed at each record or
# release, a store's at each flush of a file.
_MOST_PASSES: Final = {"ring": 30, "store": 4, "server": 4}
_MOST_AT_START: Final = 2  # passed once a job, and there are at least two
_ONCE_A_LAP: Final = ("ring.pad", "ring.tail")


@dataclass(frozen=True)
class Step:
    """One disturbance. ``pause_seconds`` is waited before it, ``seconds`` it lasts."""

    pause_seconds: float
    action: Action
    target: str
    point: str = ""
    nth: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Cast:
    """Who there is. ``passers``: per fault point the processes that pass it."""

    producers: tuple[str, ...]
    stores: tuple[str, ...]
    passers: Mapping[str, tuple[str, ...]]
    servers: tuple[str, ...] = ()
    """Stores that have a server."""

    def can_suffer(self, action: Action) -> bool:
        """Whether there is somebody to do it to."""
        return bool(self.servers) or action not in SERVER_ACTIONS


def plan(seed: int, cast: Cast) -> Iterator[Step]:
    """Endless, and the same for the same seed and cast.

    The first round holds every fault point, every kind of disturbance and the kill of every
    kind of process once, in random order; what follows is drawn at random.
    """
    # Not for secrets: a seed must give the same plan again.
    draw = random.Random(seed)  # noqa: S311
    yield from first_round(draw, cast)
    weights = {action: weight for action, weight in _WEIGHTS.items() if cast.can_suffer(action)}
    while True:
        (action,) = draw.choices(list(weights), weights=list(weights.values()))
        yield _step(draw, cast, action)


def first_round(draw: random.Random, cast: Cast) -> list[Step]:
    """Everything once.

    What is done to a system that starts or stops comes in one piece, since a start costs the
    time of several kills, and one that fails leaves the system ready for the next.
    """
    points: dict[Occasion, list[str]] = {occasion: [] for occasion in Occasion}
    for point in cast.passers:
        points[occasion_of(point)].append(point)
    at_work = (Occasion.WORK, Occasion.NEXT_LIFE, Occasion.OUTAGE)
    steps = [_aimed(draw, cast, point) for occasion in at_work for point in points[occasion]]
    # Full memory begins with a kill of everything.
    others = [a for a in Action if a not in (Action.FAULT, Action.KILL_ALL) and cast.can_suffer(a)]
    steps += [_step(draw, cast, action) for action in others]
    kinds = (FORKSERVER, BROKER, draw.choice(cast.producers), draw.choice(cast.stores))
    steps += [Step(_pause(draw), Action.KILL, target) for target in kinds]
    draw.shuffle(steps)
    starts = [_aimed(draw, cast, point) for point in points[Occasion.START]]
    draw.shuffle(starts)
    starts.insert(0, Step(_pause(draw), Action.KILL, SUPERVISOR))
    stops = points[Occasion.STOP] + points[Occasion.START_AFTER_STOP]
    where = draw.randint(0, len(steps))
    return steps[:where] + starts + [_aimed(draw, cast, p) for p in stops] + steps[where:]


_WEIGHTS: Final = {
    Action.KILL: 50,
    Action.FAULT: 25,
    Action.KILL_ALL: 5,
    Action.FREEZE: 6,
    Action.PAUSE_AT: 4,
    Action.RESTART: 5,
    Action.CLOCK: 2,
    Action.SLOW: 1,
    Action.FULL_DISK: 1,
    Action.FULL_MEMORY: 1,
    Action.SERVER_KILL: 10,
    Action.SERVER_FREEZE: 4,
    Action.SERVER_AWAY: 4,
    Action.CUT: 8,
    Action.LOST_ANSWER: 4,
}


def _step(draw: random.Random, cast: Cast, action: Action) -> Step:
    jobs = (*cast.producers, *cast.stores)
    pause = _pause(draw)
    if action is Action.FAULT:
        return _aimed(draw, cast, draw.choice(sorted(cast.passers)))
    if action is Action.KILL:
        # Stores and producers more often than the offices: there are more moments to hit.
        target = draw.choice((*cast.producers, *cast.stores * 2, *OFFICES))
        return Step(pause, action, target)
    if action is Action.FREEZE:
        target = draw.choice((*jobs, *OFFICES))
        return Step(pause, action, target, seconds=draw.uniform(0.2, 2.0))
    if action is Action.PAUSE_AT:
        daily = sorted(p for p in cast.passers if occasion_of(p) is Occasion.WORK)
        point = draw.choice(daily)
        target = draw.choice(cast.passers[point])
        return Step(pause, action, target, point, _nth(draw, point), draw.uniform(0.2, 1.0))
    if action is Action.CLOCK:
        return Step(pause, action, draw.choice(jobs), seconds=3600.0)
    if action in SERVER_ACTIONS:
        return Step(pause, action, draw.choice(cast.servers), seconds=draw.uniform(0.0, 3.0))
    if action in (Action.RESTART, Action.SLOW):
        target = draw.choice(jobs if action is Action.RESTART else cast.stores)
        return Step(pause, action, target, seconds=draw.uniform(1.0, 3.0))
    return Step(pause, action, SUPERVISOR, seconds=draw.uniform(0.5, 2.0))


def _aimed(draw: random.Random, cast: Cast, point: str) -> Step:
    target = draw.choice(cast.passers[point])
    return Step(_pause(draw), Action.FAULT, target, point, _nth(draw, point))


def _nth(draw: random.Random, point: str) -> int:
    if occasion_of(point) is Occasion.START:
        return draw.randint(1, _MOST_AT_START)
    if occasion_of(point) is not Occasion.WORK or point in _ONCE_A_LAP:
        return 1
    return draw.randint(1, _MOST_PASSES[point.partition(".")[0]])


def occasion_of(point: str) -> Occasion:
    """When a point is passed."""
    return OCCASIONS.get(point, Occasion.WORK)


def _pause(draw: random.Random) -> float:
    return draw.uniform(0.0, _LONGEST_PAUSE_SECONDS)
