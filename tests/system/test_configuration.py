"""Mistakes are found before anything starts."""

import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from enrgdaq.daq.store.models import DAQJobStoreConfig
from tests.system.jobs import sender
from tests.system.node import Node

STORE = 'daq_job_type = "DAQJobStoreCSV"\n'


def check(node: Node) -> tuple[int, str]:
    done = node.run("check")
    return done.returncode, done.stdout + done.stderr


def test_good_configuration(node: Node) -> None:
    node.add("csv", STORE)
    code, said = check(node)
    assert (code, said) == (0, "configs: 1 job, no mistakes\n")


def test_every_mistake_of_every_file_at_once(node: Node) -> None:
    node.add("typo", 'daq_job_type = "DAQJobStoreCVS"')
    node.add("key", STORE + "flush_intervall_seconds = 2")
    node.add("broken", "daq_job_type = ")
    node.add("nothing", "x = 1")
    node.add("value", STORE + "flush_interval_seconds = -1\nout_dir = 5\n")
    (node.configs / "binary.toml").write_bytes(b"\xff\xfe\x00")
    code, said = check(node)
    assert code == 2
    assert "configs/typo.toml: daq_job_type: unknown job type 'DAQJobStoreCVS'" in said
    assert "did you mean DAQJobStoreCSV?" in said
    assert "configs/key.toml: flush_intervall_seconds: unknown key" in said
    assert "did you mean flush_interval_seconds?" in said
    assert "configs/broken.toml: is not TOML" in said
    assert "configs/nothing.toml: daq_job_type: missing" in said
    assert "configs/value.toml: flush_interval_seconds" in said
    assert "configs/value.toml: out_dir" in said
    assert "configs/binary.toml: is not UTF-8 text" in said


def test_only_jobs_are_named_as_job_types(node: Node) -> None:
    node.add_code(
        "digitizer",
        "import enum\nimport msgspec\nfrom enrgdaq.daq import base\n"
        "from enrgdaq.daq.models import DAQJobConfig, DAQJobMessage\n"
        "class DigitizerConfig(DAQJobConfig):\n    pass\n"
        "class FastDigitizerConf(DigitizerConfig):\n    pass\n"
        "class Pulse(DAQJobMessage, kw_only=True):\n    pass\n"
        "class Mode(enum.Enum):\n    A = 1\n"
        "class Channel(msgspec.Struct):\n    pass\n"
        "class Plain:\n    pass\n"
        "class Digitizer(base.DAQJob):\n    config_type = DigitizerConfig\n"
        "class FastDigitizer(Plain, Digitizer):\n    pass\n",
    )
    node.add_code(
        "broken",
        "from enrgdaq.daq.base import DAQJob\n1 / 0\nclass DAQJobBroken(DAQJob):\n    pass\n",
    )
    node.add("nothing", "x = 1")
    code, said = check(node)
    assert code == 2
    (names,) = (line.partition("such as ")[2] for line in said.splitlines() if "such as" in line)
    listed = node.run("job-types")
    assert listed.returncode == 0, listed.stderr
    assert re.search("DAQJobBroken +cannot be used: division by zero", listed.stdout)
    for found in (names.split(", "), [line.split()[0] for line in listed.stdout.splitlines()]):
        assert {"Digitizer", "FastDigitizer", "DAQJobStoreCSV"} <= set(found)
        assert not {"DigitizerConfig", "FastDigitizerConf", "Pulse", "Mode", "Channel"} & set(found)
        assert "Plain" not in found


def test_a_store_with_a_mistake_is_not_missed_besides(node: Node) -> None:
    node.add("test", sender())
    node.add("one", STORE + 'daq_job_unique_id = "test"\n')
    code, said = check(node)
    assert code == 2
    assert "'test' is also the name of the job in configs/one.toml" in said
    assert "nobody stores" not in said
    node.add("one", STORE + "flush_intervall_seconds = 2")
    assert "nobody stores" not in check(node)[1]
    (node.configs / "one.toml").unlink()
    assert "nobody stores its DAQJobStoreCSV data" in check(node)[1]


