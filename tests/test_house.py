"""The rules of the house, checked like everything else."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=["lint", "format", "types", "layers"],
)
def test_rule(command: list[str]) -> None:
    tool, *arguments = command
    done = subprocess.run(
        [str(SCRIPTS / tool), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import enrgdaq.cli, enrgdaq.supervisor.supervisor", {"textual", "tui"}),
        # What follows takes longer to import than all the rest of a start.
        ("import enrgdaq.cli, enrgdaq.supervisor.supervisor", {"numpy", "pyarrow"}),
        (
            "import enrgdaq.supervisor.forkserver as it; it._preload()",
            {"pandas", "redis", "pymysql", "h5py", "uproot"},
        ),
    ],
    ids=["no console", "light supervisor", "light forkserver"],
)
def test_start_never_loads(statement: str, absent: set[str]) -> None:
    script = f"import sys\n{statement}\nprint({absent} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()"


def test_requirements_are_those_of_the_project() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (ROOT / "requirements.txt").read_text().split() == project["dependencies"]
