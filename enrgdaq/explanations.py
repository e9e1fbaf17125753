"""What TOML files may say: keys of job types and of ``supervisor.toml``, for people."""

import enum
from typing import Any

import msgspec

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.config_check import describe_type, metas_of, struct_in
from enrgdaq.daq.store.models import DAQJobStoreConfig
from enrgdaq.models import SupervisorConfig
from enrgdaq.text import clean


def job_type_text(name: str, job_class: type[DAQJob]) -> str:
    """What a job type does and which keys its file may have."""
    lines = [name, "", *(line.rstrip() for line in _paragraph(job_class.__doc__)), "", "keys:"]
    lines += _explain(job_class.config_type, "")
    return "\n".join(map(clean, lines))


def job_type_template(name: str, job_class: type[DAQJob]) -> str:
    """A TOML file to start from: required keys open, the others as comments."""
    head = [f"# {line}".rstrip() for line in _paragraph(job_class.__doc__)]
    return _template([*head, "", f'daq_job_type = "{name}"'], job_class.config_type)


def supervisor_text() -> str:
    """Which keys ``supervisor.toml`` may have."""
    return "\n".join(["supervisor.toml", "", "keys:", *_explain(SupervisorConfig, "")])


def supervisor_template() -> str:
    """A ``supervisor.toml`` to start from, as :func:`job_type_template`."""
    head = "# supervisor.toml: one node. All other files in its folder are jobs."
    return _template([head], SupervisorConfig)


def _template(head: list[str], struct: type[msgspec.Struct]) -> str:
    """Plain keys before tables, as TOML asks for."""
    keys: list[str] = []
    tables: list[str] = []
    for field in msgspec.structs.fields(struct):
        inner = struct_in(field.type)
        if inner is not None:
            tables += _template_table(field.encode_name, inner, required=field.required)
        elif field.encode_name != "daq_job_type":
            keys += ["", *_template_key(field, "")]
    return "\n".join(map(clean, head + keys + tables))


def _template_table(name: str, struct: Any, *, required: bool) -> list[str]:
    inner = msgspec.structs.fields(struct)
    mark = "" if required else "# "
    if issubclass(struct, DAQJobStoreConfig):
        # The backends are tables of their own, all optional.
        lines = ["", f"# One or more of the backends of {name}:"] if required else []
    else:
        lines = ["", f"{mark}[{name}]"]
        for field in inner:
            if struct_in(field.type) is None:
                lines += _template_key(field, mark)
    for field in inner:
        table_type = struct_in(field.type)
        if table_type is not None:
            lines += _template_table(f"{name}.{field.encode_name}", table_type, required=False)
    return lines


def _template_key(field: msgspec.structs.FieldInfo, mark: str) -> list[str]:
    text = _description(field.type)
    comment = (
        f"# {text} ({describe_type(field.type)})" if text else f"# {describe_type(field.type)}"
    )
    if field.required:
        return [comment, f"{mark}{field.encode_name} = {_placeholder(field.type)}"]
    default = _default(field)
    if default is None or default == "":
        return [
            f"{comment}; not set by default",
            f"# {field.encode_name} = {_placeholder(field.type)}",
        ]
    return [comment, f"# {field.encode_name} = {_toml(default)}"]


def _placeholder(expected: Any) -> str:
    """A value of the right kind that the reader is to replace."""
    words = describe_type(expected)
    if words.startswith(("a number", "a whole number")):
        return _toml(_lowest(expected))
    if words.startswith("true"):
        return "false"
    if words.startswith("a list"):
        return '["..."]' if any(meta.min_length for meta in metas_of(expected)) else "[]"
    return '"..."'


def _lowest(expected: Any) -> float:
    """The smallest round number that is allowed; 0 where there is no limit."""
    for meta in metas_of(expected):
        if meta.ge is not None:
            return meta.ge
        if meta.gt is not None:
            return meta.gt + 1
    return 0


def _explain(struct: Any, prefix: str) -> list[str]:
    lines = []
    for field in msgspec.structs.fields(struct):
        key = f"{prefix}{field.encode_name}"
        default = "required" if field.required else f"default: {_toml(_default(field))}"
        lines.append(f"  {key}: {describe_type(field.type)}; {default}")
        text = _description(field.type)
        if text:
            lines.append(f"      {text}")
        inner = struct_in(field.type)
        if inner is not None:
            lines += _explain(inner, f"{key}.")
    return lines


def _description(expected: Any) -> str:
    return next((meta.description for meta in metas_of(expected) if meta.description), "")


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _toml(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, enum.Enum):
        return f'"{value.value}"'
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, msgspec.Struct):
        return "its defaults"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return str(value)


def _paragraph(text: str | None) -> list[str]:
    import inspect

    return inspect.cleandoc(text or "").splitlines()
