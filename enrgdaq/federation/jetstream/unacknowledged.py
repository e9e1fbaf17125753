"""Deliveries that wait for room in the mirror ring, so that the server does not send them again."""


class Unacknowledged:
    """The newest delivery of each message: the server has given up those before it itself."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, int], tuple[str, float]] = {}
        self._places: dict[str, tuple[str, int]] = {}

    def hear(self, stream: str, sequence: int, reply: str, now: float) -> None:
        """A message came, which is acknowledged by ``reply``."""
        place = stream, sequence
        self._forget(place)
        self._newest[place] = reply, now
        self._places[reply] = place

    def begin(self, stream: str) -> None:
        """A stream begins, maybe anew: what it delivered before is not acknowledged any more."""
        for place in [place for place in self._newest if place[0] == stream]:
            self._forget(place)

    def end(self, reply: str) -> None:
        """It is acknowledged."""
        place = self._places.get(reply)
        if place is not None:
            self._forget(place)

    def since(self, late: float) -> list[str]:
        """Where to ask for patience: for all that came before a moment."""
        return [reply for reply, came in self._newest.values() if came < late]

    def _forget(self, place: tuple[str, int]) -> None:
        found = self._newest.pop(place, None)
        if found is not None:
            self._places.pop(found[0], None)
