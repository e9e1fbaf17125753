"""Key files: what is written, what is trusted, and what is said when something is wrong."""

from pathlib import Path

import pytest

from enrgdaq.errors import ConfigurationError
from enrgdaq.keys import KeyFolder
from enrgdaq.keys.current import CurrentKeys


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.new("hub")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert folder.secret_file("hub").stat().st_mode & 0o777 == 0o600
    assert folder.secret("hub").secret not in folder.public_file("hub").read_text()
    assert folder.secret("hub").secret not in repr(folder.secret("hub"))
    assert (folder.path / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("which", ["folder", "secret", "list", "allowed"])
def test_what_is_open_to_others_is_refused_with_the_mend(tmp_path: Path, which: str) -> None:
    folder = KeyFolder(tmp_path / "keys")
    public = folder.new("hub")
    folder.allow(public, "node")
    path = {
        "folder": folder.path,
        "secret": folder.secret_file("hub"),
        "list": folder.path / "allowed",
        "allowed": folder.path / "allowed/hub.toml",
    }[which]
    path.chmod(path.stat().st_mode | 0o022)
    with pytest.raises(ConfigurationError, match=rf"chmod \d+ {path}"):
        CurrentKeys(folder)


def test_a_link_in_place_of_a_secret_is_refused(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.new("hub")
    real = folder.secret_file("hub").rename(tmp_path / "elsewhere")
    folder.secret_file("hub").symlink_to(real)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        folder.secret("hub")


@pytest.mark.parametrize("name", ["", "../hub", "a/b", ".hub", "a\n", "x" * 41, "Ü"])
def test_names_are_checked(tmp_path: Path, name: str) -> None:
    folder = KeyFolder(tmp_path / "keys")
    for act in (folder.new, folder.revoke, folder.secret):
        with pytest.raises(ConfigurationError, match="cannot name a key"):
            act(name)
    assert not folder.public_file("hub").exists()


def test_a_key_is_not_overwritten(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.new("hub")
    before = folder.secret("hub")
    with pytest.raises(ConfigurationError, match="is there already"):
        folder.new("hub")
    assert folder.secret("hub") == before


def test_files_that_are_no_keys_are_named_and_not_quoted(tmp_path: Path) -> None:
    folder, other = KeyFolder(tmp_path / "keys"), KeyFolder(tmp_path / "other")
    for each in (folder, other):
        each.new("hub")
    secret = folder.secret("hub").secret
    file = folder.secret_file("hub")
    good = file.read_text()
    broken = {
        "": "is not a secret key file",
        good.replace(secret, secret + "x"): "is not a secret key file",
        good.replace(secret, "%" * 40): "is not a secret key file",
        good.replace(secret, other.secret("hub").secret): "not of one pair",
        good + "\n#" + "x" * 5000: "too large",
    }
    for text, reason in broken.items():
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=reason) as caught:
            folder.secret("hub")
        assert secret not in str(caught.value)


def test_a_secret_file_is_not_allowed_by_mistake(tmp_path: Path) -> None:
    folder, alice = KeyFolder(tmp_path / "keys"), KeyFolder(tmp_path / "alice")
    alice.new("alice")
    with pytest.raises(ConfigurationError, match=r"ask for alice\.public\.toml"):
        folder.allow(alice.secret_file("alice"), "operator")


def test_one_name_is_one_key(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    files = [KeyFolder(tmp_path / where).new("alice") for where in ("laptop", "office")]
    folder.allow(files[0], "observer")
    with pytest.raises(ConfigurationError, match="keys revoke alice"):
        folder.allow(files[1], "operator")
    assert [key.role for key in folder.allowed()] == ["observer"]
    folder.allow(files[0], "operator")
    assert [key.role for key in folder.allowed()] == ["operator"]
    folder.revoke("alice")
    assert [key.name for key in folder.revoked()] == ["alice"]
    folder.allow(files[0], "observer")
    assert folder.revoked() == []


def test_the_server_is_the_one_that_was_copied_here(tmp_path: Path) -> None:
    mine, hub = KeyFolder(tmp_path / "mine"), KeyFolder(tmp_path / "hub")
    mine.new("alice")
    public = hub.new("hub")
    assert mine.server(None).name == "alice"  # on the server's own host
    (mine.path / public.name).write_bytes(public.read_bytes())
    assert mine.server(None) == hub.server("hub") == mine.server(str(public))
    bob = KeyFolder(tmp_path / "bob").new("bob")
    (mine.path / bob.name).write_bytes(bob.read_bytes())
    with pytest.raises(ConfigurationError, match="bob, hub"):
        mine.server(None)
    mine.allow(bob, "observer")
    assert mine.server(None).name == "hub"


def test_a_spoilt_file_keeps_only_its_own_key_out(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    keys = {}
    for name in ("alice", "bob"):
        public = KeyFolder(tmp_path / name).new(name)
        keys[name] = folder.allow(public, "operator").public
    now = 0.0
    current = CurrentKeys(folder, clock=lambda: now)
    (folder.path / "allowed/alice.toml").write_text("role = [")
    now += 1
    current.look()
    assert current.find(keys["alice"]) is None
    assert current.find(keys["bob"]) is not None
    assert current.turned_out(("operator",)) == 1
    (folder.path / "allowed").chmod(0o777)
    now += 1
    current.look()
    assert current.find(keys["bob"]) is None
