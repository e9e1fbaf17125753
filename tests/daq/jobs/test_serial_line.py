"""A real pseudo-terminal stands in for the instrument, cable and plug included."""

import logging
import os
import tty
from pathlib import Path

import msgspec
import pytest
from running import running, wait_until

from enrgdaq.daq.jobs.serial_line import DAQJobSerial, DAQJobSerialConfig
from enrgdaq.errors import ConfigurationError
from enrgdaq.testing import RecordingHost

BASE = {
    "daq_job_type": "DAQJobSerial",
    "first_frame": "keep",
    "reconnect_first_seconds": 0.01,
    "reconnect_longest_seconds": 0.05,
    "columns": [
        {"name": "temperature", "unit": "degC"},
        {"name": "count", "type": "int"},
    ],
    "store_config": {"csv": {"file_path": "serial.csv"}},
}


class Instrument:
    """The far end of a serial cable; ``port`` is a link that survives replugging."""

    def __init__(self, port: Path) -> None:
        self.port = port
        self._master = -1

    def plug(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.port.symlink_to(os.ttyname(slave))
        os.close(slave)

    def unplug(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
            self.port.unlink()

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._master, data) :]


@pytest.fixture
def instrument(tmp_path):
    instrument = Instrument(tmp_path / "ttyDAQ")
    yield instrument
    instrument.unplug()


def make_job(tmp_path, **keys):
    config = msgspec.convert(
        {
            **BASE,
            "port": str(tmp_path / "ttyDAQ"),
            "bad_lines_file": str(tmp_path / "bad.txt"),
            **keys,
        },
        DAQJobSerialConfig,
    )
    host = RecordingHost("serial")
    return DAQJobSerial(config, host=host), host


def rows(host):
    return [row for message in list(host.published) for row in message.data]


def values(host):
    return [row[1:] for row in rows(host)]


def wait_for_open(host, times=1):
    wait_until(lambda: host.conditions.count("") == times, "the port is open")


def test_lines_become_typed_rows_with_their_time_of_arrival(tmp_path, instrument):
    instrument.plug()
    job, host = make_job(tmp_path)
    with running(job, host):
        wait_for_open(host)
        instrument.send(b"21.5,1\r\n21.6,2\r\n-2e1")
        wait_until(lambda: len(rows(host)) == 2, "two rows")
        instrument.send(b",3\n")
        wait_until(lambda: len(rows(host)) == 3, "the third row")
    assert values(host) == [[21.5, 1], [21.6, 2], [-20.0, 3]]
    assert host.published[0].keys == ["timestamp", "temperature_degC", "count"]
    assert host.published[0].units == {"timestamp": "s", "temperature_degC": "degC"}
    times = [row[0] for row in rows(host)]
    assert times == sorted(times)
    assert all(isinstance(value, float) and value > 1.7e9 for value in times)
    assert not (tmp_path / "bad.txt").exists()


def test_a_device_that_is_pulled_out_and_put_back_is_waited_for(tmp_path, instrument, caplog):
    caplog.set_level(logging.INFO)
    job, host = make_job(tmp_path)
    waiting = f"waiting for {tmp_path / 'ttyDAQ'}"
    with running(job, host):
        wait_until(lambda: host.conditions[-1:] == [waiting], "it waits for the device")
        for plugged in range(1, 4):
            instrument.plug()
            wait_for_open(host, plugged)
            instrument.send(b"%d,%d\nhalf a li" % (plugged, plugged))
            wait_until(lambda n=plugged: len(rows(host)) == n, "a row after plugging in")
            instrument.unplug()
            wait_until(lambda: host.conditions[-1] == waiting, "it waits again")
    assert values(host) == [[1.0, 1], [2.0, 2], [3.0, 3]]
    # A line that was cut by the plug is never joined with the first one afterwards.
    cut = [line.split("\t")[1:] for line in (tmp_path / "bad.txt").read_text().splitlines()]
    assert ["line closed before the frame ended", "half a li"] in cut
    assert "No such file" in caplog.text


