"""Rows as they were read, each with its place, before anything is made of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from escalade import messages
from escalade.errors import BadInput


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row and where it stands.

    ``line`` is the line it begins on, or its number where a format has no lines (JSON, Parquet, hub); ``number``
    counts rows from 1.
    """

    number: int
    line: int
    cells: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The rows of one source.

    Args:
        source: The source as the project names it; no path of this machine.
        columns: Names of the columns, in order of appearance.
        rows: The rows in the order of the source.
        lines: Whether ``line`` of a row counts lines; else it counts rows.
    """

    source: str
    columns: tuple[str, ...]
    rows: list[SourceRow]
    lines: bool = True

    def place(self, row: SourceRow) -> str:
        """Where a row stands, for errors."""
        return at(self.source, row.line) if self.lines else messages.text("data.at_row", file=self.source, row=row.line)


def at(source: str, line: int) -> str:
    """``file, line N`` in the language in use."""
    return messages.text("data.at_line", file=source, line=line)


def columns_of(rows: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Every key, in order of first appearance."""
    return tuple(dict.fromkeys(key for row in rows for key in row))


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, if one is like it at all."""
    folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


def missing_column(name: str, table: Table) -> BadInput:
    """The error for a column that is named and not there."""
    facts = {"column": name, "columns": ", ".join(table.columns)}
    if close := closest(name, table.columns):
        return BadInput("data.missing_column_close", place=table.source, close=close, **facts)
    return BadInput("data.missing_column", place=table.source, **facts)
