"""What README and guide show is run as it stands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from enrgdaq.testing import RecordingHost
from tests.system.node import Node

ROOT = Path(__file__).parent.parent.parent


def blocks(file: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / file).read_text(), re.DOTALL)


def write_files(node: Node) -> None:
    """Write the files whose name stands in the first line of a block."""
    for language in ("python", "toml"):
        for block in blocks("README.md", language):
            name = re.match(r"# my_configs/(\S+)\n", block)
            assert name or block.startswith("# read.py\n"), block
            if not name:
                continue
            path = node.configs / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)


def test_first_job_takes_data(node: Node) -> None:
    write_files(node)
    assert node.run("check").returncode == 0
    node.start()
    node.wait_job("csv", lambda job: job.messages_in > 1)
    assert node.stop() == 0, node.log()
    (file,) = node.out.glob("20??-??-??_load.csv")
    assert file.read_text().startswith("timestamp,load\n")


def test_guide_to_tests_and_configs(node: Node) -> None:
    write_files(node)
    scope: dict[str, object] = {}
    exec((node.configs / "jobs" / "load.py").read_text(), scope)  # noqa: S102 - our own README
    raw = {
        "daq_job_type": "DAQJobLoad",
        "interval_seconds": 0.001,
        "store_config": {"csv": {"file_path": "load.csv"}},
    }
    scope["config"] = msgspec.convert(raw, scope["LoadConfig"])  # type: ignore[call-overload]
    scope["RecordingHost"] = RecordingHost
    for block in blocks("docs/writing-jobs.md", "python"):
        exec(block, scope)  # noqa: S102 - our own guide


def test_files_of_the_demo_are_read_as_shown(node: Node) -> None:
    for path in (ROOT / "configs").glob("*.toml"):
        if path.name != "supervisor.toml":
            shutil.copy(path, node.configs)
    with (node.configs / "root.toml").open("a") as file:
        file.write("finish_wait_seconds = 15\n")  # for hosts that are busy with other tests
    node.configure(stop_grace_seconds=60)
    node.start()
    node.wait_job("hdf5", lambda job: job.messages_in > 2)
    node.wait_job("root", lambda job: job.messages_in > 2)
    assert node.stop(seconds=60) == 0, node.log()
    (example,) = [block for block in blocks("README.md", "python") if "# read.py" in block]
    day = next(node.out.glob("*_charges.root")).name.partition("_")[0]
    shown = "print(len(waveforms), len(waveforms[0]), len(charges['charge_pC']), len(samples))"
    done = subprocess.run(
        [sys.executable, "-c", example.replace("2026-01-31", day) + shown],
        cwd=node.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    waveforms, length, rows, again = map(int, done.stdout.split())
    assert length == 64
    assert waveforms == rows == again > 0
