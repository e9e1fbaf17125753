"""A line that delays and loses packets: python lossy_line.py NEAR FAR DELAY_MS MBIT LOSS SEED.

Makes two TUN devices and carries packets between them, each so much later, no faster than so many
megabits a second, and each lost with a probability. For kernels without netem. Needs root. What
does not fit into the queue is lost too, as in a router.
"""

import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST_PACKET = 65_536
_QUEUE_SECONDS = 0.1  # of a router: what waits longer was not taken


def open_tun(name: str) -> int:
    """A descriptor that reads and writes the packets of a new device, which goes with it."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH14x", name.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    return descriptor


class Direction:
    """Packets on their way to one end."""

    def __init__(self, near: int, far: int, delay: float, rate: float, loss: float) -> None:
        self.near, self._far = near, far
        self._delay, self._rate, self._loss = delay, rate, loss
        self._free_at = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()

    def take(self, chance: random.Random) -> None:
        """Read the packets that are there."""
        while True:
            try:
                packet = os.read(self.near, _LARGEST_PACKET)
            except OSError:  # none, or the device is down
                return
            now = time.monotonic()
            begins_at = max(self._free_at, now)
            if begins_at - now > _QUEUE_SECONDS or chance.random() < self._loss:
                continue
            self._free_at = begins_at + len(packet) / self._rate
            self._waiting.append((self._free_at + self._delay, packet))

    def give(self) -> float:
        """Send what has arrived; seconds until there is more."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, packet = self._waiting.popleft()
            try:
                os.write(self._far, packet)
            except OSError:  # the device is down: nobody is there
                continue
        return self._waiting[0][0] - now if self._waiting else 1.0


def main(near: str, far: str, *figures: str) -> None:
    """Carry packets until this is ended."""
    delay_ms, mbit, loss, seed = (float(figure) for figure in figures)
    ends = open_tun(near), open_tun(far)
    print("ready", flush=True)
    line = delay_ms / 1e3, mbit * 1e6 / 8, loss
    directions = [Direction(ends[0], ends[1], *line), Direction(ends[1], ends[0], *line)]
    chance = random.Random(seed)
    while True:
        wait = min(direction.give() for direction in directions)
        ready, _, _ = select.select(ends, (), (), max(0.0, wait))
        for direction in directions:
            if direction.near in ready:
                direction.take(chance)


if __name__ == "__main__":
    main(*sys.argv[1:])
