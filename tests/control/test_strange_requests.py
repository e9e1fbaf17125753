"""Whatever comes in on the control socket: it is answered or counted, and never a crash."""

from collections.abc import Iterator

import msgspec
import pytest
import zmq
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from enrgdaq.control import protocol
from enrgdaq.control.server import RequestDesk

_QUICK = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Desk:
    """A desk and a client of it, on real sockets."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        server, self.client = self.context.socket(zmq.ROUTER), self.context.socket(zmq.DEALER)
        server.bind("inproc://desk")
        self.client.connect("inproc://desk")
        self.server = server
        self.handled: list[protocol.Request] = []
        self.desk = RequestDesk(server, lambda _, caller: (caller, "operator"))

    def send(self, frames: list[bytes]) -> int:
        """Send one message; returns the number of answers."""
        self.client.send_multipart(frames)
        assert self.server.poll(1000)
        self.desk.answer(self._handle, at_most=10, seconds=1.0)
        answers = 0
        while self.client.poll(0):
            msgspec.msgpack.decode(self.client.recv(), type=protocol.Reply)
            answers += 1
        return answers

    def _handle(
        self, request: protocol.Request, caller: protocol.Caller, role: str
    ) -> protocol.Answer:
        assert isinstance(request, protocol.Request)
        assert len(caller.user) <= 64
        self.handled.append(request)
        return protocol.Done()


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.context.destroy(linger=0)


def _envelope(request: protocol.Request, version: int = protocol.PROTOCOL_VERSION) -> bytes:
    return msgspec.msgpack.encode(
        protocol.Envelope(
            version=version, request_id=7, caller=protocol.Caller(user="alice"), request=request
        )
    )


_VALID = [
    _envelope(protocol.GetSnapshot()),
    _envelope(protocol.GetLogs(job="source", level="ERROR")),
    _envelope(protocol.RestartJobs(jobs=["a", "b"])),
    _envelope(protocol.ReloadJob(job="a", text="x" * 40)),
    _envelope(protocol.Shutdown(), version=99),
]
_NESTED = b"\x91" * 200_000


def _answered_or_counted(desk: Desk, frames: list[bytes]) -> None:
    before = desk.desk.rejected
    answers = desk.send(frames)
    assert answers + desk.desk.rejected - before == 1


@_QUICK
@given(frames=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
@example(frames=[_NESTED])
@example(frames=[b"\x95" + _VALID[0][1:] + _NESTED])
@example(frames=[b"\x94\x01\x01\x81\xa1x" + _NESTED])
@example(frames=[b"\x94\x01\x01\x80\x81\xa4type\xa2\xff\xfe"])
@example(frames=[b"\xdd\xff\xff\xff\xff"])
@example(frames=[b"\xc6\xff\xff\xff\xff"])
def test_any_bytes(desk: Desk, frames: list[bytes]) -> None:
    _answered_or_counted(desk, frames)


@_QUICK
@given(data=st.data())
def test_requests_that_were_changed_on_the_way(desk: Desk, data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(_VALID)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    _answered_or_counted(desk, [bytes(raw[:cut] if data.draw(st.booleans()) else raw)])


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@_QUICK
@given(caller=_PLAIN, tag=st.text() | st.sampled_from(["RestartJob", "AddJob"]), fields=_PLAIN)
def test_well_formed_nonsense(desk: Desk, caller: object, tag: str, fields: object) -> None:
    request = {"type": tag, "job": fields, "file": fields}
    raw = msgspec.msgpack.encode([protocol.PROTOCOL_VERSION, 1, caller, request])
    _answered_or_counted(desk, [raw])


def test_unknown_tags_and_too_many_frames_are_counted(desk: Desk) -> None:
    before = desk.desk.rejected
    raw = msgspec.msgpack.encode([protocol.PROTOCOL_VERSION, 1, {}, {"type": "Exec", "code": "1"}])
    assert desk.send([raw]) == 0
    assert desk.send([_VALID[0]] * 2) == 0
    assert desk.send([b""] * 50) == 0
    assert desk.desk.rejected == before + 3
    assert desk.send([_VALID[0]]) == 1
