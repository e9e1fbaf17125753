"""Figures for Prometheus, scraped from a real node."""

import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from enrgdaq.control.client import ControlClient
from enrgdaq.errors import ConfigurationError
from enrgdaq.metrics.figures import ALL
from enrgdaq.metrics.serve import MetricsServer
from tests.system import remote
from tests.system.node import Node

DOCS = Path(__file__).parents[2] / "docs/many-machines.md"


@pytest.fixture
def served(node: Node) -> Iterator[tuple[Node, str]]:
    """A node, and ``enrgdaq metrics`` beside it."""
    remote.add_jobs(node)
    node.start()
    process = subprocess.Popen(
        [*node.command(), "metrics", "--port", "0"],
        cwd=node.folder,
        env=node.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("serving ").strip()
    yield node, url
    process.terminate()
    process.communicate(timeout=20)
    if node.process is not None:
        assert node.stop() == 0


def scrape(url: str) -> dict[str, float]:
    """``name{labels}`` to value; the parser refuses what is not in the format."""
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - see above
        text = answer.read().decode()
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: dict[str, float], name: str, **labels: str) -> float:
    wanted = [str(pair) for pair in labels.items()]
    keys = [k for k in found if k.startswith(name + "[") and all(w in k for w in wanted)]
    assert len(keys) == 1, (name, labels, keys)
    return found[keys[0]]


def test_a_node_in_figures(served: tuple[Node, str]) -> None:
    node, url = served
    node.wait(lambda: node.job("csv").messages_in > 10, what="data")
    node.wait(lambda: node.job("source").messages_out > 10, what="the source's own report")
    found = scrape(url)
    assert value(found, "enrgdaq_up", supervisor=node.id) == 1
    assert value(found, "enrgdaq_job_messages_out_total", daq_job="source") > 0
    assert value(found, "enrgdaq_job_messages_in_total", daq_job="csv") > 10
    assert value(found, "enrgdaq_job_state", daq_job="csv", state="running") == 1
    assert value(found, "enrgdaq_job_state", daq_job="csv", state="failed") == 0
    assert value(found, "enrgdaq_store_spool_bytes", daq_job="csv") == 0
    assert value(found, "enrgdaq_ring_written_bytes_total", producer="source") > 0
    assert value(found, "enrgdaq_ring_consumer_lag_bytes", consumer="csv") >= 0
    assert value(found, "enrgdaq_topic_messages_total", topic="store.DAQJobStoreCSV") > 0
    assert value(found, "enrgdaq_job_resident_memory_bytes", daq_job="csv") > 10e6
    assert value(scrape(url), "enrgdaq_job_messages_in_total", daq_job="csv") >= value(
        found, "enrgdaq_job_messages_in_total", daq_job="csv"
    )


def test_a_supervisor_that_has_gone_is_down(served: tuple[Node, str]) -> None:
    node, url = served
    assert value(scrape(url), "enrgdaq_up", supervisor=node.id) == 1
    assert node.stop() == 0
    assert scrape(url) == {f"enrgdaq_up[('supervisor', '{node.id}')]": 0}


def test_names_follow_the_conventions() -> None:
    names = [figure.name for figure in ALL]
    assert len(set(names)) == len(names)
    for figure in ALL:
        assert re.fullmatch(r"enrgdaq_[a-z0-9_]+", figure.name)
        assert figure.name.endswith("_total") == (figure.kind == "counter")
        assert not re.search(r"_(ms|mb|percent|count)(_|$)", figure.name)


def test_every_figure_is_in_the_docs() -> None:
    listed = set(re.findall(r"^\| `(enrgdaq_\w+)`", DOCS.read_text(), flags=re.MULTILINE))
    assert listed == {figure.name for figure in ALL}


def test_a_port_in_use_and_a_missing_extra_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ControlClient(tmp_path / "control", program="test") as client:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
                MetricsServer(client, "127.0.0.1", port)
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        with pytest.raises(ConfigurationError, match=r"pip install 'enrgdaq\[metrics\]'"):
            MetricsServer(client, "127.0.0.1", 0)
