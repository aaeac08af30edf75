"""Running text for pretraining, read as a stream: a file may be larger than memory.

A ``.txt`` file is one running text. It comes in passages of some tens of thousands of characters that join to the
whole, cut where a paragraph ends if one does. In every other format a row is a document of its own. ``.txt`` and
JSON Lines are read line by line, gzip-compressed or not; the other formats are read whole, as for any task.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from escalade.data.prepare import read_texts
from escalade.data.read import existing, is_on_hub
from escalade.data.table import at
from escalade.errors import BadInput

PASSAGE = 1 << 16
"""Characters after which a passage ends with its paragraph; twice as many end it at a line's end."""
_LINE = 1 << 20
"""Characters of the longest line that is read at once; a longer one is read in parts."""


def is_running(source: str) -> bool:
    """Whether a source is running text, whose lines belong together, rather than rows."""
    return _plain(source).endswith(".txt")


def documents(source: str, base: Path) -> Iterator[str]:
    """The texts of a source in order: passages of a ``.txt``, rows of anything else; none of them blank.

    Passages of one file join to its whole text, but for blank ones; line ends are read as line feeds.

    Args:
        source: A file, relative to ``base``, or a name on the hub.
        base: The folder that names start from.

    Raises:
        BadInput: The file is missing or damaged, is not UTF-8, or it is not clear which column is the text.
    """
    yield from (text for text in _texts(source, base) if text.strip())


def _texts(source: str, base: Path) -> Iterator[str]:
    streamed = not is_on_hub(source, base)
    if streamed and is_running(source):
        return _passages(source, base)
    if streamed and _plain(source).endswith((".jsonl", ".ndjson")):
        return _json_texts(source, base)
    return (record.text for record in read_texts(source, base))


def _plain(source: str) -> str:
    return source.lower().removesuffix(".gz")


def _passages(source: str, base: Path) -> Iterator[str]:
    parts: list[str] = []
    length = 0
    for _, line in _lines(source, base):
        ended = not line.strip() if length >= PASSAGE else False
        parts.append(line)
        length += len(line)
        if ended or (length >= 2 * PASSAGE and (line.endswith("\n") or length >= _LINE)):
            yield "".join(parts)
            parts, length = [], 0
    if parts:
        yield "".join(parts)


def _json_texts(source: str, base: Path) -> Iterator[str]:
    column: str | None = None
    for number, line in _whole_lines(source, base):
        if not line.strip():
            continue
        cells = _object(line, at(source, number))
        column = column or _text_column(cells, source)
        if cells.get(column) is not None:
            yield str(cells[column])


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError) as error:
        problem = error.msg if isinstance(error, json.JSONDecodeError) else error
        raise BadInput("data.broken_json", place=place, problem=problem) from None
    if not isinstance(cells, dict):
        raise BadInput("data.not_object", place=place, found=type(cells).__name__)
    return cells


def _text_column(cells: dict[str, Any], source: str) -> str:
    """The column ``text``, or the only one of the first row that holds a text."""
    if "text" in cells:
        return "text"
    texts = [name for name, value in cells.items() if isinstance(value, str)]
    if len(texts) != 1:
        raise BadInput("data.no_text", place=source, columns=", ".join(cells))
    return texts[0]


def _whole_lines(source: str, base: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, those longer than one reading put together again."""
    parts: list[str] = []
    for number, part in _lines(source, base):
        parts.append(part)
        if part.endswith("\n"):
            yield number, "".join(parts)
            parts = []
    if parts:
        yield number, "".join(parts)


def _lines(source: str, base: Path) -> Iterator[tuple[int, str]]:
    """Lines with their ends, numbered from 1; of a very long one, parts that have its number.

    Raises:
        BadInput: The file is missing or damaged, or not UTF-8 after the line that the error names.
    """
    number = 1
    with _opened(source, base) as file:
        while True:
            try:
                line = file.readline(_LINE)
            except UnicodeDecodeError as error:
                value = f"0x{error.object[error.start]:02X}"
                raise BadInput("data.not_utf8_after", place=at(source, number), value=value) from None
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise BadInput("data.broken_gzip", place=source, problem=error) from None
            except OSError as error:
                raise BadInput("data.unreadable", place=source, problem=error.strerror or error) from None
            if not line:
                return
            yield number, line
            number += line.endswith("\n")


@contextmanager
def _opened(source: str, base: Path) -> Iterator[TextIO]:
    path = existing(source, base)
    # A byte order mark is no part of the text.
    if path.name.lower().endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8-sig", newline=None) as packed:
            yield packed
        return
    with path.open(encoding="utf-8-sig", newline=None) as file:
        yield file
