"""Every mistake at once, each with key, value and mend."""

from typing import Annotated

import pytest
from msgspec import Meta, Struct

from enrgdaq.daq.config_check import read_config
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.store.models import StorableDAQJobConfig


class DeviceConfig(StorableDAQJobConfig, kw_only=True):
    port: str
    rate_hz: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    password: str | None = None


def mistakes(raw: dict[str, object], kind: type[Struct] = DeviceConfig) -> list[str]:
    config, found = read_config(kind, raw, "configs/device.toml")
    assert (config is None) == bool(found)
    return [str(mistake) for mistake in found]


RIGHT = {
    "daq_job_type": "X",
    "port": "/dev/ttyUSB0",
    "store_config": {"csv": {"file_path": "a.csv"}},
}


def test_right_config_is_typed() -> None:
    config, found = read_config(DeviceConfig, RIGHT, "f")
    assert not found
    assert config is not None
    assert config.store_config.csv is not None
    assert config.store_config.csv.file_path == "a.csv"


def test_all_mistakes_are_reported_with_key_and_mend() -> None:
    found = mistakes(
        {
            "daq_job_type": "X",
            "prot": "/dev/ttyUSB0",
            "rate_hz": 0,
            "store_config": {"csv": {"file_pth": "a.csv", "overwrite": "yes"}},
        }
    )
    text = "\n".join(found)
    assert "configs/device.toml: prot: unknown key (did you mean port?)" in found
    assert "configs/device.toml: port: missing; expected text" in found
    assert "store_config.csv.file_pth: unknown key (did you mean file_path?)" in text
    assert "store_config.csv.file_path: missing" in text
    assert "store_config.csv.overwrite" in text
    assert "expected true or false" in text
    assert "rate_hz" in text
    assert "more than 0" in text
    assert len(found) == 6


def test_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_PASSWORD", "hunter2")
    config, found = read_config(
        DeviceConfig, {**RIGHT, "password": {"env": "DEVICE_PASSWORD"}}, "f"
    )
    assert not found
    assert config is not None
    assert config.password == "hunter2"  # noqa: S105


def test_missing_secret_is_named_and_no_secret_is_shown() -> None:
    assert mistakes({**RIGHT, "password": {"env": "NOT_SET_HERE"}}) == [
        "configs/device.toml: password: environment variable 'NOT_SET_HERE' is not set"
    ]
    (line,) = mistakes({**RIGHT, "password": 12345})
    assert "12345" not in line


@pytest.mark.parametrize("name", ["../etc", "a b", "", "x" * 64, "a/b", "\x1b[31m"])
def test_job_names_are_words(name: str) -> None:
    (line,) = mistakes({"daq_job_type": "X", "daq_job_unique_id": name}, DAQJobConfig)
    assert "daq_job_unique_id" in line
