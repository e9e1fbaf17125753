"""What is done to which node or link, and when: decided by a seed, before anything happens."""

import enum
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from enrgdaq.trials.chaos.plan import SUPERVISOR

HUB: Final = "hub"
MIRROR: Final = "mirror"
UPLINK: Final = "uplink"

_LONGEST_PAUSE: Final = 0.4  # of the longest outage, so that several go on at once
_MIRROR_POINTS: Final = ("ring.due", "ring.head", "ring.sequence", "ring.pad", "ring.tail")
_UPLINK_POINTS: Final = ("ring.cursor",)
_MOST_PASSES: Final = 4


class Deed(enum.Enum):
    """One kind of disturbance; the values are what reports show."""

    KILL = "kill"
    KILL_ALL = "kill everything"
    AIM = "fault point"
    CUT = "link cut"
    REFUSE = "link refused"
    STALL = "link stalled"
    FORGET = "connections forgotten"
    SERVER_KILL = "server kill"
    SERVER_FREEZE = "server freeze"
    SERVER_STOP = "server away"


LINK_DEEDS: Final = (Deed.CUT, Deed.REFUSE, Deed.STALL, Deed.FORGET)

SERVER_DEEDS: Final = (Deed.SERVER_KILL, Deed.SERVER_FREEZE, Deed.SERVER_STOP)

_WEIGHTS: Final = {
    Deed.KILL: 50,
    Deed.KILL_ALL: 5,
    Deed.AIM: 10,
    Deed.CUT: 14,
    Deed.REFUSE: 7,
    Deed.STALL: 10,
    Deed.FORGET: 7,
    Deed.SERVER_KILL: 14,
    Deed.SERVER_FREEZE: 8,
    Deed.SERVER_STOP: 8,
}


@dataclass(frozen=True)
class NodeStep:
    """One disturbance; ``pause_seconds`` is waited before it.

    ``node``: of a link, its spoke; or a server. ``seconds``: how long a link is out of order, or
    a node or server is down; what comes next comes meanwhile.
    """

    pause_seconds: float
    deed: Deed
    node: str
    target: str = ""
    point: str = ""
    nth: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class NodeCast:
    """Who there is: jobs by node, the links' own among them. ``longest_seconds``: of an outage.

    ``servers``: of the engine that carries links, where there is one; then the hub has a link too.
    """

    jobs: Mapping[str, tuple[str, ...]]
    longest_seconds: float
    servers: tuple[str, ...] = ()

    @property
    def spokes(self) -> tuple[str, ...]:
        """All nodes but the hub."""
        return tuple(node for node in self.jobs if node != HUB)

    @property
    def links(self) -> tuple[str, ...]:
        """The nodes whose link can be out of order."""
        return tuple(self.jobs) if self.servers else self.spokes

    @property
    def deeds(self) -> tuple[Deed, ...]:
        """What can be done to them."""
        return tuple(deed for deed in Deed if self.servers or deed not in SERVER_DEEDS)


def plan(seed: int, cast: NodeCast) -> Iterator[NodeStep]:
    """Endless, and the same for the same seed and cast.

    First each kind of disturbance and the kill of each kind of process once, in random order.
    """
    # Not for secrets: a seed must give the same plan again.
    draw = random.Random(seed)  # noqa: S311
    first = _first_round(draw, cast)
    draw.shuffle(first)
    yield from first
    weights = {deed: _WEIGHTS[deed] for deed in cast.deeds}
    while True:
        (deed,) = draw.choices(list(weights), weights=list(weights.values()))
        yield _step(draw, cast, deed)


def _first_round(draw: random.Random, cast: NodeCast) -> list[NodeStep]:
    own = (SUPERVISOR, MIRROR, UPLINK)
    store = draw.choice([job for job in cast.jobs[HUB] if job not in own])
    spoke = draw.choice(cast.spokes)
    source = draw.choice([job for job in cast.jobs[spoke] if job not in own])
    kills = [(HUB, SUPERVISOR), (HUB, MIRROR), (HUB, store)]
    kills += [(spoke, source), *((draw.choice(cast.spokes), job) for job in (SUPERVISOR, UPLINK))]
    steps = [_kill(draw, cast, node, job) for node, job in kills]
    return steps + [_step(draw, cast, deed) for deed in cast.deeds if deed is not Deed.KILL]


def _step(draw: random.Random, cast: NodeCast, deed: Deed) -> NodeStep:
    node = draw.choice(tuple(cast.jobs))
    if deed is Deed.KILL:
        # The links' own jobs more often: what is tried here is theirs.
        own = [job for job in cast.jobs[node] if job in (MIRROR, UPLINK)]
        return _kill(draw, cast, node, draw.choice([*cast.jobs[node], *own * 3]))
    if deed is Deed.AIM:
        pairs = [(HUB, MIRROR, point) for point in _MIRROR_POINTS]
        pairs += [(s, UPLINK, point) for s in cast.spokes for point in _UPLINK_POINTS]
        node, target, point = draw.choice(pairs)
        nth = draw.randint(1, _MOST_PASSES)
        return NodeStep(_pause(draw, cast), deed, node, target, point, nth)
    seconds = draw.uniform(0.0, cast.longest_seconds)
    if deed is Deed.KILL_ALL:
        return NodeStep(_pause(draw, cast), deed, node, SUPERVISOR, seconds=seconds)
    whom = draw.choice(cast.servers if deed in SERVER_DEEDS else cast.links)
    return NodeStep(_pause(draw, cast), deed, whom, seconds=seconds)


def _kill(draw: random.Random, cast: NodeCast, node: str, job: str) -> NodeStep:
    away = draw.uniform(0.0, cast.longest_seconds) if job == SUPERVISOR else 0.0
    return NodeStep(_pause(draw, cast), Deed.KILL, node, job, seconds=away)


def _pause(draw: random.Random, cast: NodeCast) -> float:
    return draw.uniform(0.0, _LONGEST_PAUSE * cast.longest_seconds)
