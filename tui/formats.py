"""Figures as people read them. Units are decimal; nothing jitters more than it must."""

import time


def number(value: float) -> str:
    """At most five characters: ``0 0.25 3.1 42 981 1.23k 45.6M``."""
    if value < 0.005:
        return "0"
    if value < 0.995:
        return f"{value:.2f}"
    if value < 9.95:
        return f"{value:.1f}"
    if value < 999.5:
        return f"{value:.0f}"
    for unit in "kMGTP":
        value /= 1000
        if value < 9.995:
            return f"{value:.2f}{unit}"
        if value < 99.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return "huge"


def count(value: int) -> str:
    """Like :func:`number`, for what is counted one by one."""
    return str(value) if value < 1000 else number(value)


def size(value: float) -> str:
    """Bytes with their unit: ``12 B``, ``85.1 MB``."""
    text = number(value)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def age(seconds: float | None) -> str:
    """At most four characters, in whole units: ``- now 12s 3m 5h 2d``."""
    if seconds is None:
        return "-"
    if seconds < 2:
        return "now"
    for limit, divisor, unit in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / divisor)}{unit}"
    return f"{int(seconds / 86400)}d"


def span(seconds: float) -> str:
    """A duration in its two leading units: ``3 d 4 h``."""
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} m"
    if minutes:
        return f"{minutes} m {whole % 60} s"
    return f"{whole} s"


def clock(seconds: float, *, is_local: bool) -> str:
    """Time of day of seconds since 1970, in UTC or in this host's time."""
    moment = time.localtime(seconds) if is_local else time.gmtime(seconds)
    return time.strftime("%H:%M:%S", moment)


def moment(seconds: float, *, is_local: bool) -> str:
    """Day and time of day of seconds since 1970: ``01-31 12:00:00``."""
    found = time.localtime(seconds) if is_local else time.gmtime(seconds)
    return time.strftime("%m-%d %H:%M:%S", found)


def zone(seconds: float, *, is_local: bool) -> str:
    """The name of the zone that :func:`clock` tells the time of."""
    return time.strftime("%Z", time.localtime(seconds)) if is_local else "UTC"


def utc_date(seconds: float) -> str:
    """Date and time of day, UTC, of seconds since 1970."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
