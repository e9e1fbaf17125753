"""The plan of a trial over NATS: servers have their turn, and the star's plan is what it was."""

from itertools import islice

from enrgdaq.trials.chaos.nodes.plan import HUB, LINK_DEEDS, SERVER_DEEDS, NodeCast, plan
from tests.trials.chaos.nodes.test_plan import CAST

SERVERS = ("nats-1", "nats-2", "nats-3")
OVER_NATS = NodeCast(CAST.jobs, CAST.longest_seconds, SERVERS)


def test_servers_and_the_link_of_the_hub_are_disturbed() -> None:
    steps = list(islice(plan(1, OVER_NATS), 1_000))
    assert {step.deed for step in steps} >= set(SERVER_DEEDS)
    assert {step.node for step in steps if step.deed in SERVER_DEEDS} == set(SERVERS)
    assert HUB in {step.node for step in steps if step.deed in LINK_DEEDS}


def test_a_star_has_no_servers() -> None:
    assert not {step.deed for step in islice(plan(1, CAST), 1_000)} & set(SERVER_DEEDS)
