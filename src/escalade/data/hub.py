"""Data sets of the Hugging Face hub, through ``datasets``: ``owner/name``, ``name`` or either with ``:config``."""

from __future__ import annotations

import re
from typing import Any

from escalade.data.formats import rows_table
from escalade.data.table import Table
from escalade.errors import BadInput
from escalade.values import SplitName, digest_of

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?")
_ALSO: dict[SplitName, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test",),
}


def is_hub_name(source: str) -> bool:
    """Whether a source could be a name on the hub."""
    return _NAME.fullmatch(source) is not None


def read_hub(source: str, split: SplitName) -> Table:
    """One split of a data set, class numbers replaced by their names.

    Raises:
        BadInput: It cannot be reached, or has no such split.
    """
    import datasets

    held = own_splits(source)
    if split not in held:
        raise BadInput("data.hub_split", place=source, split=split, splits=", ".join(held.values()) or "-")
    name, config = _parts(source)
    try:
        loaded = datasets.load_dataset(name, config, split=held[split])
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise _unreachable(source, error) from None
    features = loaded.features
    named = {c: features[c].names for c in loaded.column_names if isinstance(features[c], datasets.ClassLabel)}
    rows = [{column: _named(cell, named.get(column)) for column, cell in row.items()} for row in loaded]
    table = rows_table(rows, source)
    return Table(source, tuple(loaded.column_names), table.rows, lines=False)


def own_splits(source: str) -> dict[SplitName, str]:
    """The splits a data set has, by the house's names.

    Raises:
        BadInput: It cannot be reached.
    """
    import datasets

    name, config = _parts(source)
    try:
        held = datasets.get_dataset_split_names(name, config)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise _unreachable(source, error) from None
    found = {split: next((n for n in names if n in held), None) for split, names in _ALSO.items()}
    return {split: name for split, name in found.items() if name is not None}


def hub_digest(source: str) -> str:
    """Digest of the name and of what identifies the content: the revision, or the hash of the files.

    Raises:
        BadInput: It cannot be reached.
    """
    import datasets

    name, config = _parts(source)
    try:
        builder = datasets.load_dataset_builder(name, config)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise _unreachable(source, error) from None
    return digest_of([source, builder.config.name, builder.hash])


def _parts(source: str) -> tuple[str, str | None]:
    name, _, config = source.partition(":")
    return name, config or None


def _named(cell: Any, names: list[str] | None) -> Any:
    return names[cell] if names is not None and isinstance(cell, int) and 0 <= cell < len(names) else cell


def _unreachable(source: str, error: Exception) -> BadInput:
    problem = str(error).strip().splitlines() or [type(error).__name__]
    return BadInput("data.hub_unreachable", place=source, problem=problem[0][:200])