def test_user_code_that_does_not_import_is_one_more_mistake(node: Node) -> None:
    head = "from enrgdaq.daq.base import DAQJob\n"
    body = "\nclass {}(DAQJob):\n    pass\n"
    node.add_code("raises", head + "1 / 0" + body.format("DAQJobRaises"))
    node.add_code("exits", head + "import os; os._exit(3)" + body.format("DAQJobExits"))
    node.add_code(
        "crashes",
        head
        + "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
        + body.format("DAQJobCrashes"),
    )
    node.add_code("fine", head + body.format("DAQJobFine"))
    for name in ("Raises", "Exits", "Crashes", "Fine"):
        node.add(name.lower(), f'daq_job_type = "DAQJob{name}"')
    code, said = check(node)
    assert code == 2
    lines = said.splitlines()
    assert len(lines) == 3, said
    assert all(f"{name}.py" in said for name in ("raises", "exits", "crashes"))
    assert "ZeroDivisionError" in said


def test_double_names_are_named_with_both_places(node: Node) -> None:
    code = "from enrgdaq.daq.base import DAQJob\nclass DAQJobStoreCSV(DAQJob):\n    pass\n"
    node.add_code("mine", code)
    node.add("csv", STORE)
    node.add("one", 'daq_job_type = "DAQJobTest"\ndaq_job_unique_id = "same"\n')
    node.add("two", 'daq_job_type = "DAQJobTest"\ndaq_job_unique_id = "same"\n')
    exit_code, said = check(node)
    assert exit_code == 2
    assert "defined twice" in said
    assert "enrgdaq.daq.jobs.store.csv" in said
    assert "mine.py" in said
    assert "is also the name of the job in configs/one.toml" in said


def test_two_stores_must_not_share_a_folder(node: Node) -> None:
    node.add("a", STORE)
    node.add("b", STORE + 'out_dir = "./out"')
    code, said = check(node)
    assert code == 2
    assert "is also the folder of configs/a.toml" in said


def test_a_file_must_not_be_the_folder_of_another(node: Node) -> None:
    node.add("csv", STORE)
    job = 'daq_job_type = "DAQJobTest"\nrand_min = 0\nrand_max = 1\n[store_config.csv]\n'
    node.add("one", job + 'file_path = "x.csv"\n')
    node.add("two", job + 'file_path = "x.csv/y.csv"\n')
    code, said = check(node)
    assert code == 2
    assert "configs/two.toml: file_path:" in said
    assert "which is a file for configs/one.toml" in said


def test_a_section_that_sends_rows_nowhere_is_a_mistake(node: Node) -> None:
    node.add("one", 'daq_job_type = "DAQJobTest"\nrand_min = 0\nrand_max = 1\n[store_config]\n')
    code, said = check(node)
    assert code == 2
    assert "configs/one.toml: store_config: names no backend; add one, such as" in said


def test_windows_text_files_are_fine(node: Node) -> None:
    text = STORE.replace("\n", "\r\n").encode("utf-8-sig")
    (node.configs / "csv.toml").write_bytes(text)
    assert check(node)[0] == 0


def test_wrong_configuration_starts_nothing(node: Node) -> None:
    node.add("typo", 'daq_job_type = "DAQJobStoreCVS"')
    done = node.run("run")
    assert done.returncode == 2
    assert "did you mean DAQJobStoreCSV?" in done.stderr
    assert not node.out.exists()


def test_a_folder_that_cannot_be_made_is_said(node: Node) -> None:
    node.add("csv", STORE)
    node.configure(out_dir="taken/here")
    (node.folder / "taken").touch()
    done = node.run("run")
    assert done.returncode == 2
    assert "taken/here/logs: Not a directory; name a folder that can be written" in done.stderr


