"""What a node tells a server before it knows who that is."""

import json
import socket
import threading
from pathlib import Path

import nkeys
import pytest

from enrgdaq.errors import ServerAwayError
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.login import Login

_INFO = {
    "server_id": "x",
    "version": "2.9.10",
    "headers": True,
    "jetstream": True,
    "max_payload": 1 << 20,
    "nonce": "what another server asks to be signed",
    "auth_required": True,
}


class PlainServer:
    """Speaks as much of NATS as it takes to be logged in to, all in plain text."""

    def __init__(self) -> None:
        self.heard = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait until the client is gone."""
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        client, _ = self._socket.accept()
        with client:
            client.settimeout(5)
            client.sendall(b"INFO %s\r\n" % json.dumps(_INFO).encode())
            while piece := client.recv(65_536):
                self.heard += piece
                if b"PING" in piece:
                    client.sendall(b"PONG\r\n")


@pytest.mark.parametrize("scheme", ["tls", "nats"])
def test_nothing_is_signed_for_a_server_without_the_tls_that_is_asked_for(
    tmp_path: Path, scheme: str
) -> None:
    seed = tmp_path / "seed"
    seed.touch(mode=0o600)
    seed.write_bytes(nkeys.encode_seed(b"1" * 32, nkeys.PREFIX_BYTE_USER))
    server = PlainServer()
    login = Login([f"{scheme}://127.0.0.1:{server.port}"], nkey_seed_file=seed)
    if scheme == "tls":
        with pytest.raises(ServerAwayError, match="does not speak TLS, which is asked for here"):
            Connection(login, name="test", timeout_seconds=3.0)
    else:
        Connection(login, name="test", timeout_seconds=3.0).close()
    server.close()
    assert (b'"sig"' in server.heard) == (scheme == "nats")
    assert (b"CONNECT" in server.heard) == (scheme == "nats")
