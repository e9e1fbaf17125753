"""Rows of ROOT files: the entries of a TTree or of an RNTuple."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enrgdaq.daq.jobs.arrow_columns import Columns, arrow_columns, check_names, record_batch
from enrgdaq.errors import ConfigurationError

_log = logging.getLogger(__name__)


class ROOTSource:
    """The entries of a TTree or of an RNTuple.

    Of a TTree, branches of numbers, of arrays of numbers (fixed or not) and of strings become
    columns. A column is called as the branch's last name, or by its whole path where that is
    not unique; ``columns`` takes either. Branches of other classes are left out with a
    warning. Of an RNTuple, the fields at the top are the columns.
    """

    def __init__(
        self, path: Path, object_path: str | None, columns: list[str] | None, batch_rows: int
    ) -> None:
        import uproot

        self._file = uproot.open(path)
        try:
            rows, kind = _find_rows(self._file, object_path, path)
            where = object_path or str(path)
            reader = _TreeReader if kind == "TTree" else _NtupleReader
            self._reader = reader(rows, columns, where)
            self.total_rows: int | None = int(rows.num_entries)
        except BaseException:
            self._file.close()
            raise
        self._batch_rows = batch_rows

    def batches(self) -> Iterator[Any]:
        """See :meth:`RowSource.batches`."""
        return self._reader.batches(self._batch_rows)

    def close(self) -> None:
        """See :meth:`RowSource.close`."""
        self._file.close()


class _TreeReader:
    def __init__(self, tree: Any, columns: list[str] | None, where: str) -> None:
        self._tree = tree
        self._branches = _pick(tree, columns, where)

    def batches(self, batch_rows: int) -> Iterator[Any]:
        # Branches are picked by identity: their names may hold wildcards (``vector<...>*``).
        wanted = {id(branch) for branch in self._branches.values()}
        in_file_order = [b for b in self._tree.itervalues() if id(b) in wanted]
        for chunk in self._tree.iterate(
            filter_branch=lambda branch: id(branch) in wanted,
            step_size=batch_rows,
            library="ak",
            how=tuple,
        ):
            arrays = dict(zip(map(id, in_file_order), chunk, strict=True))
            read: Columns = []
            for name, branch in self._branches.items():
                read += _branch_columns(name, branch, arrays[id(branch)])
            yield record_batch(read)


class _NtupleReader:
    def __init__(self, ntuple: Any, columns: list[str] | None, where: str) -> None:
        known = [name for name in ntuple.keys() if "." not in name]  # noqa: SIM118 - no mapping
        check_names(columns or [], known, where)
        self._ntuple = ntuple
        self._names = columns or known

    def batches(self, batch_rows: int) -> Iterator[Any]:
        for chunk in self._ntuple.iterate(
            filter_name=self._names, step_size=batch_rows, library="ak"
        ):
            yield record_batch([(name, _to_arrow(chunk[name])) for name in self._names])


def _branch_columns(name: str, branch: Any, array: Any) -> Columns:
    import awkward as ak
    import uproot

    # By the branch and not by the values: lists that happen to have one length in this
    # batch may differ in the next, and the type of a column must not.
    if isinstance(branch.interpretation, uproot.AsJagged | uproot.AsStrings):
        return [(name, _to_arrow(array))]
    return arrow_columns(name, ak.to_numpy(array, allow_missing=False))


def _to_arrow(array: Any) -> Any:
    import awkward as ak

    return ak.to_arrow(array, extensionarray=False, list_to32=True, string_to32=True)


def _find_rows(file: Any, object_path: str | None, path: Path) -> tuple[Any, str]:
    kinds = {
        name: kind.removeprefix("ROOT::")
        for name, kind in file.classnames(cycle=False).items()
        if kind in ("TTree", "ROOT::RNTuple")
    }
    if object_path is None:
        if len(kinds) != 1:
            raise ConfigurationError(
                f"{path} has {len(kinds)} trees ({', '.join(kinds)}); "
                "name one of them in object_path"
            )
        object_path = next(iter(kinds))
    name = object_path.partition(";")[0].strip("/")
    if name not in kinds:
        raise ConfigurationError(
            f"object_path = {object_path!r} is no tree in {path}; "
            f"its trees are {', '.join(kinds) or 'none'}"
        )
    return file[object_path], kinds[name]


def _is_readable(interpretation: Any) -> bool:
    import uproot

    if isinstance(interpretation, uproot.AsJagged):
        return type(interpretation.content) is uproot.AsDtype
    return isinstance(interpretation, uproot.AsStrings) or type(interpretation) is uproot.AsDtype


def _pick(tree: Any, columns: list[str] | None, where: str) -> dict[str, Any]:
    """Column name -> branch, in the order of ``columns``."""
    leaves = {path: b for path, b in tree.iteritems(full_paths=True) if not b.branches}
    readable = {path: b for path, b in leaves.items() if _is_readable(b.interpretation)}
    last = [path.rpartition("/")[2] for path in readable]
    named = {
        name if last.count(name) == 1 else path: branch
        for name, (path, branch) in zip(last, readable.items(), strict=True)
    }
    if columns is not None:
        known = {**readable, **named}
        check_names(columns, list(known), where)
        return {name: known[name] for name in columns}
    if not named:
        raise ConfigurationError(f"{where} has no branches of numbers or strings")
    for path in leaves.keys() - readable.keys():
        _log.warning("branch %s of class %s is left out", path, leaves[path].typename)
    return named
