"""What nodes say of themselves: made safe for terminals, and nonsense is refused."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrgdaq.control import node_messages as nodes
from enrgdaq.control import protocol
from enrgdaq.control.status import SupervisorStatus
from enrgdaq.errors import ControlError
from enrgdaq.models import SupervisorInfo
from enrgdaq.text import clean_text


def news(text: str) -> nodes.News:
    """News in which a text stands wherever one can."""
    supervisor = SupervisorStatus(
        id="spoke",
        tags=[text],
        pid=1,
        version="1",
        state=text,
        started=0,
        now=0,
        config_path=text,
        out_dir=text,
        log_path=text,
        jobs_running=0,
        jobs_total=0,
        problems=[text],
        rate_messages=0,
        rate_bytes=0,
        disk_free_bytes=0,
        memory_free_bytes=0,
        log_dropped=0,
    )
    return nodes.News(
        version=nodes.VERSION,
        node=SupervisorInfo(supervisor_id="spoke"),
        view=nodes.NodeView(supervisor=supervisor, jobs=[], topics=[], links=[]),
        lines=[protocol.LogLine(number=1, time=0, level="INFO", job="source", text=text)],
        lines_missed=0,
        dropped=0,
        statistics=b"\x1b\x00",
    )


def test_no_escape_sequence_comes_through() -> None:
    found = nodes.decode(nodes.encode(news("a\x1b[2Jb\x07c\nd")), nodes.FromSpoke, clean_text)
    assert b"\x1b" not in msgspec.msgpack.encode(found.view)
    assert found.lines[0].text == "abc\nd"
    assert found.statistics == b"\x1b\x00"  # not for terminals


@settings(max_examples=400, deadline=None)
@given(at=st.integers(0, 2_000), value=st.integers(0, 255), random=st.binary(max_size=200))
def test_nonsense_is_refused(at: int, value: int, random: bytes) -> None:
    valid = bytearray(nodes.encode(news("all is well")))
    valid[at % len(valid)] = value
    for data in (bytes(valid), bytes(valid[:at]), random):
        for kind in (nodes.FromSpoke, nodes.Forwarded):
            try:
                nodes.decode(data, kind, clean_text)
            except ControlError as error:
                assert "no message of a node" in str(error)


def test_arrays_without_an_end_are_refused() -> None:
    with pytest.raises(ControlError):
        nodes.decode(b"\x91" * 100_000, nodes.FromSpoke, clean_text)
