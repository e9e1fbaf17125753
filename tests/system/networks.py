"""Hosts of our own: a network namespace, and the line to it from this one."""

import contextlib
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IP = shutil.which("ip") or "ip"
_LOSSY_LINE = Path(__file__).parent.parent / "benchmarks" / "lossy_line.py"


class NoNetworksError(Exception):
    """This account may make no network namespaces, or the kernel has none."""


@dataclass(frozen=True)
class FarHost:
    """A namespace; ``near`` is this end of the line to it, which has the near address."""

    namespace: str
    near: str
    near_address: str

    @property
    def prefix(self) -> list[str]:
        """What runs a command there."""
        return [IP, "netns", "exec", self.namespace]

    def unplug(self) -> None:
        """Pull the cable."""
        ip("link", "set", self.near, "down")

    def plug(self) -> None:
        """Put the cable back."""
        ip("link", "set", self.near, "up")


def ip(*arguments: str) -> None:
    """Run ``ip``. Raises :class:`NoNetworksError`."""
    try:
        done = subprocess.run([IP, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoNetworksError("there is no program called ip: install iproute2") from error
    if done.returncode:
        raise NoNetworksError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@contextlib.contextmanager
def cabled_host() -> Iterator[FarHost]:
    """A host at the other end of a cable. Raises :class:`NoNetworksError`."""
    with _namespace() as (name, namespace):
        near, far = f"dn{name}", f"df{name}"
        ip("link", "add", near, "type", "veth", "peer", "name", far)
        try:
            yield _connect(name, namespace, near, far)
        finally:
            # The other end goes with this one.
            with contextlib.suppress(NoNetworksError):
                ip("link", "del", near)


@contextlib.contextmanager
def host_behind_lossy_line(
    delay_ms: float, mbit: float, loss: float, *, seed: int = 1
) -> Iterator[FarHost]:
    """A host behind a line that delays (each way), is slow, and loses packets.

    Raises :class:`NoNetworksError`.
    """
    with _namespace() as (name, namespace):
        near, far = f"dn{name}", f"df{name}"
        figures = [str(figure) for figure in (delay_ms, mbit, loss, seed)]
        with subprocess.Popen(
            [sys.executable, str(_LOSSY_LINE), near, far, *figures],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as line:
            try:
                assert line.stdout is not None
                assert line.stderr is not None
                if not line.stdout.readline():
                    raise NoNetworksError(line.stderr.read().decode().strip().rpartition("\n")[2])
                yield _connect(name, namespace, near, far)
            finally:
                line.kill()


@contextlib.contextmanager
def _namespace() -> Iterator[tuple[str, str]]:
    name = uuid.uuid4().hex[:8]
    namespace = f"dt-{name}"
    ip("netns", "add", namespace)
    try:
        yield name, namespace
    finally:
        with contextlib.suppress(NoNetworksError):
            ip("netns", "del", namespace)


def _connect(name: str, namespace: str, near: str, far: str) -> FarHost:
    net = f"10.{200 + int(name[:2], 16) % 50}.{int(name[2:4], 16)}"
    last = 4 * (int(name[4:6], 16) // 4)
    here, there = f"{net}.{last + 1}", f"{net}.{last + 2}"
    ip("link", "set", far, "netns", namespace)
    ip("addr", "add", f"{here}/30", "dev", near)
    ip("link", "set", near, "up")
    for command in (f"addr add {there}/30 dev {far}", f"link set {far} up", "link set lo up"):
        ip("-n", namespace, *command.split())
    return FarHost(namespace, near, here)
