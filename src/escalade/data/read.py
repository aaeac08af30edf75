"""Sources in, rows out: files by their extension, each also gzip-compressed, and names on the hub."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path

from escalade.data.formats import conll_table, csv_table, json_table, jsonl_table, parquet_table, text_table
from escalade.data.hub import hub_digest, is_hub_name, read_hub
from escalade.data.table import Table, at, closest
from escalade.errors import BadInput
from escalade.values import SplitName

EXTENSIONS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".conll")
_CHUNK = 1 << 20


def read(source: str, base: Path, split: SplitName = "train") -> Table:
    """Reads one source.

    Args:
        source: A file, relative to ``base``, or a hub name (``owner/name``, ``name:config``).
        base: The folder of the project file.
        split: Which split of a hub data set; a file has but one.

    Raises:
        BadInput: The file is missing, empty, damaged, of no known format, or holds no rows.
    """
    if not _is_file_name(source, base):
        table = read_hub(source, split)
    else:
        path = existing(source, base)
        extension = _extension(path.name, source)
        content = _unpacked(path, source)
        table = parquet_table(content, source) if extension == ".parquet" else _parsed(content, extension, source)
    if not table.rows:
        raise BadInput("data.no_rows", place=source)
    return table


def source_digest(source: str, base: Path) -> str:
    """``b2:`` and BLAKE2b-128 of a file's bytes as stored; for a hub name, of name and revision.

    Raises:
        BadInput: There is no such file, or the hub cannot be reached.
    """
    if not _is_file_name(source, base):
        return hub_digest(source)
    digest = hashlib.blake2b(digest_size=16)
    with existing(source, base).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return "b2:" + digest.hexdigest()


def is_on_hub(source: str, base: Path) -> bool:
    """Whether a source is a name on the hub rather than a file."""
    return not _is_file_name(source, base)


def _is_file_name(source: str, base: Path) -> bool:
    """A known extension, something that exists, or what no hub name can look like."""
    path = Path(os.path.normpath(base / source))
    known = source.lower().removesuffix(".gz").endswith(EXTENSIONS)
    beside_files = bool(path.suffix) and "/" in source and path.parent.is_dir()
    return known or path.exists() or beside_files or not is_hub_name(source)


def existing(source: str, base: Path) -> Path:
    """The file that a source names.

    Raises:
        BadInput: It is missing, or a folder.
    """
    # Normalised by name: `../rows.csv` must be found although the project's own folder is not there yet.
    path = Path(os.path.normpath(base / source))
    if path.is_file():
        return path
    if path.is_dir():
        raise BadInput("data.is_folder", place=source)
    beside = [p.name for p in sorted(path.parent.iterdir()) if p.is_file()] if path.parent.is_dir() else []
    if close := closest(path.name, beside):
        raise BadInput("data.missing_file_close", place=source, folder=path.parent.name or ".", close=close)
    raise BadInput("data.missing_file", place=source, folder=path.parent)


def _extension(name: str, source: str) -> str:
    plain = name.lower().removesuffix(".gz")
    for extension in EXTENSIONS:
        if plain.endswith(extension):
            return extension
    raise BadInput("data.extension", place=source, extension=Path(plain).suffix or "-", known=", ".join(EXTENSIONS))


def _unpacked(path: Path, source: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput("data.unreadable", place=source, problem=error.strerror or error) from None
    if path.name.lower().endswith(".gz") and content:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput("data.broken_gzip", place=source, problem=error) from None
    if not content.strip():
        raise BadInput("data.empty_file", place=source)
    return content


def _parsed(content: bytes, extension: str, source: str) -> Table:
    text = _decoded(content, source)
    match extension:
        case ".json":
            return json_table(text, source)
        case ".csv":
            return csv_table(text, source, ",")
        case ".tsv":
            return csv_table(text, source, "\t")
        case ".txt":
            return text_table(text, source)
        case ".conll":
            return conll_table(text, source)
        case _:
            return jsonl_table(text, source)


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        byte = error.start - (before.rfind(b"\n") + 1) + 1
        value = f"0x{content[error.start]:02X}"
        raise BadInput("data.not_utf8", place=at(source, line), byte=byte, value=value) from None
