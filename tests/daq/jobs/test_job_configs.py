"""Files that people copy from must work, and every key must be explained."""

import tomllib
import typing
from pathlib import Path

import msgspec
import pytest

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.config_check import read_config
from enrgdaq.daq.jobs.pc_metrics import DAQJobPCMetrics
from enrgdaq.daq.jobs.replay import DAQJobReplay
from enrgdaq.daq.jobs.serial_line import DAQJobSerial
from enrgdaq.daq.jobs.simulated_detector import DAQJobSimulatedDetector
from enrgdaq.daq.jobs.store.mysql import DAQJobStoreMySQL
from enrgdaq.daq.jobs.store.redis import DAQJobStoreRedis
from enrgdaq.daq.jobs.test_job import DAQJobTest
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.models import SupervisorConfig

CONFIGS = Path(__file__).parents[3] / "configs"
JOBS: dict[str, type[DAQJob]] = {
    job.__name__: job
    for job in (
        DAQJobTest,
        DAQJobPCMetrics,
        DAQJobSerial,
        DAQJobReplay,
        DAQJobSimulatedDetector,
        DAQJobStoreMySQL,
        DAQJobStoreRedis,
    )
}
FILES = [
    *(f"examples/{name}.toml" for name in ("test_job", "pc_metrics", "serial", "replay")),
    "examples/simulated_detector.toml",
    "examples/store_mysql.toml",
    "examples/store_redis.toml",
    "detector.toml",
    "pc_metrics.toml",
]


@pytest.mark.parametrize("name", FILES)
def test_shipped_files_are_valid(name, monkeypatch):
    for server in ("MYSQL", "REDIS"):
        monkeypatch.setenv(f"ENRGDAQ_{server}_PASSWORD", "x")
    text = (CONFIGS / name).read_text()
    raw = tomllib.loads(text)
    config_type = JOBS[raw["daq_job_type"]].config_type
    config, mistakes = read_config(config_type, raw, name)
    assert config is not None, mistakes
    assert raw.keys() <= {field.encode_name for field in msgspec.structs.fields(config_type)}
    assert text.startswith("#")


def test_the_demo_supervisor_file_is_valid():
    raw = tomllib.loads((CONFIGS / "supervisor.toml").read_text())
    assert msgspec.convert(raw, SupervisorConfig).supervisor_id == "demo"


@pytest.mark.parametrize("job", JOBS.values())
def test_every_key_is_explained_and_every_job_described_in_a_sentence(job):
    first_line, *_ = (job.__doc__ or "").splitlines()
    assert first_line.endswith(".")
    hints = typing.get_type_hints(job.config_type, include_extras=True)
    inherited = {field.name for field in msgspec.structs.fields(DAQJobConfig)} | {"store_config"}
    for name in hints.keys() - inherited - {"__match_args__"}:
        if name.startswith("__"):
            continue
        parts = [hints[name], *typing.get_args(hints[name])]
        metas = [meta for part in parts for meta in getattr(part, "__metadata__", ())]
        assert any(meta.description for meta in metas), name
