"""What the page is made of: facts, tables and their cells, all text made ready for a reader."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from escalade import messages
from escalade.report import format


@dataclass(frozen=True)
class Fact:
    """A name, what is so, and a word on it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of a table; ``notes`` stand below its text in small letters."""

    text: str
    notes: tuple[str, ...] = ()
    numeric: bool = False


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    cells: tuple[Cell, ...]
    kept: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption."""

    caption: str
    columns: tuple[Cell, ...]
    lines: tuple[Line, ...]


def number(text: str, *notes: str) -> Cell:
    """A cell whose text is set to the right."""
    return Cell(text, tuple(note for note in notes if note), numeric=True)


def words(text: str, *notes: str) -> Cell:
    """A cell of words."""
    return Cell(format.clean(text), tuple(format.clean(note) for note in notes if note))


def table(caption: str, columns: Sequence[Cell], lines: Iterable[Sequence[Cell]]) -> Table:
    """A table none of whose rows stands out."""
    return Table(caption, tuple(columns), tuple(Line(tuple(cells)) for cells in lines))


def join(parts: Iterable[str]) -> str:
    """Parts that are there, between them the semicolon of the page's language."""
    return ("；" if messages.language() == "zh" else "; ").join(part for part in parts if part)


def sentence(text: str, language: str, names: Iterable[str] = ()) -> str:
    """Capitals and the full stop as the language writes them; a sentence that begins with a name leaves it as it is."""
    said = format.clean(text).strip()
    if not said:
        return ""
    starts = tuple(name for name in names if name)

    def capital(found: re.Match[str]) -> str:
        return found[0] if said.startswith(starts, found.start()) else found[0].upper()

    said = re.sub(r"(?:^|(?<=[.!?] ))[a-z]", capital, said)
    end = "" if said[-1] in ".!?。！？…" else "。" if language == "zh" else "."
    return said + end
