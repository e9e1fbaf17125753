"""Key files: TOML of three or four lines, made to be looked at and copied.

A secret lies in a file of mode 0600; public keys are no secret, but whoever can change a list
of them lets in whom he likes, so nobody else may write there.
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
import zmq
from msgspec import Meta, Struct

from enrgdaq.errors import ConfigurationError
from enrgdaq.models import NODE_PATTERN

Role = Literal["node", "observer", "operator"]
ROLES: Final[tuple[Role, ...]] = ("node", "observer", "operator")

KeyName = Annotated[str, Meta(pattern=NODE_PATTERN)]
Z85Key = Annotated[str, Meta(pattern=r"\A[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z")]
_LARGEST: Final = 4096  # bytes


class PublicKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be known to everybody."""

    name: KeyName
    public: Z85Key


class SecretKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only its owner has."""

    name: KeyName
    public: Z85Key
    secret: Z85Key

    def __repr__(self) -> str:
        return f"SecretKey({self.name!r})"


class AllowedKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public key that may come in. ``since``: when it was allowed, or revoked; UTC."""

    name: KeyName
    public: Z85Key
    role: Role
    since: str = ""


K = TypeVar("K", PublicKey, SecretKey, AllowedKey)


def check_name(name: str) -> str:
    """The name itself. Raises :class:`ConfigurationError` for one that cannot be a key's."""
    try:
        return msgspec.convert(name, KeyName)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{name!r} cannot name a key: use letters, digits, dot, dash and underscore,"
            " at most 40, the first a letter or digit"
        ) from error


def new_secret(name: str) -> SecretKey:
    """A new pair of keys."""
    public, secret = zmq.curve_keypair()
    return SecretKey(name=check_name(name), public=public.decode(), secret=secret.decode())


def read_key(path: Path, kind: type[K]) -> K:
    """The key in a file. Raises :class:`ConfigurationError` naming the file and the mend."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ConfigurationError(f"{path}: too large for a key file")
        key = msgspec.convert(tomllib.loads(data.decode()), kind)
        # Not every text of 40 such letters stands for 32 bytes; this refuses the others.
        zmq.curve_public(key.public.encode())
        is_pair = not isinstance(key, SecretKey) or (
            zmq.curve_public(key.secret.encode()) == key.public.encode()
        )
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.ValidationError, ValueError, zmq.ZMQError) as error:
        # Not the cause's text: it may quote a secret.
        what = "secret" if kind is SecretKey else "public"
        raise ConfigurationError(
            f"{path}: is not a {what} key file as 'enrgdaq keys new' makes them"
        ) from error
    if not is_pair:
        raise ConfigurationError(f"{path}: public and secret key are not of one pair")
    return key


def write_key(path: Path, key: PublicKey | SecretKey | AllowedKey, comment: str) -> None:
    """Write a file in one step; secrets are never open to others, not even for a moment."""
    fields = {name: value for name, value in msgspec.structs.asdict(key).items() if value}
    lines = [f"# {comment}", *(f'{name} = "{value}"' for name, value in fields.items())]
    mode = 0o600 if isinstance(key, SecretKey) else 0o644
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_private(path: Path, *, may_be_read: bool = False) -> None:
    """Nobody but its owner, us or root, may read a file or folder, or at least not write it.

    Raises :class:`ConfigurationError` with the command that mends it.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be looked at: {error.strerror}") from error
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigurationError(
            f"{path}: belongs to another user ({found.st_uid}); run as root: chown"
            f" {os.geteuid()} {path}"
        )
    if stat.S_ISLNK(found.st_mode):
        raise ConfigurationError(f"{path}: is a symbolic link; put the file itself here")
    if found.st_mode & (0o022 if may_be_read else 0o077):
        mode = "700" if stat.S_ISDIR(found.st_mode) else "644" if may_be_read else "600"
        raise ConfigurationError(f"{path}: is open to other users; run: chmod {mode} {path}")
