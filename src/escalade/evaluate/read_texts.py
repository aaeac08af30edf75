"""Reads texts to score: plain text (one a line), JSONL or JSON, CSV or TSV, each also gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from escalade.errors import BadInput

TABLES = {".csv": ",", ".tsv": "\t"}
Row = tuple[str, Any]
"""Where a row stands, and what it holds."""
Source = tuple[Path, str | None]
"""A file, and the key or column of its texts."""


def read_pair(
    predictions: Path, references: Path, key: str | None = None, reference_key: str | None = None
) -> tuple[list[str], list[list[str]]]:
    """Reads predictions and their references.

    Args:
        predictions: One text per row.
        references: One text, or a list of texts, per row, in the same order.
        key: Key or column of the predictions.
        reference_key: Key or column of the references; ``key`` where left out.

    Raises:
        BadInput: A file cannot be read, a row holds no text, or the files differ in length.
    """
    return read_several((predictions, key), [(references, reference_key or key)])


def read_several(predictions: Source, references: Sequence[Source]) -> tuple[list[str], list[list[str]]]:
    """Reads predictions, and references from several places: each row has those of all of them.

    Args:
        predictions: A file, and the key or column of its texts.
        references: The same, each with one text or a list of texts per row, in the order of the predictions.

    Raises:
        BadInput: As for :func:`read_pair`.
    """
    found = read_texts(*predictions)
    wanted: list[list[str]] = [[] for _ in found]
    for file, key in references:
        rows = read_references(file, key)
        if len(found) != len(rows):
            raise BadInput(
                "evaluate.counts_differ",
                place=f"{predictions[0]}, {file}",
                a=predictions[0],
                rows_a=len(found),
                b=file,
                rows_b=len(rows),
            )
        for row, texts in zip(wanted, rows, strict=True):
            row += texts
    return found, wanted


def source(said: str) -> Source:
    """``rows.csv:answer`` as a file and the key or column in it; a file of that very name goes before."""
    path, colon, key = said.rpartition(":")
    return (Path(said), None) if not colon or not key or Path(said).exists() else (Path(path), key)


def read_texts(file: Path, key: str | None = None) -> list[str]:
    """Reads one text per row.

    Args:
        file: ``.jsonl``, ``.json``, ``.csv``, ``.tsv``, else one text per line; each also with ``.gz``.
        key: Key or column that holds the text; may be left out where there is only one.

    Raises:
        BadInput: The file cannot be read, or a row holds no text.
    """
    texts = []
    for place, texts_of_row in _texts(file, key):
        if len(texts_of_row) != 1:
            raise BadInput("evaluate.one_text_each", place=place)
        texts.append(texts_of_row[0])
    return texts


def read_references(file: Path, key: str | None = None) -> list[list[str]]:
    """Reads one text, or a list of texts, per row; see :func:`read_texts`."""
    return [texts for _, texts in _texts(file, key)]


def _texts(file: Path, key: str | None) -> Iterator[tuple[str, list[str]]]:
    name = file.name.removesuffix(".gz").lower()
    content = content_of(file)
    ending = Path(name).suffix
    if ending in TABLES:
        rows = _table(file, content, TABLES[ending])
    elif ending == ".jsonl":
        rows = json_lines(file, content)
    elif ending == ".json":
        rows = json_rows(file, content)
    else:
        rows = ((place_of(file, number), text) for number, text in enumerate(_lines(content), start=1))
    empty = True
    for place, row in rows:
        empty = False
        yield place, _texts_of(row, key, place)
    if empty:
        raise BadInput("evaluate.file_empty", place=file)


def content_of(file: Path) -> str:
    """The text of a file, unpacked where it is gzipped.

    Raises:
        BadInput: There is none, or it is not UTF-8 or not gzip.
    """
    try:
        raw = file.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise BadInput("evaluate.file_missing", place=file) from None
    if file.name.endswith(".gz"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError):
            raise BadInput("evaluate.file_not_gzip", place=file) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("evaluate.file_not_utf8", place=file, position=error.start) from None


def _lines(content: str) -> list[str]:
    """Lines by line break alone; an empty line in between is an empty text, the last break ends the last line."""
    lines = content.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def json_lines(file: Path, content: str) -> Iterator[Row]:
    """The value of each line that is not empty.

    Raises:
        BadInput: A line is not JSON.
    """
    for number, line in enumerate(_lines(content), start=1):
        if not line.strip():
            continue
        place = place_of(file, number)
        try:
            yield place, json.loads(line)
        except json.JSONDecodeError as error:
            raise BadInput("evaluate.row_not_json", place=place, problem=error.msg) from None


def json_rows(file: Path, content: str) -> Iterator[Row]:
    """The values of a list.

    Raises:
        BadInput: It is not JSON, or not a list.
    """
    try:
        rows = json.loads(content)
    except json.JSONDecodeError as error:
        raise BadInput("evaluate.row_not_json", place=place_of(file, error.lineno), problem=error.msg) from None
    if not isinstance(rows, list):
        raise BadInput("evaluate.row_no_text", place=file, found=type(rows).__name__)
    for number, row in enumerate(rows, start=1):
        yield f"{file}, [{number - 1}]", row


def _table(file: Path, content: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    for cells in reader:
        if not cells:
            continue
        if header is None:
            header = cells
            continue
        place = place_of(file, reader.line_num)
        if len(cells) != len(header):
            raise BadInput("evaluate.row_ragged", place=place, found=len(cells), wanted=len(header))
        yield place, dict(zip(header, cells, strict=True))


def _texts_of(row: Any, key: str | None, place: str) -> list[str]:
    if isinstance(row, dict):
        row = row[_key_of(row, key, place)]
    texts = row if isinstance(row, list) else [row]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise BadInput("evaluate.row_no_text", place=place, found=json.dumps(row, ensure_ascii=False)[:60])
    return texts


def _key_of(row: dict[str, Any], key: str | None, place: str) -> str:
    known = ", ".join(row)
    if key is None:
        if len(row) != 1:
            raise BadInput("evaluate.key_needed", place=place, known=known)
        return next(iter(row))
    if key not in row:
        raise BadInput("evaluate.key_unknown", place=place, key=key, known=known)
    return key


def place_of(file: Path, number: int) -> str:
    """A line of a file, as errors name it."""
    return f"{file}, line {number}"
