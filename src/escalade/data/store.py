"""Records on disk: JSON Lines whose bytes depend on the records alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from escalade.data.table import at
from escalade.errors import Damaged
from escalade.records import Record, from_json, to_json


def save(records: Iterable[Record], path: Path) -> None:
    """Writes records, one a line, keys in the order of the record's fields."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(to_json(record), ensure_ascii=False, separators=(",", ":")) + "\n")


def load(path: Path, cls: type[Any]) -> list[Any]:
    """Reads the records of type ``cls`` that ``save`` wrote.

    Raises:
        Damaged: A line is no such record.
    """
    records = []
    with path.open(encoding="utf-8", newline="\n") as file:
        for line, content in enumerate(file, start=1):
            try:
                records.append(from_json(cls, json.loads(content)))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise Damaged("data.stored_record", place=at(path.name, line), problem=error) from None
    return records
