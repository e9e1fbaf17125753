"""NATS servers of one's own, alone or as a cluster, which may be killed, frozen and cut off."""

import contextlib
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from enrgdaq.trials.chaos.line import HeldPort
from enrgdaq.trials.chaos.servers import PrivateServer, find_program

_ANSWER_SECONDS: Final = 2.0
_LARGEST_INFO: Final = 1 << 16


class PrivateNats(PrivateServer):
    """One server with JetStream on a port of the loopback, its data in the folder."""

    programs = ("nats-server",)

    def __init__(
        self,
        folder: Path,
        name: str = "alone",
        *,
        routes: Mapping[str, int] | None = None,
        settings: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``routes``: ports by which servers of a cluster reach each other, by their names.

        ``settings``: further lines of its file.
        """
        super().__init__(folder, environment=environment)
        self.name = name
        self._held = HeldPort()
        self.port = self._held.number
        self._routes = dict(routes or {})
        self._lines = list(settings)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"nats://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Kill it, and let go of its port; idempotent."""
        self.kill()
        self._held.close()

    def _prepare(self) -> None:
        data = self.folder / "data"
        lines = [
            f'server_name: "{self.name}"',
            f'listen: "127.0.0.1:{self.port}"',
            f'jetstream: {{ store_dir: "{data}", max_file_store: 16GB, max_memory_store: 1GB }}',
            *self._lines,
        ]
        if self._routes:
            urls = [f'"nats://127.0.0.1:{port}"' for port in self._routes.values()]
            lines += [
                "cluster: {",
                '  name: "trial"',
                f'  listen: "127.0.0.1:{self._routes[self.name]}"',
                f"  routes: [{', '.join(urls)}]",
                "  no_advertise: true",
                "}",
            ]
        self._settings.touch(mode=0o600)
        self._settings.write_text("\n".join(lines) + "\n")

    def _command(self) -> list[str]:
        return [find_program("nats-server") or "", "-c", str(self._settings)]

    def _answers(self) -> bool:
        """Whether JetStream is up: in a cluster, whether it has a leader."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), _ANSWER_SECONDS) as line:
                info = line.recv(_LARGEST_INFO)
                if b'"auth_required":true' in info or b'"tls_required":true' in info:
                    # It does not talk to everybody; those who may talk to it wait themselves.
                    return True
                line.sendall(b"CONNECT {}\r\nSUB it 1\r\nPUB $JS.API.INFO it 0\r\n\r\n")
                return _has_streams(line)
        except OSError:
            return False

    @property
    def _settings(self) -> Path:
        return self.folder / "nats.conf"


def _has_streams(line: socket.socket) -> bool:
    said = b""
    while len(said) < _LARGEST_INFO:
        piece = line.recv(_LARGEST_INFO)
        said += piece
        _, found, answer = said.partition(b"MSG it 1 ")
        _, has_line, body = answer.partition(b"\r\n")
        if found and has_line and body.endswith(b"\r\n"):
            with contextlib.suppress(ValueError):
                return "error" not in json.loads(body)
        if not piece:
            break
    return False


class NatsCluster:
    """Three servers that replicate, or one alone."""

    def __init__(
        self,
        folder: Path,
        servers: int = 3,
        *,
        settings: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        names = [f"nats-{number}" for number in range(1, servers + 1)]
        self._held = {name: HeldPort() for name in names} if servers > 1 else {}
        routes = {name: port.number for name, port in self._held.items()}
        self.servers = [
            PrivateNats(
                folder / name, name, routes=routes, settings=settings, environment=environment
            )
            for name in names
        ]

    @property
    def urls(self) -> list[str]:
        """Where clients connect to."""
        return [server.url for server in self.servers]

    def start(self) -> None:
        """Start all, and wait until they have found each other."""
        for server in self.servers:
            server.prepare()
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait_for_answer()

    def close(self) -> None:
        """Kill all; idempotent."""
        with contextlib.ExitStack() as stack:
            for held in self._held.values():
                stack.callback(held.close)
            for server in self.servers:
                stack.callback(server.close)
