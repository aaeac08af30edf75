"""What the page is made of: facts, tables and their cells, all text made ready for a reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def sentence(text: str, language: str) -> str:
    """Begins with a capital and ends with a full stop, as the language writes it."""
    said = format.clean(text).strip()
    if not said:
        return ""
    end = "" if said[-1] in ".!?。！？…" else "。" if language == "zh" else "."
    return said[0].upper() + said[1:] + end
