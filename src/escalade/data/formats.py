"""The formats rows come in: JSON, CSV and TSV, text, CoNLL, Parquet. Each parser gives a Table with true line numbers.

Nothing is skipped but blank lines (and, in CoNLL, ``-DOCSTART-`` and comment lines); whatever cannot be understood
is refused with its line.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from escalade.data.table import SourceRow, Table, at, columns_of
from escalade.errors import BadInput

_LIST_KEYS = ("data", "rows", "examples", "instances", "train")


def jsonl_table(text: str, source: str) -> Table:
    """One JSON object a line.

    Raises:
        BadInput: A line is broken JSON, or not an object.
    """
    rows: list[SourceRow] = []
    # Not splitlines: U+2028 and its like may stand inside a JSON text.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            cells = json.loads(content, parse_constant=_missing)
        except (ValueError, RecursionError) as error:
            raise BadInput("data.broken_json", place=at(source, line), problem=_problem(error)) from None
        if not isinstance(cells, dict):
            raise BadInput("data.not_object", place=at(source, line), found=_json_type(cells))
        rows.append(SourceRow(len(rows) + 1, line, cells))
    return Table(source, columns_of(row.cells for row in rows), rows)


def json_table(text: str, source: str) -> Table:
    """A list of objects, an object that holds one such list, or SQuAD's nested paragraphs.

    Raises:
        BadInput: Broken JSON, no list in it, or a member of the list that is not an object.
    """
    try:
        content = json.loads(text, parse_constant=_missing)
    except json.JSONDecodeError as error:
        raise BadInput("data.broken_json", place=at(source, error.lineno), problem=error.msg) from None
    except RecursionError as error:
        raise BadInput("data.broken_json", place=source, problem=_problem(error)) from None
    listed = _the_list(content, source)
    for number, cells in enumerate(listed, start=1):
        if not isinstance(cells, dict):
            place = Table(source, (), [], lines=False).place(SourceRow(number, number, {}))
            raise BadInput("data.not_object", place=place, found=_json_type(cells))
    if listed and all(isinstance(cells.get("paragraphs"), list) for cells in listed):
        listed = list(_questions(listed))
    return rows_table(listed, source)


def rows_table(cells: list[dict[str, Any]], source: str) -> Table:
    """Rows of a format that has no lines."""
    rows = [SourceRow(number, number, row) for number, row in enumerate(cells, start=1)]
    return Table(source, columns_of(cells), rows, lines=False)


def _missing(_: str) -> None:
    """NaN and Infinity are no JSON; what writes them means "missing"."""


def _problem(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def _json_type(value: object) -> str:
    return {list: "array", str: "string", type(None): "null", bool: "boolean"}.get(type(value), "number")


def _the_list(content: Any, source: str) -> list[Any]:
    if isinstance(content, list):
        return content
    lists = {k: v for k, v in content.items() if isinstance(v, list)} if isinstance(content, dict) else {}
    if len(lists) == 1:
        return next(iter(lists.values()))
    for key in _LIST_KEYS:
        if key in lists:
            return lists[key]
    raise BadInput("data.no_list", place=source, keys=", ".join(lists) or "-")


def _questions(articles: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """SQuAD's articles, paragraphs and questions as one row a question."""
    for article in articles:
        for paragraph in article["paragraphs"]:
            about = {"title": article.get("title"), "context": paragraph.get("context")}
            for question in paragraph.get("qas", ()):
                yield {k: v for k, v in (about | question).items() if v is not None}


