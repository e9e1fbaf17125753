"""``engine = "nats"`` in a folder of files: what is wrong is named before anything starts."""

import importlib.util
from pathlib import Path

import pytest

from enrgdaq.supervisor.config import read_folder

NATS = '[federation.nats]\nservers = ["nats://127.0.0.1:4222"]\n'


def mistakes(folder: Path, federation: str) -> list[str]:
    text = f'[info]\nsupervisor_id = "hall"\n[federation]\n{federation}'
    (folder / "supervisor.toml").write_text(text)
    return [str(mistake) for mistake in read_folder(folder).mistakes]


def test_a_plain_section_makes_jobs(tmp_path: Path) -> None:
    assert mistakes(tmp_path, f'engine = "nats"\nreceive = true\n{NATS}') == []
    jobs = {job.unique_id: job.job_class.name for job in read_folder(tmp_path).jobs}
    assert jobs == {"uplink": "DAQJobNatsUplink", "mirror": "DAQJobNatsReceiver"}


def test_without_its_client_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (found,) = mistakes(tmp_path, f'engine = "nats"\n{NATS}')
    assert found.endswith(
        "federation.engine: 'nats' needs its client: run pip install 'enrgdaq[nats]'"
    )


@pytest.mark.parametrize(
    ("federation", "said"),
    [
        (NATS, 'has no effect without engine = "nats"'),
        ('engine = "nats"\n', "is missing: write the section"),
        (f'engine = "nats"\nsend_to = ["b"]\n{NATS}', "is for a star"),
        (f'engine = "nats"\n{NATS}send = false\n', "neither sends nor receives"),
        (f'engine = "nats"\n{NATS}discard = "old"\n', "write may_lose_unread = true"),
        (f'engine = "nats"\n{NATS}max_age_hours = 1\n', "loses what was not read in time"),
        (f'engine = "nats"\n{NATS}replicas = 2\n', "replicas"),
        (f'engine = "nats"\n{NATS}tls_cert = "a"\n', "tls_cert and tls_key belong together"),
        (f'engine = "nats"\n{NATS}nkey_seed_file = "none"\n', "cannot be looked at"),
        (
            'engine = "nats"\n[federation.nats]\nservers = ["nats://daq.example:4222"]\n',
            "daq.example is reached over the network: use TLS",
        ),
        (
            'engine = "nats"\n[federation.nats]\nservers = ["nats://me:word@127.0.0.1"]\n',
            "has a password in it",
        ),
        ('engine = "nats"\n[federation.nats]\nservers = ["http://x"]\n', "is no server"),
    ],
)
def test_a_mistake_is_named_with_its_mend(tmp_path: Path, federation: str, said: str) -> None:
    found = mistakes(tmp_path, federation)
    assert len(found) == 1, found
    assert said in found[0]
    assert "word@" not in found[0]


def test_a_seed_that_others_can_read_is_refused(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.write_text("SUAINVALID")
    seed.chmod(0o644)
    (found,) = mistakes(tmp_path, f'engine = "nats"\n{NATS}nkey_seed_file = "seed"\n')
    assert f"run: chmod 600 {seed}" in found
    seed.chmod(0o600)
    seed.write_text("no seed at all")
    (found,) = mistakes(tmp_path, f'engine = "nats"\n{NATS}nkey_seed_file = "seed"\n')
    assert "is no seed of a user" in found
    assert "no seed at all" not in found


def test_what_may_be_lost_is_allowed_when_it_is_written(tmp_path: Path) -> None:
    text = f'engine = "nats"\n{NATS}discard = "old"\nmay_lose_unread = true\n'
    assert mistakes(tmp_path, text) == []


def test_a_stream_that_only_fills_is_warned_of(tmp_path: Path) -> None:
    assert mistakes(tmp_path, f'engine = "nats"\n{NATS}remove_read = false\n') == []
    assert any("takes no more" in text for text in read_folder(tmp_path).warnings)
