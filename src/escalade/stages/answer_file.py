"""Answering a file of rows into another file, so that a kill costs nothing and nothing of anybody else's is touched.

Beside ``out.csv`` stands ``.out.csv.escalade``: which model answered which rows. Only where it agrees is ``out.csv``
gone on with; any other file of that name is left as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from escalade.data import Table, source_digest
from escalade.data.names import INPUT, TOKENS, folded
from escalade.data.table import missing_column
from escalade.errors import BadInput
from escalade.ledger import files
from escalade.values import digest_of

PREDICTION, DETAILS = "prediction", "details"
Writer = Callable[[Mapping[str, Any], Mapping[str, Any]], None]


def claim(out: Path, source: Path, table: Table, model: str, inputs: Sequence[str]) -> int:
    """Makes sure that ``out`` may be written, and says how many rows it holds already.

    Args:
        out: The file of answers; ``.jsonl`` or ``.csv``.
        source: The file of rows.
        table: What it holds.
        model: Digest of the model's folder.
        inputs: The columns that are read.

    Raises:
        BadInput: It is the source itself, has another ending, or holds more than this model's answers to these.
    """
    if out.exists() and source.exists() and out.samefile(source):
        raise BadInput("stages.out_is_source", place=out)
    if out.suffix.lower() not in (".jsonl", ".csv"):
        raise BadInput("stages.out_ending", place=out)
    clash = next((name for name in (PREDICTION, DETAILS) if name in table.columns), None)
    if clash is not None and _is_csv(out):
        raise BadInput("stages.out_has_column", place=out, column=clash)
    work = digest_of([model, source_digest(source.name, source.parent), list(inputs)])
    mark = out.with_name(f".{out.name}.escalade")
    if out.exists() and (not mark.is_file() or mark.read_text(encoding="utf-8") != work):
        raise BadInput("stages.out_foreign", place=out)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        files.write(mark, work.encode())
    return _rows_in(out)


def writer(out: Path, columns: Sequence[str]) -> Writer:
    """A function that adds one row, whole lines at a time."""

    def write_json(row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps({**row, PREDICTION: said}, ensure_ascii=False, default=str) + "\n")

    def write_csv(row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        buffer = io.StringIO()
        cells = csv.writer(buffer, lineterminator="\n")
        if not out.exists() or out.stat().st_size == 0:
            cells.writerow([*columns, PREDICTION, DETAILS])
        short = said.get("label", said.get("text"))
        details = json.dumps(said, ensure_ascii=False)
        cells.writerow([*[row.get(k, "") for k in columns], details if short is None else short, details])
        with open(out, "a", encoding="utf-8", newline="") as file:
            file.write(buffer.getvalue())

    return write_csv if _is_csv(out) else write_json


def inputs_of(table: Table, named: Sequence[str]) -> list[str]:
    """The columns to read: those named, the only one there is, or the one with a usual name.

    Raises:
        BadInput: A named column is not there, or none can be told from the others.
    """
    for name in named:
        if name not in table.columns:
            raise missing_column(name, table)
    if named:
        return list(named)
    usual = [column for name in (*INPUT, *TOKENS) for column in table.columns if folded(column) == name]
    found = usual[:1] or list(table.columns)[: len(table.columns) == 1]
    if not found:
        raise BadInput("stages.which_input", place=table.source, columns=", ".join(table.columns))
    return found


def texts_of(table: Table, inputs: Sequence[str]) -> list[str]:
    """The input of every row.

    Raises:
        BadInput: A row lacks one of the columns, or holds neither text nor a list of words there.
    """
    return [
        "\n".join(_text(row.cells, name, f"{table.source}, line {row.line}") for name in inputs) for row in table.rows
    ]


def _text(cells: Mapping[str, Any], name: str, place: str) -> str:
    value = cells.get(name)
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if value is None or isinstance(value, dict):
        raise BadInput("stages.row_without_input", place=place, column=name)
    return str(value)


def _is_csv(out: Path) -> bool:
    return out.suffix.lower() == ".csv"


def _rows_in(out: Path) -> int:
    """Whole rows already answered; a row cut short by a kill is removed."""
    if not out.exists():
        return 0
    content = out.read_bytes()
    table = _is_csv(out)
    rows = whole = start = quotes = 0
    while (end := content.find(b"\n", start)) >= 0:
        quotes += content.count(b'"', start, end)
        start = end + 1
        # Inside quotes a line break belongs to a cell of CSV; JSON has none within a row.
        if not table or quotes % 2 == 0:
            rows, whole = rows + 1, start
    if whole < len(content):
        with open(out, "r+b") as file:
            file.truncate(whole)
    return max(0, rows - 1) if table else rows
