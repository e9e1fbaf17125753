"""Compression of datasets, and what readers must have for it."""

import importlib
from typing import Any, Final

from enrgdaq.daq.store.models import DAQJobStoreConfigHDF5
from enrgdaq.errors import StoreError

CODEC_ATTRIBUTE: Final = "compression"
_HINT_ATTRIBUTE: Final = "read_with"
_ZSTD_FILTER: Final = 32015  # registered with The HDF Group
_HINTS: Final = {
    "lzf": "h5py; other programs cannot read the HDF5 filter 32000",
    "zstd": "import hdf5plugin before h5py reads; for other programs set HDF5_PLUGIN_PATH to what"
    " python -c 'import hdf5plugin; print(hdf5plugin.PLUGIN_PATH)' prints",
}


def filters(settings: DAQJobStoreConfigHDF5) -> dict[str, Any]:
    """h5py's arguments for the compression that is asked for. Raises :class:`StoreError`."""
    level = settings.compression_level
    load_codec(settings.compression)
    if settings.compression == "none":
        return {}
    if settings.compression == "gzip":
        return {
            "shuffle": True,
            "compression": "gzip",
            "compression_opts": 4 if level is None else level,
        }
    if settings.compression == "lzf":
        return {"shuffle": True, "compression": "lzf"}
    options = (3 if level is None else level,)
    return {"shuffle": True, "compression": _ZSTD_FILTER, "compression_opts": options}


def codec_attributes(settings: DAQJobStoreConfigHDF5) -> dict[str, str]:
    """What a group says of its compression."""
    found = {CODEC_ATTRIBUTE: str(settings.compression)}
    if settings.compression in _HINTS:
        found[_HINT_ATTRIBUTE] = _HINTS[settings.compression]
    return found


def load_codec(name: str) -> None:
    """Make HDF5 able to read and write a codec, whatever the settings are by now.

    Raises :class:`StoreError` when it is not installed any more.
    """
    if name != "zstd":
        return
    try:
        importlib.import_module("hdf5plugin")  # registers it
    except ImportError as error:
        raise StoreError(
            "hdf5plugin is missing, which zstd needs: install enrgdaq[hdf5-zstd]"
        ) from error
