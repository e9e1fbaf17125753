"""The hub's view of its spokes: how they are, what they log, and commands to them."""

import itertools
import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec
import zmq

from enrgdaq.control import node_messages as nodes
from enrgdaq.control import protocol
from enrgdaq.control.server import Later
from enrgdaq.control.status import NodeStatus
from enrgdaq.daq.topics import Topic
from enrgdaq.errors import ControlError
from enrgdaq.keys import Door
from enrgdaq.supervisor.config import is_usable_id
from enrgdaq.supervisor.logs import LogBook
from enrgdaq.text import clean, clean_text

AWAY_SECONDS: Final = 5.0
SEPARATOR: Final = "/"
"""Between the names of a node and of a job of its: ``hall-a/digitizer``."""

_ANSWER_SECONDS: Final = 4.0
_MOST_NODES: Final = 1_000
_AT_MOST: Final = 50  # messages a turn of the loop
_SECONDS: Final = 0.02
_LOG = logging.getLogger(__name__)

Publish = Callable[[bytes, bytes], None]


class _Spoke(msgspec.Struct):
    address: bytes
    heard_at: float
    news: nodes.News
    has_left: bool = False


class _Question(msgspec.Struct):
    node: str
    later: Later
    done: Callable[[protocol.Answer], protocol.Answer]
    deadline: float


class Spokes:
    """Reads one ROUTER socket in the supervisor's loop. ``publish``: telemetry of this node."""

    def __init__(
        self,
        door: Door,
        own_id: str,
        book: LogBook,
        publish: Publish,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rejected = 0
        """Messages that were none, or of a node that has no right to its name."""
        self._door = door
        self._own_id = own_id
        self._book = book
        self._publish = publish
        self._clock = clock
        self._spokes: dict[str, _Spoke] = {}
        self._numbers = itertools.count()
        self._questions: dict[int, _Question] = {}

    def hear(self) -> None:
        """Take what is here now, at most so much a turn."""
        deadline = time.monotonic() + _SECONDS
        for _ in range(_AT_MOST):
            try:
                frames = self._door.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            peer = self._door.peer(frames[-1])
            if peer is None:
                continue
            try:
                if len(frames) != 2:
                    raise ControlError(f"{len(frames)} frames")
                message = nodes.decode(frames[1].buffer, nodes.FromSpoke, clean_text)
                self._take(frames[0].bytes, peer.name, message)
            except ControlError as error:
                self.rejected += 1
                _LOG.debug("message of %s dropped: %s", peer.name or peer.address, error)
            if time.monotonic() > deadline:
                return

    def tick(self) -> None:
        """Let nobody wait for an answer for ever."""
        now = self._clock()
        for number, question in list(self._questions.items()):
            if now >= question.deadline:
                del self._questions[number]
                reason = f"{question.node} does not answer"
                question.later.give(question.done(protocol.Refused(reason=reason)))

    def status(self) -> list[NodeStatus]:
        """All nodes that were heard since the start, by name."""
        now = self._clock()
        return [
            NodeStatus(
                id=name,
                state=self._state(name, now),
                age_seconds=now - spoke.heard_at,
                dropped=spoke.news.dropped,
                supervisor=spoke.news.view.supervisor,
                jobs=spoke.news.view.jobs,
                topics=spoke.news.view.topics,
                links=spoke.news.view.links,
            )
            for name, spoke in sorted(self._spokes.items())
        ]

    def ask(
        self,
        node: str,
        request: protocol.Request,
        caller: protocol.Caller,
        done: Callable[[protocol.Answer], protocol.Answer],
    ) -> Later:
        """Ask a node; ``done`` sees the answer on its way.

        Raises :class:`ControlError` for a node that is not there.
        """
        spoke = self._spokes.get(node)
        if spoke is None:
            known = ", ".join(sorted(self._spokes)) or "none"
            raise ControlError(f"no node is called {node!r}; linked to this one: {known}")
        state = self._state(node, self._clock())
        if state != "up":
            raise ControlError(f"{node} is {state}")
        number = next(self._numbers)
        later = Later()
        deadline = self._clock() + _ANSWER_SECONDS
        self._questions[number] = _Question(node, later, done, deadline)
        data = nodes.encode(nodes.Forwarded(number=number, caller=caller, request=request))
        try:
            self._door.socket.send_multipart((spoke.address, data), zmq.NOBLOCK)
        except zmq.ZMQError:
            del self._questions[number]
            raise ControlError(f"{node} takes no commands at this moment") from None
        return later

    def _state(self, name: str, now: float) -> str:
        spoke = self._spokes[name]
        if spoke.has_left or not self._door.admits(name):
            return "left"
        return "up" if now - spoke.heard_at < AWAY_SECONDS else "away"

    def _take(self, address: bytes, key_name: str, message: nodes.FromSpoke) -> None:
        if isinstance(message, nodes.News):
            self._take_news(address, key_name, message)
            return
        name = next((n for n, s in self._spokes.items() if s.address == address), None)
        if name is None:
            raise ControlError("a node that has not said its name")
        if isinstance(message, nodes.Goodbye):
            self._spokes[name].has_left = True
            return
        question = self._questions.get(message.number)
        if question is None or question.node != name:
            raise ControlError("an answer to nothing that was asked")
        del self._questions[message.number]
        question.later.give(question.done(message.answer))

    def _take_news(self, address: bytes, key_name: str, news: nodes.News) -> None:
        name = news.node.supervisor_id
        if not self._door.is_insecure and key_name != name:
            raise ControlError(f"the key {key_name!r} is not that of a node called {name!r}")
        if name == self._own_id or news.version != nodes.VERSION:
            raise ControlError(f"version {news.version} of {name}")
        if name not in self._spokes and len(self._spokes) >= _MOST_NODES:
            raise ControlError("too many nodes")
        news.view.jobs = [job for job in news.view.jobs if is_usable_id(job.id)]
        self._spokes[name] = _Spoke(address, self._clock(), news)
        for line in news.lines:
            job = line.job if is_usable_id(line.job) else "supervisor"
            level = line.level if line.level in protocol.LEVELS else "INFO"
            self._book.add(f"{name}{SEPARATOR}{job}", level, line.text, line.time)
        self._book.note_dropped(name, news.lines_missed)
        self._publish(Topic.stats_combined(name).encode(), news.statistics)


def split_name(job: str) -> tuple[str, str]:
    """Node and job of a full name; no node for a job of this one."""
    node, found, name = job.rpartition(SEPARATOR)
    return (clean(node), name) if found else ("", job)
