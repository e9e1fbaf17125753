"""A long thin line in front of a port: python thin_line.py PORT DELAY_MS MBIT.

Prints the port where it listens. Bytes of each direction arrive so much later, and no faster than
so many megabits a second. There is no loss: what TCP does about it is not ours to measure.
"""

import contextlib
import selectors
import socket
import sys
import time
from collections import deque

_READ = 65_536
_AHEAD_BYTES = 4 << 20  # what lies on the line; beyond it the sender is not read from


class Direction:
    """Bytes on their way to one end."""

    def __init__(self, near: socket.socket, far: socket.socket, delay: float, rate: float) -> None:
        self.near, self.far = near, far
        self._delay, self._rate = delay, rate
        self._free_at = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self.bytes = 0

    def take(self) -> bool:
        """Read what is there; ``False`` at the end."""
        try:
            data = self.near.recv(_READ)
        except ConnectionError:
            return False
        if not data:
            return False
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + len(data) / self._rate
        self._waiting.append((self._free_at + self._delay, data))
        self.bytes += len(data)
        return True

    def give(self) -> float:
        """Send what has arrived; seconds until there is more."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, data = self._waiting.popleft()
            self.bytes -= len(data)
            # One end has gone: the other end is read to its own end.
            with contextlib.suppress(ConnectionError):
                self.far.sendall(data)
        return self._waiting[0][0] - now if self._waiting else 1.0


def serve(port: int, delay: float, rate: float) -> None:
    """Relay until this is ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    directions: dict[socket.socket, Direction] = {}
    while True:
        wait = min((one.give() for one in directions.values()), default=1.0)
        for near, one in directions.items():
            wanted = selectors.EVENT_READ if one.bytes < _AHEAD_BYTES else 0
            if wanted and near not in selector.get_map():
                selector.register(near, wanted)
            elif not wanted and near in selector.get_map():
                selector.unregister(near)
        for key, _ in selector.select(max(0.0, min(wait, 0.05))):
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            if ready is listening:
                near, _ = listening.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", port))
                except ConnectionRefusedError:
                    near.close()
                    continue
                for one, other in ((near, far), (far, near)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    directions[one] = Direction(one, other, delay, rate)
            elif ready in directions and not directions[ready].take():
                for end in (ready, directions[ready].far):
                    if end in selector.get_map():
                        selector.unregister(end)
                    directions.pop(end).near.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]) / 1e3, float(sys.argv[3]) * 1e6 / 8)
