"""The folder of keys of one configuration.

::

    keys/                     mode 0700
      .gitignore              secrets are not for a repository
      NAME.secret.toml        a key of our own, mode 0600
      NAME.public.toml        its public half; or that of a server that we go to
      allowed/NAME.toml       who may come in, with the role
      revoked/NAME.toml       who might once, so that a refusal can name it
"""

import datetime as dt
import os
from pathlib import Path
from typing import Final

from enrgdaq.errors import ConfigurationError
from enrgdaq.keys.files import (
    AllowedKey,
    PublicKey,
    Role,
    SecretKey,
    check_name,
    check_private,
    new_secret,
    read_key,
    write_key,
)

_SECRET: Final = ".secret.toml"  # noqa: S105 - the end of a file name
_PUBLIC: Final = ".public.toml"


def keys_folder(config_path: Path, keys_dir: str) -> Path:
    """Beside ``supervisor.toml``; where there is no folder of configs, in the user's own.

    An operator at home has a key, but no configuration.
    """
    if config_path.is_dir():
        return (config_path / Path(keys_dir).expanduser()).absolute()
    own = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(own).expanduser() / "enrgdaq" / "keys"


class KeyFolder:
    """Reads and changes a folder of keys. Raises :class:`ConfigurationError` with the mend."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._allowed = path / "allowed"
        self._revoked = path / "revoked"

    def check(self) -> None:
        """Nobody else may look into the folder, read a secret, or change who may come in."""
        self.check_folders()
        for file in self.path.glob(f"*{_SECRET}"):
            check_private(file)

    def check_folders(self) -> None:
        """Nobody else may put files here."""
        for folder in (self.path, self._allowed, self._revoked):
            if folder.exists():
                check_private(folder)

    def new(self, name: str) -> Path:
        """Make a key; returns its public file. Refused when the name has one already."""
        self._make()
        key = new_secret(name)
        secret, public = self.secret_file(name), self.public_file(name)
        for file in (secret, public):
            if file.exists():
                raise ConfigurationError(
                    f"{file} is there already; choose another name, or remove it if nobody uses"
                    " the key any more"
                )
        write_key(secret, key, f"The secret key {name!r}. It stays here: who has it is {name}.")
        half = PublicKey(name=key.name, public=key.public)
        write_key(public, half, f"The public key {name!r}. Give it to those who are to know it.")
        return public

    def allow(self, file: Path, role: Role) -> AllowedKey:
        """Let the key of a public file in, or give one that may come in another role."""
        if file.name.endswith(_SECRET):
            raise ConfigurationError(
                f"{file} is a secret key, which should not have come here; ask for"
                f" {file.name.removesuffix(_SECRET)}{_PUBLIC}"
            )
        key = read_key(file, PublicKey)
        self._make()
        for other in self.allowed():
            if (other.name == key.name) != (other.public == key.public):
                raise ConfigurationError(
                    f"{file}: its name or its key is that of {other.name!r}, which is another one;"
                    f" first: enrgdaq keys revoke {other.name}"
                )
        new = AllowedKey(name=key.name, public=key.public, role=role, since=_now())
        write_key(self._allowed / f"{key.name}.toml", new, "May come in.")
        for was in self.revoked():
            if was.public == key.public:
                (self._revoked / f"{was.name}.toml").unlink(missing_ok=True)
        return new

    def revoke(self, name: str) -> AllowedKey:
        """Let a key in no longer."""
        file = self._allowed / f"{check_name(name)}.toml"
        if not file.exists():
            known = ", ".join(key.name for key in self.allowed()) or "none"
            raise ConfigurationError(f"no key {name!r} may come in here; those that may: {known}")
        key = read_key(file, AllowedKey)
        was = AllowedKey(name=key.name, public=key.public, role=key.role, since=_now())
        write_key(self._revoked / f"{name}.toml", was, "Might come in once.")
        file.unlink()
        return was

    def allowed(self, mistakes: list[str] | None = None) -> list[AllowedKey]:
        """Who may come in, by name. With ``mistakes`` a spoilt file is left out and noted."""
        return _read_list(self._allowed, mistakes)

    def revoked(self, mistakes: list[str] | None = None) -> list[AllowedKey]:
        """Who might once, by name."""
        return _read_list(self._revoked, mistakes)

    def own_names(self) -> list[str]:
        """The names of our own keys."""
        return sorted(f.name.removesuffix(_SECRET) for f in self.path.glob(f"*{_SECRET}"))

    def server_names(self) -> list[str]:
        """The names of public keys that are not our own: servers that we go to.

        Those of clients, copied here to be allowed, count only when there is no other.
        """
        found = {f.name.removesuffix(_PUBLIC) for f in self.path.glob(f"*{_PUBLIC}")}
        others = found - set(self.own_names())
        return sorted(others - {key.name for key in self.allowed()} or others)

    def has_secret(self, name: str) -> bool:
        """Whether there is a key of our own of this name."""
        return self.secret_file(check_name(name)).exists()

    def secret(self, name: str | None) -> SecretKey:
        """A key of our own; without a name the only one there is."""
        if name is None:
            names = self.own_names()
            if len(names) != 1:
                many = f"holds several: {', '.join(names)}; name one by --key"
                raise ConfigurationError(
                    f"{self.path} {many if names else 'holds no key of yours'}"
                    + ("" if names else "; make one: enrgdaq keys new NAME")
                )
            name = names[0]
        file = self.secret_file(check_name(name))
        if not file.exists():
            raise ConfigurationError(f"{file} is missing; make it: enrgdaq keys new {name}")
        self.check()
        return read_key(file, SecretKey)

    def server(self, which: str | None) -> PublicKey:
        """The public key of a server: a file, a name in this folder, or the only one there is."""
        if which is not None and (which.endswith(".toml") or "/" in which):
            return read_key(Path(which).expanduser(), PublicKey)
        if which is not None:
            return read_key(self.public_file(check_name(which)), PublicKey)
        # On the server's own host its own key is the only one.
        names = self.server_names() or self.own_names()
        if len(names) != 1:
            raise ConfigurationError(
                f"{self.path} holds several public keys: {', '.join(names)}; name the server's"
                if names
                else f"{self.path} holds no public key of a server; copy its NAME{_PUBLIC} there"
            )
        return read_key(self.public_file(names[0]), PublicKey)

    def public_file(self, name: str) -> Path:
        """Where the public key of this name is, or would be."""
        return self.path / f"{name}{_PUBLIC}"

    def signature(self) -> tuple[tuple[str, int, int], ...]:
        """Changes whenever anybody is allowed or revoked, by us or by an editor."""
        found = []
        for folder in (self.path, self._allowed, self._revoked):
            if folder.is_dir():
                found += [_state(folder), *map(_state, folder.glob("*.toml"))]
        return tuple(sorted(found))

    def secret_file(self, name: str) -> Path:
        """Where the secret key of this name is, or would be."""
        return self.path / f"{name}{_SECRET}"

    def _make(self) -> None:
        try:
            for folder in (self.path, self._allowed, self._revoked):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ignored = self.path / ".gitignore"
            if not ignored.exists():
                ignored.write_text("*\n")
        except OSError as error:
            raise ConfigurationError(
                f"{self.path}: cannot be made: {error.strerror}; set keys_dir in supervisor.toml"
            ) from error
        self.check()


def _read_list(folder: Path, mistakes: list[str] | None) -> list[AllowedKey]:
    found = []
    for file in sorted(folder.glob("*.toml")):
        try:
            check_private(file, may_be_read=True)
            found.append(read_key(file, AllowedKey))
        except ConfigurationError as error:
            if mistakes is None:
                raise
            if file.exists():
                mistakes.append(str(error))
    return found


def _state(path: Path) -> tuple[str, int, int]:
    """Changes with the content, the mode and the owner."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return str(path), 0, 0
    return str(path), status.st_ctime_ns, status.st_ino


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
