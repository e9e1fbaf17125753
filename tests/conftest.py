"""Fixtures for all tests."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.servers import MySQLDatabase, NatsNames, RedisKeys, found_server, own_database
from tests.system.node import Node


def pytest_configure() -> None:
    """Let the programs under test keep their bytecode, as they do for users.

    Images of containers often forbid it. Then each start of Python compiles all that it
    imports: what a forkserver loads took 3.6 s instead of 0.7.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A supervisor of its own, in folders of its own, which leaves nothing behind."""
    with own_node(tmp_path) as made:
        yield made


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Callable[[str], Node]]:
    """Makes supervisors of their own, as :func:`node`."""
    with ExitStack() as stack:

        def make(name: str) -> Node:
            folder = tmp_path / name
            folder.mkdir()
            return stack.enter_context(own_node(folder))

        yield make


@contextmanager
def own_node(folder: Path) -> Iterator[Node]:
    """A supervisor in a folder, which leaves nothing behind."""
    # Unix socket paths are short, pytest's folders are not.
    runtime = Path("/tmp") / f"dt{uuid.uuid4().hex[:8]}"
    runtime.mkdir(mode=0o700)
    made = Node(folder, runtime, f"t-{uuid.uuid4().hex[:8]}")
    try:
        yield made
    finally:
        made.close()
        leftovers = made.leftovers()
        made.sweep()
    assert not leftovers, f"left behind: {leftovers}"


@pytest.fixture
def needs_real_files() -> None:
    """Skip without the package of real detector files, except where CI says that it is there."""
    try:
        import km3net_testdata  # noqa: F401
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("km3net-testdata is not installed; run: uv sync --group realdata")
        pytest.skip("km3net-testdata is not installed")


@pytest.fixture
def mysql() -> Iterator[MySQLDatabase]:
    """A database of the test's own on the server that is there."""
    server = found_server("ENRGDAQ_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/")
    with own_database(server) as database:
        yield database


@pytest.fixture
def redis_keys() -> Iterator[RedisKeys]:
    """Keys of the test's own on the server that is there."""
    keys = RedisKeys(found_server("ENRGDAQ_TEST_REDIS_URL", "redis://127.0.0.1:6379/"))
    yield keys
    keys.remove()


@pytest.fixture
def nats_names() -> Iterator[NatsNames]:
    """Names for the test's own streams on the server that is there."""
    names = NatsNames(found_server("ENRGDAQ_TEST_NATS_URL", "nats://127.0.0.1:4222/"))
    yield names
    names.remove()
