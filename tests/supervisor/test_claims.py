"""One supervisor of a name; and a start just when another ends."""

import subprocess
import sys
import uuid
from pathlib import Path

import msgspec
import pytest

from enrgdaq.errors import ConfigurationError
from enrgdaq.models import SupervisorConfig
from enrgdaq.supervisor.claims import claimed

CONTENDER = """
import sys
import msgspec
from enrgdaq.errors import ConfigurationError
from enrgdaq.models import SupervisorConfig
from enrgdaq.supervisor.claims import claimed

config = msgspec.json.decode(sys.argv[1], type=SupervisorConfig)
print("ready", flush=True)
sys.stdin.readline()
claims = 0
for _ in range(300):
    try:
        with claimed(config) as places:
            assert places.memory.is_dir()
            assert places.runtime.is_dir()
            claims += 1
    except ConfigurationError as error:
        # The other one was quicker, time and again.
        assert "runs on this host already" in str(error), error
assert claims
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SupervisorConfig:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    settings = {
        "info": {"supervisor_id": f"t-{uuid.uuid4().hex[:8]}"},
        "out_dir": str(tmp_path / "out"),
    }
    return msgspec.convert(settings, SupervisorConfig)


def contender(config: SupervisorConfig) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", CONTENDER, msgspec.json.encode(config).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_start_while_another_ends_finds_its_folders(config: SupervisorConfig) -> None:
    processes = [contender(config), contender(config)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said


def test_a_folder_that_can_never_be_made_is_named(
    config: SupervisorConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc/nowhere")
    with (
        pytest.raises(ConfigurationError, match=r"/proc/nowhere.*XDG_RUNTIME_DIR"),
        claimed(config),
    ):
        pass
