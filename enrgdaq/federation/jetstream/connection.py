"""A connection to NATS for jobs, which know nothing of event loops.

The client of NATS runs in one thread of its own; whoever calls waits there, never longer than
agreed. The client's own reconnecting is off: what was under way when a connection broke is not
known, so a new one begins with a look at what the server has.
"""

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

import nats.errors
from nats.aio.client import Client

from enrgdaq.errors import ServerAwayError, TransportError
from enrgdaq.federation.jetstream import api
from enrgdaq.federation.jetstream.encrypted import EncryptedClient
from enrgdaq.federation.jetstream.login import Login
from enrgdaq.federation.jetstream.messages import LARGEST_PAYLOAD, SMALLEST_PAYLOAD

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_CONNECT_SECONDS: Final = 4.0
_CLOSE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_PING_SECONDS: Final = 1.0
_NEVER: Final = 1 << 30  # the client's own pings are off: this one asks more often
_PENDING_BYTES: Final = 4 << 20
_API: Final = "$JS.API."
_NO_RESPONDERS: Final = "503"
_SUBSCRIPTION_BYTES: Final = 256 << 20

Result = TypeVar("Result")


class Connection:
    """One connection to one of the servers. Raises :class:`ServerAwayError` where it fails."""

    def __init__(self, login: Login, *, name: str, timeout_seconds: float) -> None:
        self.timeout = timeout_seconds
        self.address = ", ".join(login.servers)
        self.round_trip_ms: float | None = None
        self.inbox = f"_INBOX.{uuid.uuid4().hex}"
        """The beginning of subjects that only this connection hears."""
        self._login = login
        self._client: Client | None = None
        self._broken = ""
        self._ping: Future[None] | None = None
        self._pinged_at = 0.0
        self._ping_due = 0.0
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="nats", daemon=True)
        self._thread.start()
        try:
            self.call(self._connect(name), len(login.servers) * _CONNECT_SECONDS + 1.0)
        except BaseException:
            self.close()
            raise

    @property
    def client(self) -> Client:
        """The client, to be used in its loop only."""
        if self._client is None:
            raise ServerAwayError(f"{self.address}: is not connected")
        return self._client

    @property
    def largest_message(self) -> int:
        """Bytes that the server takes in one message."""
        return self.client.max_payload

    def call(
        self,
        work: Coroutine[Any, Any, Result],
        seconds: float | None = None,
        give_up: Callable[[], bool] = bool,
    ) -> Result:
        """Run in the loop and wait for it, from any other thread."""
        if self._is_closed:
            work.close()
            raise ServerAwayError(f"{self.address}: the connection is closed")
        future = asyncio.run_coroutine_threadsafe(_translated(self.address, work), self._loop)
        deadline = time.monotonic() + (self.timeout if seconds is None else seconds)
        while True:
            try:
                return future.result(_LOOK_SECONDS)
            except TimeoutError as error:
                late = time.monotonic() >= deadline
                if future.done() or not (late or give_up()):
                    continue
                future.cancel()
                reason = "no answer in time" if late else "slower than the data that comes in"
                raise ServerAwayError(f"{self.address}: {self._broken or reason}") from error

    def begin(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        """Run in the loop and do not wait."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def ask(self, kind: type[api.AnswerT], subject: str, request: Any = None) -> api.AnswerT:
        """Ask JetStream, in the loop. Raises :class:`api.RefusedError`."""
        data = b"" if request is None else api.encode(request)
        message = await self.client.request(_API + subject, data, timeout=self.timeout)
        answer = api.decode(kind, message.data)
        if answer.error is not None:
            raise api.RefusedError(subject, answer.error)
        return answer

    async def subscribe(self, subject: str, take: Callable[["Msg"], None]) -> None:
        """Hear a subject, in the loop; ``take`` must not wait."""

        async def callback(message: "Msg") -> None:
            take(message)

        await self.client.subscribe(subject, cb=callback, pending_bytes_limit=_SUBSCRIPTION_BYTES)

    def check(self) -> None:
        """Raise when the connection has ended."""
        if self._broken:
            raise ServerAwayError(f"{self.address}: {self._broken}")

    def look(self) -> None:
        """Raise when the server is gone or silent; asks it once a second, and never waits."""
        self.check()
        now = time.monotonic()
        if self._ping is not None and self._ping.done():
            self._ping = None
        if self._ping is None:
            if now >= self._ping_due:
                self._ping_due = now + _PING_SECONDS
                self._pinged_at = now
                self._ping = self.begin(self._round_trip())
        elif now - self._pinged_at > self.timeout:
            raise ServerAwayError(f"{self.address}: silent for {now - self._pinged_at:.1f} s")

    def close(self) -> None:
        """End the connection and its thread; idempotent, and takes two seconds at most."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(Exception):
            self.begin(self._disconnect()).result(2 * _CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2 * _CLOSE_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connect(self, name: str) -> None:
        reasons = []
        for server in self._login.in_turn():
            client = EncryptedClient() if self._login.is_encrypted else Client()
            try:
                await asyncio.wait_for(self._enter(client, server, name), _CONNECT_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever it is, another server may do
                reason = client.last_error or error
                reasons.append(f"{server}: {str(reason) or 'does not answer'}")
                _abort(client)
                continue
            self._client = client
            return
        raise ServerAwayError("; ".join(reasons))

    async def _enter(self, client: Client, server: str, name: str) -> None:
        async def ended() -> None:
            self._broken = self._broken or str(client.last_error or "the connection was cut")

        async def failed(error: Exception) -> None:
            # Of a subscription or a permission: what waits for it ends by its own time limit.
            if isinstance(error, nats.errors.SlowConsumerError):
                self._broken = f"more came than was asked for: {error}"

        await client.connect(
            server,
            name=name,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=int(_CONNECT_SECONDS),
            ping_interval=_NEVER,
            pending_size=_PENDING_BYTES,
            disconnected_cb=ended,
            closed_cb=ended,
            error_cb=failed,
            **self._login.options(),
        )
        info: dict[str, Any] = client._server_info
        if not info.get("headers") or not info.get("jetstream"):
            raise TransportError("is no server with JetStream; start it with: nats-server -js")
        if not SMALLEST_PAYLOAD <= client.max_payload <= LARGEST_PAYLOAD:
            raise TransportError(
                f"has max_payload = {client.max_payload}; set it between {SMALLEST_PAYLOAD} and"
                f" {LARGEST_PAYLOAD} in the server's configuration"
            )

    async def _round_trip(self) -> None:
        began = time.monotonic()
        # Waits as long as it takes: look() decides when that was too long.
        with contextlib.suppress(nats.errors.Error):
            await self.client.flush(timeout=_NEVER)
            self.round_trip_ms = (time.monotonic() - began) * 1e3

    async def _disconnect(self) -> None:
        if self._client is None:
            return
        with contextlib.suppress(Exception):
            # A connection that is stalled takes nothing any more.
            await asyncio.wait_for(self._client.close(), _CLOSE_SECONDS)
        _abort(self._client)


async def _translated(address: str, work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return await work
    except (TimeoutError, nats.errors.Error, OSError) as error:
        raise ServerAwayError(f"{address}: {str(error) or type(error).__name__}") from error
    except TransportError as error:
        raise ServerAwayError(f"{address}: {error}") from error


def _abort(client: Client) -> None:
    """End a connection at once: the client itself would wait until all is sent."""
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


def is_unserved(message: "Msg") -> bool:
    """Whether nobody was there to answer."""
    return bool(message.headers) and (message.headers or {}).get("Status") == _NO_RESPONDERS
