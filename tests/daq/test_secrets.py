"""Secrets stay out of what consoles show."""

import tomllib

import pytest

from enrgdaq.daq.secrets import (
    HIDDEN,
    MASK,
    env_names,
    looks_secret,
    masked_environment,
    masked_text,
)

SECRET = "hunter2"  # noqa: S105 - of nobody


@pytest.mark.parametrize(
    "text",
    [
        f'password = "{SECRET}"',
        f"password = '{SECRET}'",
        f'[mysql]\nuser = "x"\npassword="{SECRET}" # the usual one',
        f'# password = "{SECRET}"\nx = 1',
        f'login = {{ user = "a", "api-key" = "{SECRET}" }}',
        f'slack_webhook_url = "https://hooks/{SECRET}"',
        f'token = """\n{SECRET}\n"""',
        f"token = '''\n{SECRET}\n'''",
        f'tokens = [\n  "{SECRET}",\n  "other",\n]',
        f'a.b.secret = "{SECRET}"',
        f'url = "mysql://daq:{SECRET}@host/test"',
        f'password = "with \\" quote {SECRET}"',
        f'[passwords]\nalice = "{SECRET}"',
        f'password = {{ user = {{ deep = "{SECRET}" }}, more = "{SECRET}" }}',
        f'"pass\\u0077ord" = "{SECRET}"',
        f'tokens = [ "]", "{SECRET}" ]',
    ],
)
def test_no_secret_is_shown(text: str) -> None:
    tomllib.loads(text)
    shown = masked_text(text)
    assert SECRET not in shown
    assert MASK in shown or shown == HIDDEN


@pytest.mark.parametrize(
    "text",
    [
        'password = { env = "DB_PASSWORD" }\n',
        '[store_config.redis]\nkey = "rates"\nkey_expiration_days = 3\n',
        'bypass = true\ncompass = "north"\nurl = "http://host:80/x"\n',
        "# a comment = with = signs\n\nx = [1, 2]\n",
    ],
)
def test_everything_else_is(text: str) -> None:
    assert masked_text(text) == text


def test_what_is_no_toml_is_not_shown() -> None:
    assert masked_text('password = "x"\ny = ') == HIDDEN


def test_environment() -> None:
    environment = {"PATH": "/bin", "DB": "x", "MY_TOKEN": "y", "PROXY": "http://me:z@proxy"}
    environment |= {"PWD": "/srv/daq", "DB_PWD": "w"}
    assert masked_environment(environment, ["DB"]) == [
        f"DB={MASK}",
        f"DB_PWD={MASK}",
        f"MY_TOKEN={MASK}",
        "PATH=/bin",
        f"PROXY=http://me:{MASK}@proxy",
        "PWD=/srv/daq",
    ]


def test_names_of_the_environment_in_a_file() -> None:
    raw = {"a": {"env": "A"}, "b": [{"c": {"env": "C"}}], "d": {"env": "D", "e": 1}}
    assert env_names(raw) == {"A", "C"}


def test_names() -> None:
    assert all(map(looks_secret, ("PASSWORD", "db_pass", "slack_webhook_url", "apikey", "api-key")))
    assert not any(map(looks_secret, ("key", "keys", "compass", "bypass_filter", "file_path")))
