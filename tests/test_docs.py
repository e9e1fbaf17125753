"""What the guides say is what the program does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

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
