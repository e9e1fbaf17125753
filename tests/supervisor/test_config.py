"""A folder of TOML files as the supervisor reads it."""

from pathlib import Path

from enrgdaq.supervisor.config import read_folder


def test_a_section_that_does_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "supervisor.toml").write_text(
        '[info]\nsupervisor_id = "hall"\n[cnc]\nrest_api_enabled = true\n'
    )
    (rest,) = read_folder(tmp_path).warnings
    assert rest.startswith(f"{tmp_path / 'supervisor.toml'}: [cnc] rest_api_enabled has no effect")


def test_a_plain_supervisor_file_warns_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "supervisor.toml").write_text('[info]\nsupervisor_id = "hall"\n')
    assert read_folder(tmp_path).warnings == []
