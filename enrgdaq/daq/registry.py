"""Job type names to classes, resolved when asked.

A name is looked for in the built-in table, in the entry-point group ``enrgdaq.jobs``, and in
the Python files of the ``jobs/`` folder beside the TOML files; ``package.module:Class`` is
taken as it stands. Files are only parsed here. Importing them is for the processes that may
crash.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Mapping
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.spec import ClassRef
from enrgdaq.errors import ConfigurationError

ENTRY_POINT_GROUP: Final = "enrgdaq.jobs"

BUILT_IN: Final[dict[str, str]] = {
    "DAQJobBenchmark": "enrgdaq.daq.jobs.benchmark",
    "DAQJobBenchmarkReader": "enrgdaq.daq.jobs.benchmark_reader",
    "DAQJobHandleStats": "enrgdaq.daq.jobs.handle_stats",
    "DAQJobNumbered": "enrgdaq.daq.jobs.numbered",
    "DAQJobPCMetrics": "enrgdaq.daq.jobs.pc_metrics",
    "DAQJobReplay": "enrgdaq.daq.jobs.replay",
    "DAQJobSerial": "enrgdaq.daq.jobs.serial_line",
    "DAQJobSimulatedDetector": "enrgdaq.daq.jobs.simulated_detector",
    "DAQJobStoreCSV": "enrgdaq.daq.jobs.store.csv",
    "DAQJobStoreHDF5": "enrgdaq.daq.jobs.store.hdf5",
    "DAQJobStoreMemory": "enrgdaq.daq.jobs.store.memory",
    "DAQJobStoreMySQL": "enrgdaq.daq.jobs.store.mysql",
    "DAQJobStoreROOT": "enrgdaq.daq.jobs.store.root",
    "DAQJobStoreRaw": "enrgdaq.daq.jobs.store.raw",
    "DAQJobStoreRedis": "enrgdaq.daq.jobs.store.redis",
    "DAQJobTest": "enrgdaq.daq.jobs.test_job",
}

# What classes beside a job are made of: configurations, messages, and the like.
_NO_JOB: Final = re.compile(
    r"(Config\w*|Message\w*|Struct|Enum|Error|Exception|Protocol|TypedDict|NamedTuple|ABC|object)$"
)


class Registry:
    """The job types that a folder of configs can use."""

    def __init__(self, jobs_folder: Path) -> None:
        self.problems: list[tuple[str, str]] = []
        """Files that cannot be parsed: path and reason."""
        self._found: dict[str, list[ClassRef]] = {}
        self._bases: dict[str, list[str]] = {}
        for name, module in BUILT_IN.items():
            self._add(ClassRef(name=name, module=module))
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            self._add(ClassRef(name=point.attr or point.name, module=point.module))
        if jobs_folder.is_dir():
            for file in sorted(jobs_folder.glob("*.py")):
                self._scan(file)

    def names(self) -> list[str]:
        """All job types, by name; classes of the jobs folder as far as they look like jobs."""
        return sorted(
            name for name in self._found if name not in self._bases or self._looks_like_job(name)
        )

    def find(self, job_type: str) -> ClassRef:
        """Where the class of a job type is.

        Raises :class:`ConfigurationError` when there is none, or more than one.
        """
        if ":" in job_type:
            module, _, name = job_type.partition(":")
            if not all(part.isidentifier() for part in (*module.split("."), name)):
                raise ConfigurationError(f"{job_type!r} is not of the form package.module:Class")
            return ClassRef(name=name, module=module)
        found = self._found.get(job_type, [])
        if len(found) > 1:
            places = " and ".join(_place(ref) for ref in found)
            raise ConfigurationError(f"job type {job_type!r} is defined twice: in {places}")
        if not found:
            raise ConfigurationError(_unknown(job_type, self.names()))
        return found[0]

    def _add(self, ref: ClassRef) -> None:
        self._found.setdefault(ref.name, []).append(ref)

    def _scan(self, file: Path) -> None:
        try:
            tree = ast.parse(file.read_bytes(), filename=str(file))
        except (OSError, SyntaxError, ValueError) as error:
            self.problems.append((str(file), f"cannot be read as Python: {error}"))
            return
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                self._add(ClassRef(name=node.name, module=file.stem, file=str(file.resolve())))
                self._bases[node.name] = [_last_name(base) for base in node.bases]

    def _looks_like_job(self, name: str, below: frozenset[str] = frozenset()) -> bool:
        """Whether a class may be a job, as far as names tell; only an import knows."""
        if name in below:
            return False
        if name not in self._bases:
            return not _NO_JOB.search(name)
        return any(self._looks_like_job(base, below | {name}) for base in self._bases[name])


def load_class(ref: ClassRef) -> type[DAQJob]:
    """Import the class. Runs the code of its module: only for processes that may crash.

    Raises :class:`ConfigurationError` when the module has no such class, or it is no job.
    """
    if ref.file:
        module = _load_file(ref)
    else:
        # "package.module:Class" may lie in the directory where the supervisor was started.
        _search_also(str(Path.cwd()))
        module = importlib.import_module(ref.module)
    found = getattr(module, ref.name, None)
    if found is None:
        raise ConfigurationError(f"{_place(ref)} has no class {ref.name!r}")
    if not (isinstance(found, type) and issubclass(found, DAQJob)):
        raise ConfigurationError(f"{ref.name!r} in {_place(ref)} is not a DAQJob")
    return found


def _load_file(ref: ClassRef) -> ModuleType:
    """Import a file of the jobs folder under its own name, so that its neighbours can too."""
    _search_also(str(Path(ref.file or "").parent))
    spec = importlib.util.find_spec(ref.module)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != Path(ref.file or ""):
        raise ConfigurationError(
            f"{ref.file}: a module called {ref.module!r} exists elsewhere; rename the file"
        )
    return importlib.import_module(ref.module)


class _FreshLoader(SourceFileLoader):
    """Compiles a file each time, and keeps no bytecode.

    What Python keeps it takes as long as the file's size and second are the same: an edit right
    after a start would not run. It would also litter a folder that people keep in git.
    """

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Nothing that bytecode could be compared with."""
        raise OSError(f"no bytecode is kept of {path}")


def _search_also(folder: str) -> None:
    if folder not in sys.path:
        # At the end: a file called serial.py must not hide the library of that name.
        sys.path.append(folder)
    # For this folder alone. To compile a large library at each start takes seconds.
    sys.path_importer_cache[folder] = FileFinder(
        folder,
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (_FreshLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )


def _last_name(base: ast.expr) -> str:
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]


def _unknown(job_type: str, names: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(job_type, names, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]}?)" if close else f"; known are {', '.join(names)}"
    return f"unknown job type {job_type!r}{hint}"


def _place(ref: ClassRef) -> str:
    return ref.file or f"module {ref.module}"
