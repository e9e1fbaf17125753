"""When a job that ended is started again. Pure: tests script it and never sleep."""

from dataclasses import dataclass

from enrgdaq.models import RestartConfig


@dataclass(frozen=True)
class Exit:
    """One life of a job that ended unasked; times are monotonic seconds."""

    at: float
    ran_seconds: float


@dataclass(frozen=True)
class Verdict:
    """``delay_seconds`` until the next start; ``None``: not again without being told."""

    delay_seconds: float | None


def decide(
    exits: list[Exit], now: float, rules: RestartConfig, *, never_gives_up: bool, least_delay: float
) -> Verdict:
    """What to do after the last of ``exits``.

    The delay doubles with each exit since the job last ran ``forgiven_after_seconds``. A
    source that ended more than ``max_restarts`` times in the window is failed; a store that
    is owed data never gives up.
    """
    in_window = [e for e in exits if now - e.at <= rules.window_seconds]
    if not never_gives_up and rules.max_restarts and len(in_window) > rules.max_restarts:
        return Verdict(None)
    in_a_row = 0
    for ended in reversed(exits):
        if ended.ran_seconds >= rules.forgiven_after_seconds:
            break
        in_a_row += 1
    # 2**32 would overflow nothing but patience; the cap is reached long before.
    doublings = min(max(0, in_a_row - 1), 32)
    delay = min(rules.first_delay_seconds * 2**doublings, rules.longest_delay_seconds)
    return Verdict(max(delay, least_delay))
