"""What hub and spoke have in common where they take the records of other nodes."""

import time
from abc import abstractmethod
from typing import Annotated, Any, Final

import msgspec
import zmq
from msgspec import Meta

from enrgdaq.errors import TransportError
from enrgdaq.federation import wire
from enrgdaq.federation.receiving import Receiver
from enrgdaq.federation.taking import TakingConfig, TakingJob

_FULL_MS: Final = 2
_IDLE_MS: Final = 200
_TEND_SECONDS: Final = 0.5
_WARN_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 1.0
_MESSAGES_A_TURN: Final = 64
_SECONDS_A_TURN: Final = 0.05
MOST_WAITING: Final = 64
"""Messages of one peer that wait to be read or sent."""


class MirrorConfig(TakingConfig, kw_only=True):
    """Made from ``[federation]`` of ``supervisor.toml``."""

    keys_dir: Annotated[str, Meta(description="folder of this node's keys")]
    insecure: Annotated[bool, Meta(description="no keys")] = False


class MirrorJob(TakingJob):
    """Takes records that come by our own sockets, and acknowledges them."""

    config: MirrorConfig

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.rejected = 0
        """Messages that no peer of ours would send."""
        self.refused = ""
        """Why the other node sends nothing, as it says."""
        self._warn_after = 0.0

    @property
    @abstractmethod
    def socket(self) -> "zmq.Socket[bytes]":
        """Where records come in."""

    @property
    @abstractmethod
    def others(self) -> "list[zmq.Socket[bytes]]":
        """What else wakes the loop."""

    @abstractmethod
    def take(self, receiver: Receiver) -> bool:
        """Take one message; whether there was one. Raises :class:`TransportError` for nonsense."""

    @abstractmethod
    def look(self) -> None:
        """Called each turn, several times a second."""

    @abstractmethod
    def expects(self, node: str) -> bool:
        """Whether a node is missed that sends nothing."""

    @abstractmethod
    def way_back_to(self, node: str) -> str:
        """The job here that would carry records of a node back to it, or on to others."""

    @abstractmethod
    def send(self, address: bytes, message: wire.FromReceiver) -> None:
        """Send to a sender; what cannot be sent is dropped, and the sender will begin anew."""

    @abstractmethod
    def may_bring(self, sender: str, home: str) -> bool:
        """Whether a sender may send what is of a node."""

    def run(self) -> None:
        """Take what comes until told to stop."""
        receiver = Receiver(
            self.process.supervisor,
            self.load_positions(),
            self.process.pass_on,
            self.send,
            largest_bytes=self.largest_bytes,
            may_bring=self.may_bring,
            way_back_to=self.way_back_to,
        )
        poller = zmq.Poller()
        for one in (self.socket, *self.others):
            poller.register(one, zmq.POLLIN)
        tend_due = 0.0
        while not self.stopping:
            self._watchdog.reset()
            began = time.monotonic()
            # Also while there is no room: by the same connection come answers to what this node
            # sends, which may be what the room waits for.
            if receiver.is_full:
                poller.poll(_FULL_MS)
                self.process.add_waited(time.monotonic() - began)
            else:
                poller.poll(_IDLE_MS)
            self.look()
            self._take_some(receiver)
            self._work(receiver)
            if began >= tend_due:
                tend_due = began + _TEND_SECONDS
                receiver.want(self.topics_from)
                if receiver.is_full:
                    receiver.say_busy()
                self.process.links = [
                    link
                    for link in receiver.figures()
                    if link.state == "up" or self.expects(link.peer)
                ]

    def topics_from(self, node: str) -> list[str]:
        """What jobs of this node take of another one."""
        return self.wanted(without=self.way_back_to(node))

    def reject(self, who: str, error: Exception) -> None:
        """Count what no peer of ours would send; say so now and then."""
        self.rejected += 1
        now = time.monotonic()
        if now >= self._warn_after:
            self._warn_after = now + _WARN_SECONDS
            self.log.warning(
                "message of %s dropped: %s (%d since the start)", who, error, self.rejected
            )

    def _take_some(self, receiver: Receiver) -> None:
        deadline = time.monotonic() + _SECONDS_A_TURN
        for _ in range(_MESSAGES_A_TURN):
            if not self.take(receiver) or time.monotonic() > deadline:
                return

    def _work(self, receiver: Receiver) -> None:
        try:
            receiver.work()
        except OSError as error:
            # The senders keep what is not acknowledged; it may take a while to make room.
            self.set_condition(f"waiting for disk: {error.filename}: {error.strerror}")
            self.sleep(_RETRY_SECONDS)
        else:
            self.set_condition(self.refused)


def split_frames(
    frames: "list[zmq.Frame]", decoder: "msgspec.msgpack.Decoder[wire.Message]"
) -> "tuple[wire.Message, memoryview | bytes]":
    """A message and what comes with it. Raises :class:`TransportError` for what is none."""
    if len(frames) not in (1, 2):
        raise TransportError(f"{len(frames)} frames are no message of a link")
    message = wire.decode(decoder, frames[0].buffer)
    return message, frames[1].buffer if len(frames) == 2 else b""
