"""The plan is the same for the same seed, and leaves nothing out."""

from itertools import islice
from random import Random

import pytest

from enrgdaq.transport.faults import POINTS
from enrgdaq.trials.chaos.plan import (
    OCCASIONS,
    OFFICES,
    SERVER_ACTIONS,
    Action,
    Cast,
    first_round,
    plan,
)
from enrgdaq.trials.chaos.stores import BACKENDS
from enrgdaq.trials.chaos.system import SUPERVISOR_POINTS, WRITER_POINTS

PASSERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(WRITER_POINTS, ("p1", "p2")),
    **{point: ("csv",) for backend in BACKENDS for point in backend.points},
    **dict.fromkeys(SUPERVISOR_POINTS, ("supervisor",)),
}
STORES = ("csv", "raw", "mysql", "redis")
CAST = Cast(("p1", "p2"), STORES, PASSERS, servers=("mysql", "redis"))
FILES = Cast(("p1", "p2"), STORES[:2], PASSERS)


def test_somebody_passes_every_point() -> None:
    assert set(PASSERS) == set(POINTS)
    assert set(OCCASIONS) <= set(POINTS)


def test_same_seed_same_plan() -> None:
    plans = [list(islice(plan(seed, CAST), 300)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize("seed", range(20))
def test_first_round_has_everything_once(seed: int) -> None:
    steps = first_round(Random(seed), CAST)
    assert sorted(step.point for step in steps if step.action is Action.FAULT) == sorted(POINTS)
    assert {step.action for step in steps} == set(Action) - {Action.KILL_ALL}
    assert set(OFFICES) <= {step.target for step in steps if step.action is Action.KILL}
    for step in steps:
        if step.point:
            assert step.target in PASSERS[step.point]
        if step.action in SERVER_ACTIONS:
            assert step.target in CAST.servers


def test_nothing_is_done_to_servers_that_are_not_there() -> None:
    actions = {step.action for step in islice(plan(1, FILES), 1000)}
    assert actions == set(Action) - set(SERVER_ACTIONS)
