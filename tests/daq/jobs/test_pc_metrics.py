import msgspec
import pytest

from enrgdaq.daq.jobs.pc_metrics import DAQJobPCMetrics, DAQJobPCMetricsConfig
from enrgdaq.testing import RecordingHost


def run(stop_after=2, **keys):
    config = msgspec.convert(
        {
            "daq_job_type": "DAQJobPCMetrics",
            "poll_interval_seconds": 0.1,
            "store_config": {"csv": {"file_path": "pc.csv"}},
            **keys,
        },
        DAQJobPCMetricsConfig,
    )
    host = RecordingHost(stop_after=stop_after)
    DAQJobPCMetrics(config, host=host).start()
    return host.published


def test_all_metrics_are_stored_by_default_in_percent():
    first, second = run()
    assert first.keys == ["timestamp", "cpu", "memory", "disk"]
    for row in (first.data[0], second.data[0]):
        assert len(row) == 4
        assert all(isinstance(value, float) and 0 <= value <= 100 for value in row[1:])
    assert second.data[0][0] - first.data[0][0] > 0.05


def test_chosen_metrics_are_stored_in_the_order_of_the_config():
    (message,) = run(stop_after=1, metrics_to_store=["disk", "cpu"])
    assert message.keys == ["timestamp", "disk", "cpu"]


@pytest.mark.parametrize("metrics", [[], ["gpu"], ["cpu", "cpu"]])
def test_impossible_choices_are_refused(metrics):
    with pytest.raises(msgspec.ValidationError, match=r"metrics_to_store|length"):
        run(metrics_to_store=metrics)
