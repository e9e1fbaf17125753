"""``enrgdaq keys``: each step says what the next one is."""

import json
from pathlib import Path

import pytest

from enrgdaq.cli import main


def test_step_by_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("hub", "home"):
        (tmp_path / place).mkdir()

    def run(place: str, *words: str) -> str:
        assert main(["keys", *words, "--daq-job-config-path", str(tmp_path / place)]) == 0
        return capsys.readouterr().out

    assert "nobody may come in" in run("hub", "list")
    assert "enrgdaq keys allow hub.public.toml" in run("hub", "new", "hub")
    assert "alice.public.toml" in run("home", "new", "alice")
    public = tmp_path / "home/keys/alice.public.toml"
    said = run("hub", "allow", str(public), "--role", "operator")
    assert "alice may come in as operator" in said
    assert str(tmp_path / "hub/keys/hub.public.toml") in said
    assert "allowed  alice" in run("hub", "list")
    assert "no longer" in run("hub", "revoke", "alice")
    found = json.loads(run("hub", "list", "--json"))
    assert found["own"] == ["hub"]
    assert found["allowed"] == []
    assert [key["name"] for key in found["revoked"]] == ["alice"]


def test_mistakes_say_the_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--daq-job-config-path", str(tmp_path)]
    assert main(["keys", "revoke", "bob", *there]) == 2
    assert "those that may: none" in capsys.readouterr().err
    assert main(["keys", "allow", str(tmp_path / "x.public.toml"), "--role", "node", *there]) == 2
    assert "x.public.toml: cannot be read" in capsys.readouterr().err


def test_help_teaches_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["keys", "--help"], ["keys", "allow", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
    said = capsys.readouterr().out
    assert "enrgdaq keys allow alice.public.toml --role operator" in said
    assert "within a second" in said


def test_without_a_folder_of_configs_keys_are_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert main(["keys", "new", "alice"]) == 0
    assert (tmp_path / "config/enrgdaq/keys/alice.secret.toml").exists()
    assert main(["keys", "list"]) == 0
    assert "own      alice" in capsys.readouterr().out


def test_keys_dir_of_supervisor_toml(tmp_path: Path) -> None:
    (tmp_path / "supervisor.toml").write_text(f'keys_dir = "{tmp_path}/elsewhere"\n')
    assert main(["keys", "new", "hub", "--daq-job-config-path", str(tmp_path)]) == 0
    assert (tmp_path / "elsewhere/hub.secret.toml").exists()
