"""The spoke's line to its hub: says how this node is, and carries out what is asked there."""

from typing import Final

import msgspec
import zmq

from enrgdaq.control import node_messages as nodes
from enrgdaq.control import protocol
from enrgdaq.control.server import Handler, Later
from enrgdaq.errors import ControlError
from enrgdaq.keys import LastingClient, PublicKey, Role, SecretKey
from enrgdaq.models import SupervisorInfo
from enrgdaq.supervisor.logs import LogBook
from enrgdaq.supervisor.loop import Loop

_WAITING: Final = 4  # messages; an older one is worth nothing
_AT_MOST: Final = 10  # requests a turn of the loop


class HubSession:
    """A DEALER socket in the supervisor's loop. What cannot be sent now is dropped and counted."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        loop: Loop,
        endpoint: str,
        node: SupervisorInfo,
        book: LogBook,
        handler: Handler,
        *,
        own: SecretKey | None,
        server: PublicKey | None,
        role: Role,
    ) -> None:
        """``role``: what those may do here who come by the hub."""
        self.dropped = 0
        self._loop = loop
        self._node = node
        self._book = book
        self._handler = handler
        self._role = role
        self._after = -1
        self._missed = 0
        self._client = LastingClient(
            context,
            endpoint,
            own=own,
            server=server,
            largest_bytes=nodes.LARGEST,
            most_waiting=_WAITING,
        )
        loop.watch(self._client.socket, self.hear)

    def look(self) -> None:
        """See whether the hub refuses this node's key; never waits."""
        before = self._client.socket
        if self._client.look():
            self._loop.forget(before)
            self._loop.watch(self._client.socket, self.hear)

    def tell(self, view: nodes.NodeView, statistics: bytes) -> None:
        """Say how this node is, with what was logged since."""
        lines, missed = self._book.after(self._after, nodes.MOST_LINES)
        if self._after >= 0:
            self._missed += missed
        news = nodes.News(
            version=nodes.VERSION,
            node=self._node,
            view=view,
            lines=lines,
            lines_missed=self._missed,
            dropped=self.dropped,
            statistics=statistics,
        )
        if self._send(news) and lines:
            self._after = lines[-1].number

    def hear(self) -> None:
        """Carry out what is asked, at most so much a turn."""
        for _ in range(_AT_MOST):
            try:
                data = self._client.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._carry_out(nodes.decode(data, nodes.Forwarded, str))
            except ControlError:
                continue

    def close(self) -> None:
        """Say goodbye and end the connection; idempotent."""
        if not self._client.socket.closed:
            self._send(nodes.Goodbye())
            self._client.close()

    def _carry_out(self, asked: nodes.Forwarded) -> None:
        def send(answer: protocol.Answer) -> None:
            self._send(nodes.Answered(number=asked.number, answer=answer))

        user = f"{asked.caller.user or 'somebody'} on the hub"[:64]
        caller = msgspec.structs.replace(asked.caller, user=user, program="hub")
        answer = self._handler(asked.request, caller, self._role)
        if isinstance(answer, Later):
            answer.when_given(send)
        else:
            send(answer)

    def _send(self, message: nodes.News | nodes.Goodbye | nodes.Answered) -> bool:
        data = nodes.encode(message)
        try:
            if len(data) > nodes.LARGEST or self._client.socket.closed:
                raise zmq.Again
            self._client.socket.send(data, zmq.NOBLOCK)
        except zmq.ZMQError:
            self.dropped += 1
            return False
        return True
