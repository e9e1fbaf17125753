"""What the guides say is what the program does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from enrgdaq.cli import _parser
from tui.commands import help_lines

ROOT = Path(__file__).parent.parent
CONSOLE = ROOT / "docs" / "console.md"
SYSTEMD = shutil.which("systemd-analyze")


def keys_table() -> str:
    lines = []
    for key, about in help_lines(readonly=False):
        if about:
            lines.append(f"| `{key}` | {about} |")
        else:
            lines += ["", f"| {key} | |", "| --- | --- |"]
    return "\n".join(lines).strip()


def test_the_keys_in_the_guide_are_those_of_the_console() -> None:
    found = re.search(r"<!-- keys -->\n(.*?)\n<!-- end of keys -->", CONSOLE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1].strip() == keys_table()


def test_commands_that_take_no_folder_of_configs_are_named() -> None:
    text = (ROOT / "README.md").read_text()
    found = re.search(r"and all but ([^.]*)\s+take\s+`--daq-job-config-path", text)
    assert found is not None
    commands = next(a for a in _parser()._actions if isinstance(a.choices, dict)).choices
    without = {
        name
        for name, command in dict(commands or {}).items()
        # What comes after `keys` takes it.
        if name != "keys" and "--daq-job-config-path" not in command.format_help()
    }
    assert set(re.findall(r"`([\w-]+)`", found[1])) == without


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed")
def test_the_unit_is_understood_by_systemd(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "enrgdaq.service").read_text()
    for key, value in (("KillMode", "mixed"), ("RuntimeDirectory", "enrgdaq")):
        assert f"\n{key}={value}\n" in text
    # Account and program of the example are not those of this host.
    text = re.sub(r"(?m)^(User|Group)=.*\n", "", text)
    text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text)
    unit = tmp_path / "enrgdaq.service"
    unit.write_text(text)
    done = subprocess.run(
        [str(SYSTEMD), "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "enrgdaq.service:" not in done.stderr
