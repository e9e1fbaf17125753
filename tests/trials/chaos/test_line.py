"""A line that is cut, refuses, stalls, or robs its client of an answer."""

import socket
from collections.abc import Iterator

import pytest

from enrgdaq.trials.chaos.line import Line


@pytest.fixture
def ends() -> Iterator[tuple[Line, socket.socket, socket.socket]]:
    """A line, its client's and its server's end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(listener.getsockname())
        with socket.create_connection(("127.0.0.1", line.port), timeout=20) as client:
            server, _ = listener.accept()
            with server:
                server.settimeout(20)
                yield line, client, server
        line.close()


Ends = tuple[Line, socket.socket, socket.socket]


def test_it_carries_until_it_is_cut(ends: Ends) -> None:
    line, client, server = ends
    client.sendall(b"question")
    assert server.recv(100) == b"question"
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"
    line.cut()
    assert client.recv(100) == server.recv(100) == b""


@pytest.mark.parametrize("late", [0.0, 0.2])
def test_a_request_whose_first_pieces_are_answered_loses_its_last_answer(
    ends: Ends, late: float
) -> None:
    line, client, server = ends
    client.sendall(b"MULTI\r\n")
    assert server.recv(100) == b"MULTI\r\n"
    line.swallow_answer_to(b"EXEC\r\n", late_seconds=late)
    client.sendall(b"EXEC\r\n")
    assert client.recv(100) == b""
    server.sendall(b"+QUEUED\r\n")
    assert server.recv(100) == b"EXEC\r\n"
    assert line.swallowed.wait(20)
    assert line.times_swallowed == 1


def test_it_refuses_until_it_is_mended(ends: Ends) -> None:
    line, client, server = ends
    line.refuse()
    assert client.recv(100) == server.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", line.port), timeout=20)
    line.mend()
    with socket.create_connection(("127.0.0.1", line.port), timeout=20):
        pass


def test_it_stalls_both_ways_and_loses_nothing(ends: Ends) -> None:
    line, client, server = ends
    line.stall()
    client.sendall(b"question")
    server.sendall(b"answer")
    for end in (client, server):
        end.settimeout(0.1)
        with pytest.raises(TimeoutError):
            end.recv(100)
        end.settimeout(20)
    line.mend()
    assert server.recv(100) == b"question"
    assert client.recv(100) == b"answer"


def test_a_stalled_line_can_be_closed(ends: Ends) -> None:
    line, client, _ = ends
    line.stall()
    client.sendall(b"question")
    line.close()
    assert client.recv(100) == b""


def test_connections_that_are_forgotten_carry_nothing_and_new_ones_do(ends: Ends) -> None:
    line, client, server = ends
    line.forget()
    client.sendall(b"question")
    line.mend()
    server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        server.recv(100)
    with socket.create_connection(("127.0.0.1", line.port), timeout=20) as another:
        line.swallow_answer_to(b"EXEC\r\n")
        another.sendall(b"EXEC\r\n")
        assert another.recv(100) == b""
    assert line.swallowed.wait(20)
    line.close()
    assert client.recv(100) == b""
