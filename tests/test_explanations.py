"""What is printed as a file to start from is one that can be started from."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from enrgdaq.daq.config_check import struct_in
from enrgdaq.daq.registry import Registry, load_class
from enrgdaq.explanations import job_type_template, supervisor_template, supervisor_text
from enrgdaq.models import SupervisorConfig

REGISTRY = Registry(Path("no folder"))
STORES = [name for name in REGISTRY.names() if name.startswith("DAQJobStore")]


def opened(template: str) -> str:
    """With all that is commented out but explanations, and texts that are left to the reader."""
    text = re.sub(r"(?m)^# ?(\[[a-z_0-9.]+\]|[a-z_0-9]+ = )", r"\1", template)
    return text.replace('"..."', '"hall"')


def test_a_supervisor_file_has_all_keys_and_values_that_are_allowed() -> None:
    found = tomllib.loads(opened(supervisor_template()))
    msgspec.convert(found, SupervisorConfig)
    fields = msgspec.structs.fields(SupervisorConfig)
    assert set(found) == {field.name for field in fields}
    for field in fields:
        struct = struct_in(field.type)
        if struct is not None:
            assert set(found[field.name]) == set(struct.__struct_fields__)
    assert "info.supervisor_id: text" in supervisor_text()


@pytest.mark.parametrize("name", STORES)
def test_values_of_a_store_file_are_allowed(name: str) -> None:
    job_class = load_class(REGISTRY.find(name))
    found = tomllib.loads(opened(job_type_template(name, job_class)))
    msgspec.convert(found, job_class.config_type)
