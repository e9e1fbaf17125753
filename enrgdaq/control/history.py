"""The last hour of every topic's rate: kept by the supervisor, and by whoever draws it."""

import math
import sys
from array import array
from collections.abc import Iterable

from enrgdaq.control.protocol import RateSeries, TopicHistory

ALL_TOPICS = ""
"""Stands for the sum of all."""
FINE_SECONDS, COARSE_SECONDS = 1.0, 10.0
SLOTS = 361
MOST_TOPICS = 2000
"""Of which a history keeps 12 MB; further ones have none."""

_UNKNOWN = math.nan


class Track:
    """The highest value in each of the last ``SLOTS`` spans of ``slot`` seconds: 1.4 kB."""

    def __init__(self, slot: float) -> None:
        self._slot = slot
        self._values = array("f", [_UNKNOWN]) * SLOTS
        self._newest = 0

    def add(self, time: float, value: float) -> None:
        """Note a value. A clock that was set back takes away what is later than it."""
        number = int(time // self._slot)
        passed = number - self._newest
        if passed:
            first = min(number, self._newest) + 1
            for skipped in range(first, first + min(abs(passed), SLOTS)):
                self._values[skipped % SLOTS] = _UNKNOWN
            self._newest = number
        before = self._values[number % SLOTS]
        if not before >= value:
            self._values[number % SLOTS] = value

    def packed(self) -> tuple[int, bytes]:
        """The newest slot's number, and the values up to it: little-endian float32."""
        first = self._newest - SLOTS + 1
        values = array("f", [self._values[n % SLOTS] for n in range(first, self._newest + 1)])
        begin = next((n for n, value in enumerate(values) if not math.isnan(value)), SLOTS)
        return self._newest, _in_wire_order(values[begin:]).tobytes()

    def fill(self, newest: int, packed: bytes) -> None:
        """Take what somebody else knows of slots that are unknown here."""
        values = array("f")
        values.frombytes(packed[: len(packed) // values.itemsize * values.itemsize])
        values = _in_wire_order(values)
        if not self._newest:
            self._newest = newest
        for number, value in enumerate(values[-SLOTS:], newest - min(len(values), SLOTS) + 1):
            is_kept = self._newest - SLOTS < number <= self._newest
            if is_kept and math.isnan(self._values[number % SLOTS]):
                self._values[number % SLOTS] = value

    def points(self, since: float, until: float) -> list[tuple[float, float]]:
        """(time, value) of the slots in this time that are known, oldest first."""
        first = max(int(since // self._slot), self._newest - SLOTS + 1)
        last = min(int(until // self._slot), self._newest)
        return [
            (number * self._slot, value)
            for number in range(first, last + 1)
            if not math.isnan(value := self._values[number % SLOTS])
        ]


class History:
    """Rates per topic, bounded in time and size. Topics that are not reported are dropped."""

    def __init__(self) -> None:
        self._tracks: dict[str, tuple[Track, Track, Track, Track]] = {}

    def add(self, time: float, rates: Iterable[tuple[str, float, float]]) -> None:
        """Note (topic, messages per second, bytes per second) of one snapshot."""
        reported = set()
        for topic, messages, size in rates:
            reported.add(topic)
            if topic not in self._tracks:
                if len(self._tracks) >= MOST_TOPICS:
                    continue
                self._tracks[topic] = (
                    *(Track(FINE_SECONDS), Track(FINE_SECONDS)),
                    *(Track(COARSE_SECONDS), Track(COARSE_SECONDS)),
                )
            fine_messages, fine_size, coarse_messages, coarse_size = self._tracks[topic]
            fine_messages.add(time, messages)
            fine_size.add(time, size)
            coarse_messages.add(time, messages)
            coarse_size.add(time, size)
        for topic in self._tracks.keys() - reported:
            del self._tracks[topic]

    def packed(self, topics: Iterable[str]) -> list[TopicHistory]:
        """What is known of these topics, for :meth:`fill`."""
        found = []
        for topic in topics:
            if topic in self._tracks:
                series = [RateSeries(*track.packed()) for track in self._tracks[topic]]
                found.append(TopicHistory(topic=topic, series=series))
        return found

    def fill(self, histories: Iterable[TopicHistory]) -> None:
        """Take what another history knows and this one does not; of topics that both have."""
        for one in histories:
            for track, series in zip(self._tracks.get(one.topic, ()), one.series, strict=False):
                track.fill(series.newest, series.values)

    def points(
        self, topic: str, now: float, seconds: float, *, is_bytes: bool
    ) -> list[tuple[float, float]]:
        """(time, rate) of the last ``seconds`` before ``now``, oldest first."""
        tracks = self._tracks.get(topic)
        if tracks is None:
            return []
        is_coarse = seconds > FINE_SECONDS * (SLOTS - 1)
        track = tracks[2 * is_coarse + is_bytes]
        return track.points(now - seconds, now)


def _in_wire_order(values: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        values.byteswap()
    return values