def test_bad_lines_are_counted_and_kept_and_the_good_ones_pass(tmp_path, instrument):
    instrument.plug()
    job, host = make_job(tmp_path, max_frame_bytes=20)
    with running(job, host):
        wait_for_open(host)
        instrument.send(b"1,1\n\x1b[31mx,1\n1\n" + b"9" * 500 + b"\n2,2\n")
        wait_until(lambda: len(rows(host)) == 2, "two good rows")
    assert values(host) == [[1.0, 1], [2.0, 2]]
    assert job.bad_lines == 3
    reasons = [line.split("\t")[1:] for line in (tmp_path / "bad.txt").read_text().splitlines()]
    assert reasons == [
        ["temperature = '\\\\x1b[31mx' is no float", "\\x1b[31mx,1"],
        ["1 fields, expected 2", "1"],
        ["frame of 500 bytes, 20 allowed", "9" * 20],
    ]


def test_a_first_line_that_comes_at_once_may_be_cut_and_is_no_row(tmp_path, instrument):
    instrument.plug()
    job, host = make_job(tmp_path, first_frame="discard")
    with running(job, host):
        wait_for_open(host)
        instrument.send(b"3.4,5\n123.4,5\n")
        wait_until(lambda: len(rows(host)) == 1, "the second line")
    assert values(host) == [[123.4, 5]]
    assert job.bad_lines == 1


def test_a_full_disk_for_bad_lines_does_not_stop_the_good_ones(tmp_path, instrument, caplog):
    instrument.plug()
    (tmp_path / "file").write_text("no folder")
    job, host = make_job(tmp_path, bad_lines_file=str(tmp_path / "file" / "bad.txt"))
    with running(job, host):
        wait_for_open(host)
        instrument.send(b"bad\nworse\n1,1\n")
        wait_until(lambda: len(rows(host)) == 1, "the good row")
    assert job.bad_lines == 2
    assert caplog.text.count("no longer kept") == 1


def test_fixed_frames_with_a_sync_word(tmp_path, instrument):
    instrument.plug()
    job, host = make_job(
        tmp_path,
        framing="fixed",
        frame_bytes=8,
        sync_hex="02",
        format="regex",
        pattern=r"\x02(?P<temperature>.{4})(?P<count>.{3})",
    )
    with running(job, host):
        wait_for_open(host)
        instrument.send(b"xx\x0221.5  7\x02 3.0 12")
        wait_until(lambda: len(rows(host)) == 2, "two frames")
    assert values(host) == [[21.5, 7], [3.0, 12]]


def test_a_delimiter_of_its_own_and_nmea(tmp_path, instrument):
    instrument.plug()
    job, host = make_job(
        tmp_path,
        framing="delimiter",
        delimiter_hex="0d0a",
        format="nmea",
        nmea_sentences=["GGA"],
        columns=[{"name": "altitude", "unit": "m", "source": 9}],
    )
    good = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47"
    with running(job, host):
        wait_for_open(host)
        instrument.send(b"\r\n".join([good, good.replace(b"545", b"546"), good, b""]))
        wait_until(lambda: len(rows(host)) == 2, "two good sentences")
    assert values(host) == [[545.4], [545.4]]
    assert job.bad_lines == 1


def test_two_jobs_cannot_read_one_line(tmp_path, instrument):
    instrument.plug()
    first, first_host = make_job(tmp_path)
    second, second_host = make_job(tmp_path)
    with running(first, first_host):
        wait_for_open(first_host)
        with running(second, second_host):
            wait_until(lambda: second_host.conditions, "the second one waits")
            assert second_host.conditions[0].startswith("waiting for")


def test_a_port_url_of_an_unknown_kind_is_a_configuration_error(tmp_path):
    job, _ = make_job(tmp_path, port="nonsense://x")
    with pytest.raises(ConfigurationError, match="nonsense://x"):
        job.start()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"format": "regex"}, "needs pattern"),
        ({"format": "regex", "pattern": "(?P<x>.)"}, "has no group 'temperature'"),
        ({"framing": "fixed", "frame_bytes": 2, "sync_hex": "aa55"}, "sync word"),
        ({"framing": "delimiter", "delimiter_hex": "0"}, "delimiter_hex = '0'"),
        ({"framing": "delimiter", "delimiter_hex": ""}, "the delimiter is empty"),
        ({"columns": [{"name": "timestamp"}]}, "two are called 'timestamp'"),
        ({"columns": [{"name": "a", "typ": "int"}]}, "typ"),
    ],
)
def test_mistakes_are_found_when_the_file_is_read(tmp_path, keys, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        make_job(tmp_path, **keys)