def csv_table(text: str, source: str, delimiter: str) -> Table:
    """A header line, then one row a record; newlines and delimiters may stand inside quotes.

    A TSV whose quotes are plain characters (the common case in corpora) is recognised by every line having the
    header's number of cells when quotes are not interpreted, and fewer rows when they are.

    Raises:
        BadInput: A row with more or fewer cells than the header, broken quoting, no header, a name twice.
    """
    if delimiter != "\t":
        return _cells(text, source, delimiter, csv.QUOTE_MINIMAL)
    try:
        plain = _cells(text, source, delimiter, csv.QUOTE_NONE)
    except BadInput as error:
        if error.key != "data.cells":
            raise
        return _cells(text, source, delimiter, csv.QUOTE_MINIMAL)
    try:
        quoted = _cells(text, source, delimiter, csv.QUOTE_MINIMAL)
    except BadInput:
        return plain
    return plain if len(plain.columns) > 1 and len(quoted.rows) < len(plain.rows) else quoted


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _cells(text: str, source: str, delimiter: str, quoting: Any) -> Table:
    # Strict: otherwise a quote never closed would swallow the rest of the file without a word.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    header: list[str] = []
    rows: list[SourceRow] = []
    with _long_fields():
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise BadInput("data.broken_csv", place=at(source, line), problem=error) from None
            if cells is None:
                break
            if not cells:
                continue
            if not header:
                header = _header(cells, source, line, delimiter)
            elif len(cells) != len(header):
                raise BadInput("data.cells", place=at(source, line), found=len(cells), wanted=len(header))
            else:
                rows.append(SourceRow(len(rows) + 1, line, dict(zip(header, cells, strict=True))))
    _refuse_missing_header(header, rows, source)
    return Table(source, tuple(header), rows)


def _header(cells: list[str], source: str, line: int, delimiter: str) -> list[str]:
    names = [name.strip() or f"column{i}" for i, name in enumerate(cells, start=1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput("data.column_twice", place=at(source, line), column=twice)
    if len(names) == 1 and delimiter == "," and (";" in names[0] or "\t" in names[0]):
        raise BadInput("data.delimiter", place=at(source, line), found=";" if ";" in names[0] else "TAB")
    return names


def _refuse_missing_header(header: list[str], rows: list[SourceRow], source: str) -> None:
    """A first line that is a row like the others would be lost as names of columns."""
    for name in header:
        repeated = sum(row.cells[name].strip() == name for row in rows)
        if len(name) > 200 or (repeated >= 2 and repeated >= len(rows) / 100):
            raise BadInput("data.no_header", place=at(source, 1), cell=name[:40])


def text_table(text: str, source: str) -> Table:
    """One row a line that is not blank, in the column ``text``."""
    lines = ((line, content.rstrip("\r")) for line, content in enumerate(text.split("\n"), start=1))
    kept = [(line, content) for line, content in lines if content.strip()]
    rows = [SourceRow(number, line, {"text": content}) for number, (line, content) in enumerate(kept, start=1)]
    return Table(source, ("text",), rows)


def conll_table(text: str, source: str) -> Table:
    """Token first and tag last on a line, sentences parted by blank lines; columns ``tokens`` and ``tags``.

    Raises:
        BadInput: A line with a single field.
    """
    tabs = "\t" in text
    rows: list[SourceRow] = []
    tokens: list[str] = []
    tags: list[str] = []
    start = 0

    def end_sentence() -> None:
        if tokens:
            rows.append(SourceRow(len(rows) + 1, start, {"tokens": list(tokens), "tags": list(tags)}))
            tokens.clear()
            tags.clear()

    for line, content in enumerate(text.split("\n"), start=1):
        # Some corpora write a tab on their blank lines.
        if not content.strip():
            end_sentence()
            continue
        if content.startswith("-DOCSTART-") or (tabs and content.startswith("# ") and "\t" not in content):
            continue
        fields = [field.strip() for field in content.split("\t")] if tabs else content.split()
        if len(fields) < 2 or not fields[-1]:
            raise BadInput("data.conll_line", place=at(source, line), content=content.strip()[:40])
        start = start if tokens else line
        tokens.append(fields[0])
        tags.append(fields[-1])
    end_sentence()
    return Table(source, ("tokens", "tags"), rows)


def parquet_table(content: bytes, source: str) -> Table:
    """The rows of a Parquet file.

    Raises:
        BadInput: It is not Parquet, or is damaged.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput("data.broken_parquet", place=source, problem=str(error).splitlines()[0]) from None
    read = rows_table(table.to_pylist(), source)
    return Table(source, tuple(table.column_names), read.rows, lines=False)
