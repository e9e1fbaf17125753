"""Which settings are secret, and what can be shown of files and environments that hold some."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

MASK: Final = "********"
HIDDEN: Final = "# not shown: a secret in this file cannot be told from the rest\n"

_WORDS: Final = (
    *("password", "passwd", "passphrase", "secret", "token", "webhook", "credential"),
    *("api_?key", "private_?key", "access_?key"),
)
_NAME: Final = re.compile("|".join(_WORDS) + r"|(?:^|[_.])(?:pass|pwd)(?:$|[_.])", re.IGNORECASE)
_VALUE: Final = (
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\[[^\]]*\]|\{[^}]*\}"
    r"|[^\s,}\]#]+"
)
_SETTING: Final = re.compile(
    rf"""(?P<key>["']?(?P<name>[\w-]+)["']?\s*=\s*)(?!\{{\s*["']?env["']?\s*=)(?P<value>{_VALUE})""",
    re.DOTALL,
)
_IN_ADDRESS: Final = re.compile(r"(?P<start>\w://[^\s:/@\"']*:)[^\s@\"']+(?=@)")


def looks_secret(name: str) -> bool:
    """Whether a setting or environment variable of this name is not for every eye."""
    return _NAME.search(name.replace("-", "_")) is not None


def masked_text(text: str) -> str:
    """A TOML file's text with the values of its secret keys masked, in comments too.

    ``{ env = "NAME" }`` stays: it says where the secret is, not what it is. Text in which a
    secret would still be found afterwards is not shown at all.
    """
    masked = _SETTING.sub(
        lambda found: f'{found["key"]}"{MASK}"' if looks_secret(found["name"]) else found.group(),
        text,
    )
    masked = _IN_ADDRESS.sub(rf"\g<start>{MASK}", masked)
    try:
        left = list(_secrets_in(tomllib.loads(masked), secret=False))
    except tomllib.TOMLDecodeError:
        return HIDDEN
    return HIDDEN if any(value != MASK for value in left) else masked


def masked_environment(environment: Mapping[str, str], also: Iterable[str] = ()) -> list[str]:
    """``NAME=value`` lines in the order of the names; the values of ``also`` are masked too."""
    named = set(also)
    return [
        f"{name}={MASK if name in named or _is_secret_variable(name) else _without_login(value)}"
        for name, value in sorted(environment.items())
    ]


def env_names(raw: Any) -> set[str]:
    """The environment variables that a file's values come from."""
    if isinstance(raw, dict):
        if set(raw) == {"env"} and isinstance(raw["env"], str):
            return {raw["env"]}
        return {name for value in raw.values() for name in env_names(value)}
    if isinstance(raw, list):
        return {name for value in raw for name in env_names(value)}
    return set()


def _is_secret_variable(name: str) -> bool:
    # A shell's PWD is the directory that the job was started in.
    return name != "PWD" and looks_secret(name)


def _without_login(value: str) -> str:
    return _IN_ADDRESS.sub(rf"\g<start>{MASK}", value)


def _secrets_in(value: Any, *, secret: bool) -> Iterable[Any]:
    """Plain values below secret keys, references to the environment left out."""
    if isinstance(value, dict):
        if set(value) != {"env"}:
            for name, inner in value.items():
                yield from _secrets_in(inner, secret=secret or looks_secret(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets_in(inner, secret=secret)
    elif secret:
        yield value
