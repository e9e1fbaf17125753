"""All stores that a trial can have."""

from typing import Final

from enrgdaq.trials.chaos.backends import (
    Backend,
    CsvBackend,
    HDF5Backend,
    RawBackend,
    ROOTBackend,
)
from enrgdaq.trials.chaos.server_backends import MySQLBackend, RedisBackend

BACKENDS: Final[tuple[type[Backend], ...]] = (
    CsvBackend,
    HDF5Backend,
    ROOTBackend,
    RawBackend,
    MySQLBackend,
    RedisBackend,
)
