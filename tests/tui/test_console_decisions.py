"""What keys may do to a job."""

import pytest
from scripted_supervisor import job, snapshot

from tui.decisions import Intent, Order, Plan, plan, plan_group, still_fits


@pytest.mark.parametrize(
    ("state", "restart", "toggle"),
    [
        ("running", Order.RESTART, Order.STOP),
        ("starting", Order.RESTART, Order.STOP),
        ("backoff", Order.RESTART, Order.STOP),
        ("stopped", Order.START, Order.START),
        ("failed", Order.START, Order.START),
        ("stopping", None, None),
        ("a state of a later version", None, None),
    ],
)
def test_orders(state: str, restart: Order | None, toggle: Order | None) -> None:
    one = job("csv", "store", state)
    for intent, expected in ((Intent.RESTART, restart), (Intent.TOGGLE, toggle)):
        planned = plan(intent, one, snapshot([one]))
        assert (planned.order if isinstance(planned, Plan) else None) is expected


def test_nothing_is_done_while_acquisition_stops() -> None:
    one = job("csv", "store")
    answer = plan(Intent.RESTART, one, snapshot([one], state="stopping"))
    assert answer == "acquisition is being stopped"


def test_the_question_says_what_will_happen() -> None:
    one = job("csv", "store", pid=4242)
    planned = plan(Intent.RESTART, one, snapshot([one]))
    assert isinstance(planned, Plan)
    assert planned.question == "Restart csv?"
    assert planned.facts == ("pid 4242", "takes 1.23k msg/s, 4.90 MB/s", "101 MB wait for it")
    assert "nothing is lost" in planned.consequence


@pytest.mark.parametrize(
    ("kind", "one", "several"),
    [
        ("source", "nothing is taken from it.", "nothing is taken from them."),
        ("store", "What it is owed", "What they are owed"),
        ("monitor", "Data taking goes on.", "Data taking goes on."),
    ],
)
def test_the_question_counts_the_jobs_of_a_group(kind: str, one: str, several: str) -> None:
    listed = [job("a", kind), job("b", kind)]
    both, alone = plan_group(kind, snapshot(listed)), plan_group(kind, snapshot(listed[:1]))
    assert isinstance(both, Plan)
    assert both.question == f"Restart all 2 {kind}s?"
    assert both.facts[0].startswith("they take")
    assert several in both.consequence
    assert isinstance(alone, Plan)
    assert alone.question == f"Restart 1 {kind}?"
    assert alone.facts[0].startswith("it takes")
    assert one in alone.consequence


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (job("csv", "store", pid=4242), ""),
        (job("csv", "store", pid=4243), "another process"),
        (job("csv", "store", "stopping", pid=4242), "is stopping by now"),
        (job("csv", "store", "failed"), "is failed by now"),
        (job("other", "store", pid=4242), "no longer there"),
    ],
)
def test_the_second_key_looks_again(now: object, reason: str) -> None:
    before = job("csv", "store", pid=4242)
    planned = plan(Intent.TOGGLE, before, snapshot([before]))
    assert isinstance(planned, Plan)
    found = still_fits(planned, snapshot([now]))  # type: ignore[list-item]
    assert (reason in found) if reason else not found
