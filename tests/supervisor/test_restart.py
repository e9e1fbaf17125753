"""The restart policy, as scripted histories."""

from enrgdaq.models import RestartConfig
from enrgdaq.supervisor.restart import Exit, decide

RULES = RestartConfig()


def delay(exits: list[Exit], *, never_gives_up: bool = False, least: float = 0.0) -> float | None:
    now = exits[-1].at
    verdict = decide(exits, now, RULES, never_gives_up=never_gives_up, least_delay=least)
    return verdict.delay_seconds


def crashes(count: int, *, apart: float = 1.0, ran: float = 0.5) -> list[Exit]:
    return [Exit(at=number * apart, ran_seconds=ran) for number in range(count)]


def test_delay_doubles_up_to_the_longest() -> None:
    delays = [delay(crashes(n), never_gives_up=True) for n in range(1, 9)]
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_health_is_forgiveness() -> None:
    history = [*crashes(5), Exit(at=100.0, ran_seconds=61.0)]
    assert delay(history) == 1.0


def test_source_gives_up_after_too_many_in_the_window() -> None:
    assert delay(crashes(10)) is not None
    assert delay(crashes(11)) is None


def test_crashes_outside_the_window_do_not_count() -> None:
    assert delay(crashes(30, apart=61.0)) is not None


def test_store_never_gives_up() -> None:
    assert delay(crashes(1_000), never_gives_up=True) == 30.0


def test_offset_of_the_job_is_the_least_wait() -> None:
    assert delay(crashes(1), least=7.0) == 7.0
