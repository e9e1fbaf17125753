"""Store settings, as they stand in the producing job's file, and store messages."""

import importlib.util
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from enrgdaq.daq.models import DAQJobConfig, DAQJobMessage
from enrgdaq.daq.topics import Topic

if TYPE_CHECKING:
    import pyarrow as pa


class DAQJobStoreConfigBase(Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of the settings for one backend."""


class DAQJobStoreConfigFile(DAQJobStoreConfigBase):
    """What all backends that write files have."""

    file_path: Annotated[str, Meta(min_length=1, description="file below the store's out_dir")]
    add_date: Annotated[bool, Meta(description="put YYYY-MM-DD_ (UTC) before the file name")] = (
        False
    )
    roll_size_mb: (
        Annotated[float, Meta(gt=0, description="begin a new file when it is so large, MiB")] | None
    ) = None
    roll_rows: Annotated[int, Meta(ge=1, description="begin a new file after so many")] | None = (
        None
    )
    roll_seconds: (
        Annotated[
            float,
            Meta(
                ge=1,
                description="begin a new file with each period of so long, by the records' times;"
                " 3600: on the hour",
            ),
        ]
        | None
    ) = None

    @property
    def stored_path(self) -> str:
        """``file_path`` with the suffix that the file has."""
        return self.file_path


class DAQJobStoreConfigCSV(DAQJobStoreConfigFile, kw_only=True):
    """``[store_config.csv]``"""

    overwrite: Annotated[
        bool, Meta(description="keep only the latest message: a live snapshot")
    ] = False
    use_zstd: Annotated[bool, Meta(description="compress with zstd, one frame per flush")] = False

    def __post_init__(self) -> None:
        _check_overwrite(self, self.overwrite)

    @property
    def stored_path(self) -> str:
        """``file_path`` with the suffix that the file has."""
        is_packed = self.use_zstd and not self.file_path.endswith(".zst")
        return f"{self.file_path}.zst" if is_packed else self.file_path


class DAQJobStoreConfigRaw(DAQJobStoreConfigFile, kw_only=True):
    """``[store_config.raw]``"""

    overwrite: Annotated[bool, Meta(description="keep only the latest message")] = True
    framing: Annotated[
        Literal["none", "length"],
        Meta(description="length: put each message's length before it, to tell them apart"),
    ] = "none"

    def __post_init__(self) -> None:
        _check_overwrite(self, self.overwrite)
        if self.framing != "none" and self.overwrite:
            raise ValueError(
                f'framing = "{self.framing}" is for files that grow: set overwrite = false'
            )


class DAQJobStoreConfigHDF5(DAQJobStoreConfigFile, kw_only=True):
    """``[store_config.hdf5]``"""

    dataset_name: Annotated[str, Meta(min_length=1, description="group that holds the columns")]
    compression: Annotated[
        Literal["none", "gzip", "lzf", "zstd"],
        Meta(description="of the datasets' chunks; zstd needs the extra hdf5-zstd"),
    ] = "none"
    compression_level: (
        Annotated[int, Meta(ge=0, le=22, description="of gzip (0 to 9) and zstd (1 to 22)")] | None
    ) = None

    def __post_init__(self) -> None:
        parts = self.dataset_name.strip("/").split("/")
        if any(part in ("", ".", "..") or part.startswith("_") for part in parts):
            raise ValueError(
                f"dataset_name {self.dataset_name!r}: use names that do not begin with an"
                " underscore, one below the other with a slash in between"
            )
        if self.compression == "zstd" and importlib.util.find_spec("hdf5plugin") is None:
            raise ValueError(
                'compression = "zstd" needs hdf5plugin: install enrgdaq[hdf5-zstd], or use gzip'
            )
        if self.compression == "gzip" and (self.compression_level or 0) > 9:
            raise ValueError(f"compression_level = {self.compression_level}: gzip has 0 to 9")


class DAQJobStoreConfigROOT(DAQJobStoreConfigFile, kw_only=True):
    """``[store_config.root]``"""

    tree_name: Annotated[str, Meta(min_length=1, description="name of the TTree")]
    compression_type: Literal["ZSTD", "LZ4", "ZLIB", "LZMA"] = "ZSTD"
    compression_level: Annotated[
        int, Meta(ge=0, le=9, description="0 is none; higher is smaller and slower")
    ] = 5

    def __post_init__(self) -> None:
        parts = self.tree_name.split("/")
        is_odd = any(letter in ";:[]" or ord(letter) < 32 for letter in self.tree_name)
        if is_odd or any(part in ("", ".", "..", "enrgdaq_provenance") for part in parts):
            raise ValueError(
                f"tree_name {self.tree_name!r}: use a name, or folders and a name with slashes"
            )


def _check_overwrite(settings: DAQJobStoreConfigFile, overwrites: bool) -> None:
    for key in ("roll_size_mb", "roll_rows", "roll_seconds"):
        if overwrites and getattr(settings, key) is not None:
            raise ValueError(
                f"{key}: a file that keeps only the latest message never rolls; take it out, or set"
                " overwrite = false"
            )


class DAQJobStoreConfigMySQL(DAQJobStoreConfigBase):
    """``[store_config.mysql]``"""

    table_name: Annotated[str, Meta(min_length=1, description="table for the rows")]


class DAQJobStoreConfigRedis(DAQJobStoreConfigBase):
    """``[store_config.redis]``"""

    key: Annotated[str, Meta(min_length=1, description="beginning of the Redis keys")]
    key_expiration_days: Annotated[int, Meta(ge=1, description="days")] | None = None
    use_timeseries: bool | None = None


class DAQJobStoreConfigMemory(DAQJobStoreConfigBase):
    """``[store_config.memory]``: kept in the store's process, for tests and benchmarks."""


class DAQJobStoreConfig(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a job's rows go: any number of backends at once."""

    csv: DAQJobStoreConfigCSV | None = None
    root: DAQJobStoreConfigROOT | None = None
    hdf5: DAQJobStoreConfigHDF5 | None = None
    mysql: DAQJobStoreConfigMySQL | None = None
    redis: DAQJobStoreConfigRedis | None = None
    raw: DAQJobStoreConfigRaw | None = None
    memory: DAQJobStoreConfigMemory | None = None
    target_local_supervisor: Annotated[bool, Meta(description="keep the messages on this node")] = (
        False
    )

    def backends(self) -> list[DAQJobStoreConfigBase]:
        """The settings that are given."""
        found = (getattr(self, name) for name in STORE_TYPES)
        return [config for config in found if config is not None]

    def has_store_config(self, store_type: type[DAQJobStoreConfigBase]) -> bool:
        """Whether settings of this kind are given."""
        return any(isinstance(config, store_type) for config in self.backends())

    def topics(self) -> list[str]:
        """Topics of the stores that take this config's messages."""
        return [
            Topic.store(store)
            for name, store in STORE_TYPES.items()
            if getattr(self, name) is not None
        ]


FILE_BACKENDS = (
    DAQJobStoreConfigCSV,
    DAQJobStoreConfigRaw,
    DAQJobStoreConfigHDF5,
    DAQJobStoreConfigROOT,
)
"""Backends that write files."""

STORE_TYPES: dict[str, str] = {
    "csv": "DAQJobStoreCSV",
    "root": "DAQJobStoreROOT",
    "hdf5": "DAQJobStoreHDF5",
    "mysql": "DAQJobStoreMySQL",
    "redis": "DAQJobStoreRedis",
    "raw": "DAQJobStoreRaw",
    "memory": "DAQJobStoreMemory",
}
"""Section of a store config -> name of the store that serves it."""


class StorableDAQJobConfig(DAQJobConfig, kw_only=True):
    """Config of a job that stores what it takes."""

    store_config: DAQJobStoreConfig


class DAQJobMessageStore(DAQJobMessage, kw_only=True):
    """Base of the messages that stores take. ``tag`` becomes part of the file name."""

    store_config: DAQJobStoreConfig
    tag: str | None = None


class DAQJobMessageStoreTabular(DAQJobMessageStore, kw_only=True):
    """Rows as lists.

    ``keys`` are the column names; ``data`` holds one list per row, or ``data_columns`` one
    list or array per column name, all of one length. ``units`` names the units of columns
    that have one; columns of Arrow tables say theirs in the metadata ``unit`` of their fields.
    """

    keys: list[str]
    data: list[list[Any]] | None = None
    data_columns: dict[str, Any] | None = None
    units: dict[str, str] | None = None


class DAQJobMessageStoreRaw(DAQJobMessageStore, kw_only=True):
    """Bytes as they are."""

    data: Any


class DAQJobMessageStorePyArrow(DAQJobMessageStore, kw_only=True):
    """An Arrow table or record batch: the fastest lane.

    A received table points into the ring and is valid until :meth:`DAQJob.handle_message`
    returns; whoever keeps it longer keeps ``message.copy_table()``.
    """

    table: Any = None

    def get_table(self) -> "pa.Table":
        """The rows as a ``pyarrow.Table``."""
        import pyarrow as pa

        if self.table is None:
            raise msgspec.ValidationError("this message's table was released")
        if isinstance(self.table, pa.RecordBatch):
            return pa.Table.from_batches([self.table])
        return self.table

    def copy_table(self) -> "pa.Table":
        """The rows in memory of their own, which outlives the ring's."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        table = self.get_table()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return pa.ipc.open_stream(sink.getvalue()).read_all()

    def release(self) -> None:
        """Let go of the table before ``handle_message`` returns; idempotent."""
        self.table = None
