"""A folder of TOML files as the supervisor reads it."""

from pathlib import Path

from enrgdaq.supervisor.config import read_folder


def test_sections_that_do_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "supervisor.toml").write_text(
        '[info]\nsupervisor_id = "hall"\n'
        '[federation]\nremote_server_xsub_url = "tcp://hub:1639"\n'
        "[cnc]\nrest_api_enabled = true\n"
    )
    links, rest = read_folder(tmp_path).warnings
    assert links.startswith(f"{tmp_path / 'supervisor.toml'}: [federation] has no effect")
    assert "[cnc] rest_api_enabled has no effect" in rest


def test_a_plain_supervisor_file_warns_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "supervisor.toml").write_text('[info]\nsupervisor_id = "hall"\n')
    assert read_folder(tmp_path).warnings == []
