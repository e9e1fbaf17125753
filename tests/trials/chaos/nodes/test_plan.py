"""The plan for nodes is the same for the same seed, and leaves nothing out."""

from itertools import islice

import pytest

from enrgdaq.trials.chaos.nodes.plan import HUB, LINK_DEEDS, Deed, NodeCast, plan
from enrgdaq.trials.chaos.plan import SUPERVISOR

CAST = NodeCast(
    {
        HUB: (SUPERVISOR, "mirror", "csv", "raw"),
        "spoke-1": (SUPERVISOR, "uplink", "tables-1"),
        "spoke-2": (SUPERVISOR, "uplink", "mirror", "csv", "tables-2"),
    },
    longest_seconds=10.0,
)
FIRST = len(CAST.deeds) - 1 + 6


def test_same_seed_same_plan() -> None:
    plans = [list(islice(plan(seed, CAST), 300)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize("seed", range(20))
def test_first_round_has_everything_once(seed: int) -> None:
    steps = list(islice(plan(seed, CAST), FIRST))
    assert {step.deed for step in steps} == set(CAST.deeds)
    kills = {(step.node == HUB, step.target) for step in steps if step.deed is Deed.KILL}
    assert kills > {(True, SUPERVISOR), (True, "mirror"), (False, SUPERVISOR), (False, "uplink")}
    assert len(kills) == 6


def test_only_what_is_there_is_disturbed() -> None:
    for step in islice(plan(1, CAST), 1_000):
        if step.deed in LINK_DEEDS:
            assert step.node in CAST.spokes
        else:
            assert step.target in CAST.jobs[step.node]
        assert 0.0 <= step.seconds <= CAST.longest_seconds