def test_missing_folder_is_said(node: Node) -> None:
    done = node.run("check", "--daq-job-config-path", "nowhere")
    assert done.returncode == 2
    assert "nowhere: no such folder" in done.stderr


def test_path_out_of_the_folder_is_a_mistake(node: Node) -> None:
    node.add("csv", STORE)
    node.add(
        "test",
        'daq_job_type = "DAQJobTest"\nrand_min = 1\nrand_max = 2\n'
        '[store_config.csv]\nfile_path = "../../etc/cron.d/x"\n',
    )
    code, said = check(node)
    assert code == 2
    assert "below the store's out_dir" in said


def test_hanging_import_is_a_mistake(tmp_path: Path, node: Node) -> None:
    from enrgdaq.supervisor.check import check_jobs
    from enrgdaq.supervisor.config import read_folder
    from enrgdaq.supervisor.spawner import Spawner

    node.add_code(
        "hangs",
        "import time\nfrom enrgdaq.daq.base import DAQJob\nwhile True: time.sleep(1)\n"
        "class DAQJobHangs(DAQJob):\n    pass\n",
    )
    node.add("hangs", 'daq_job_type = "DAQJobHangs"')
    node.add("csv", STORE)
    folder = read_folder(node.configs)
    spawner = Spawner()
    try:
        facts = check_jobs(folder, spawner, seconds_each=1.5)
    finally:
        spawner.close()
    assert list(facts) == ["csv"]
    (mistake,) = folder.mistakes
    assert "it hangs" in str(mistake)


def test_demo_and_examples_are_right() -> None:
    """What ships is checked as a user checks it, in place."""
    root = Path(__file__).parent.parent.parent
    secrets = {"ENRGDAQ_MYSQL_PASSWORD": "x", "ENRGDAQ_REDIS_PASSWORD": "x"}
    for folder in ("configs", "configs/examples"):
        done = subprocess.run(
            [sys.executable, "-m", "enrgdaq", "check", "--daq-job-config-path", folder],
            cwd=root,
            env=os.environ | secrets,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    shipped = {path.stem for path in (root / "configs" / "examples").glob("*.toml")}
    assert len(shipped) >= 9


@pytest.mark.parametrize("name", ["csv", "hdf5", "mysql", "raw", "redis", "root"])
def test_settings_in_comments_of_examples_are_right(name: str) -> None:
    """What a producer's file may hold is shown in the example of its store."""
    text = (Path(__file__).parents[2] / "configs/examples" / f"store_{name}.toml").read_text()
    lines = text.partition(f"#   [store_config.{name}]\n")[2].splitlines()
    shown_lines = itertools.takewhile(lambda line: line.startswith("#   "), lines)
    section = tomllib.loads("\n".join(line[1:] for line in shown_lines))
    shown = msgspec.convert({name: section}, DAQJobStoreConfig).backends()[0]
    assert set(section) == set(shown.__struct_fields__)


def test_jobs_of_installed_packages(node: Node) -> None:
    """By entry point, and by ``package.module:Class``."""
    site = node.folder / "site"
    info = site / "lab_jobs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-jobs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enrgdaq.jobs]\nDAQJobLab = lab_jobs:DAQJobLab\n")
    (site / "lab_jobs.py").write_text(
        "from enrgdaq.daq.base import DAQJob\n"
        "class DAQJobLab(DAQJob):\n    pass\nclass DAQJobOther(DAQJob):\n    pass\n"
    )
    node.environment["PYTHONPATH"] = str(site)
    node.add("lab", 'daq_job_type = "DAQJobLab"')
    node.add("other", 'daq_job_type = "lab_jobs:DAQJobOther"')
    assert check(node) == (0, "configs: 2 jobs, no mistakes\n")
    assert "DAQJobLab" in node.run("job-types").stdout
    node.add("none", 'daq_job_type = "lab_jobs:DAQJobMissing"')
    code, said = check(node)
    assert code == 2
    assert "has no class 'DAQJobMissing'" in said
