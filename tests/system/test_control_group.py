"""An operator with an account of its own reaches the supervisor of another through a group."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.node import Node, wait_until

NOBODY = 65534
GROUP = grp.getgrgid(1).gr_name
JOB = 'daq_job_type = "DAQJobTest"\nrand_min = 1\nrand_max = 9\n[store_config.memory]\n'

# Everything is imported by root: the operator may not be able to read where Python lies.
AS_OPERATOR = """
import contextlib, io, os, sys
import enrgdaq.cli
with contextlib.redirect_stdout(io.StringIO()):
    enrgdaq.cli.main(["status"])
os.setgroups([int(word) for word in sys.argv[1].split(",") if word])
os.setgid(65534)
os.setuid(65534)
sys.exit(enrgdaq.cli.main(sys.argv[2:]))
"""

needs_root = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can act as another account in a test"
)


@pytest.fixture
def node() -> Iterator[Node]:
    """A node whose configuration everybody may read."""
    folder = Path(tempfile.mkdtemp(prefix="enrgdaq-group-"))
    folder.chmod(0o755)
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    made = Node(folder, runtime, f"t-{uuid.uuid4().hex[:8]}")
    # A group cannot come into anybody's XDG_RUNTIME_DIR.
    made.runtime = Path("/tmp") / f"enrgdaq-{os.getuid()}-{made.id}"
    try:
        yield made
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.communicate()
        left = made.runtime.exists()
        shutil.rmtree(made.runtime, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        for path in Path("/dev/shm").glob(f"*{made.id}*"):
            shutil.rmtree(path, ignore_errors=True)
    assert not left


def start(node: Node) -> None:
    node.add("one", JOB)
    node.start(wait_running=False)

    def runs() -> bool:
        said = node.run("status", "--json")
        return said.returncode == 0 and '"state":"running","is_stale"' in said.stdout

    wait_until(runs, what="the job to run")


def operator(node: Node, groups: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of somebody who may only read the configuration."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": "/run/user/65534"}
    return subprocess.run(
        [sys.executable, "-c", AS_OPERATOR, groups, *arguments],
        cwd=node.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_root
def test_members_of_the_group_command_and_are_named(node: Node) -> None:
    node.configure(control_group=GROUP)
    start(node)
    group_id = str(grp.getgrnam(GROUP).gr_gid)
    assert operator(node, group_id, "status").returncode == 0
    said = operator(node, group_id, "restart", "one")
    assert said.returncode == 0, said.stderr
    events = node.run("events").stdout
    name = pwd.getpwuid(NOBODY).pw_name
    assert f"by {name} on" in next(line for line in events.splitlines() if "restarting" in line)
    # Nobody else comes in, and the group comes to nothing but the socket.
    assert operator(node, "", "status").returncode == 3
    assert stat.S_IMODE(node.runtime.stat().st_mode) == 0o710
    for path in node.runtime.iterdir():
        if stat.S_ISDIR(path.stat().st_mode):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        elif stat.S_ISSOCK(path.stat().st_mode):
            open_to = 0o660 if path.name == "control" else 0o600
            assert stat.S_IMODE(path.stat().st_mode) & 0o022 == open_to & 0o022, path
    assert node.stop() == 0


@needs_root
def test_a_folder_of_somebody_else_is_not_taken_for_the_supervisor(node: Node) -> None:
    node.configure(control_group=GROUP)
    node.add("one", JOB)
    impostor = Path("/tmp") / f"enrgdaq-12345-{node.id}"
    impostor.mkdir(mode=0o710)
    try:
        os.chown(impostor, 12345, NOBODY)
        from enrgdaq.supervisor.config import supervisor_of
        from enrgdaq.supervisor.places import find_runtime_folders

        config = supervisor_of(node.configs)
        assert impostor not in find_runtime_folders(config)
        os.chown(impostor, 12345, grp.getgrnam(GROUP).gr_gid)
        assert impostor in find_runtime_folders(config)
        impostor.chmod(0o777)
        assert impostor not in find_runtime_folders(config)
    finally:
        impostor.rmdir()


def test_a_group_that_is_not_there_is_a_mistake(node: Node) -> None:
    node.configure(control_group="no-such-group")
    node.add("one", JOB)
    said = node.run("run", "--quiet")
    assert said.returncode == 2
    assert "no group 'no-such-group'" in said.stderr


@needs_root
def test_without_a_group_only_the_own_account_comes_in(node: Node) -> None:
    node.runtime = node.folder / "run"
    node.configure()
    start(node)
    place = node.runtime / "enrgdaq" / node.id
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "control").stat().st_mode) == 0o600
    assert node.stop() == 0
    node.runtime = Path("/tmp") / f"enrgdaq-{os.getuid()}-{node.id}"
