"""A client of NATS that says nothing of itself before the line is encrypted."""

from nats.aio.client import Client

from enrgdaq.errors import TransportError


class EncryptedClient(Client):
    """Refuses servers that do not speak TLS, before it signs anything for them.

    The server says first whether it speaks TLS, in plain text: whoever sits between could talk the
    client out of it, and have it sign what another server asks.
    """

    def _connect_command(self) -> bytes:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is None or writer.get_extra_info("ssl_object") is None:
            raise TransportError("does not speak TLS, which is asked for here")
        return super()._connect_command()
