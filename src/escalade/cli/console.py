"""How verbs speak: progress and sentences on stderr, one JSON document or tables on stdout."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from escalade import messages

_ANY_WIDTH = 10_000
"""Wider than any line: nothing is folded."""
SPLITS = {"train": "headings.train", "validation": "headings.validation", "test": "headings.test"}


class ConsoleReporter:
    """Tells a person how work goes on: bars with time left on a terminal, plain lines elsewhere.

    Args:
        quiet: Says nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
        self.quiet = quiet
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def say(self, key: str, **facts: object) -> None:
        """One sentence."""
        if not self.quiet:
            (self._bars.console if self._bars else self.console).print(messages.text(key, **facts), markup=False)

    def progress(self, name: str, done: float, total: float | None, note: str = "") -> None:
        """A bar while ``done < total``; nothing where stderr is not a terminal."""
        if self.quiet or not self.console.is_terminal:
            return
        bars = self._open()
        if name not in self._tasks:
            self._tasks[name] = bars.add_task(name, total=total, note=note)
        bars.update(self._tasks[name], completed=done, total=total, note=note)
        if total is not None and done >= total:
            bars.remove_task(self._tasks.pop(name))
            if not self._tasks:
                self.close()

    def close(self) -> None:
        """Takes the bars down."""
        if self._bars:
            self._bars.stop()
            self._bars, self._tasks = None, {}

    def _open(self) -> Progress:
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(), TextColumn("/"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
                console=self.console, transient=True,
            )  # fmt: skip
            self._bars.start()
        return self._bars


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_text(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")


def print_wrapped(text: str) -> None:
    """A sentence on stdout, folded to the terminal's width between words; whole where stdout is no terminal."""
    _stdout(width_of_stdout()).print(text, markup=False)


def headings(*keys: str) -> list[str]:
    """Column headings in the language in use."""
    return [messages.text(key) for key in keys]


def score_headings(split: str) -> list[str]:
    """The headings of :func:`score_rows`."""
    metric, signature = headings("headings.metric", "headings.signature")
    return [metric, messages.text("headings.on_split", split=messages.text(SPLITS[split])), signature]


def score_rows(scores: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Metric, value with interval, signature of each score."""
    return [[s["metric"], interval(s), s["signature"]] for s in scores]


def interval(score: Mapping[str, Any]) -> str:
    """``0.8100 [0.7900, 0.8300]``; two digits for metrics that go to 100."""
    digits = 2 if abs(score["upper"]) > 1.5 else 4
    return f"{score['value']:.{digits}f} [{score['lower']:.{digits}f}, {score['upper']:.{digits}f}]"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table on stdout; where the terminal is too narrow for it, each row as a heading with its cells below."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    width = width_of_stdout()
    if title:
        print_wrapped(title)
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in cells:
        table.add_row(*map(escape, row))
    console = _stdout(None)
    needed = Measurement.get(console, console.options.update_width(_ANY_WIDTH), table).maximum
    if width is None or needed <= width:
        _print_trimmed(table, max(1, needed))
    else:
        print_cards(columns, cells)


def print_folded(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout whose last column holds sentences, folded between words to the terminal's width."""
    table = Table(box=None, pad_edge=False)
    for name in columns[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console = _stdout(None)
    needed = Measurement.get(console, console.options.update_width(_ANY_WIDTH), table).maximum
    _print_trimmed(table, max(1, min(needed, width_of_stdout() or needed)))


def _print_trimmed(table: Table, width: int) -> None:
    """A table without the blanks that fill its last column; on a terminal nobody sees them."""
    console = _stdout(width)
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        print_text(line.rstrip())


def print_cards(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row as its first cell on a line of its own and the others, named, below it."""
    console = _stdout(width_of_stdout())
    for row in rows:
        console.print(row[0], markup=False, style="bold")
        named = [f"{name}: {cell}" for name, cell in zip(columns[1:], row[1:], strict=True) if cell]
        for line in _filled(named, console.width - 2):
            if cell_len(line) <= console.width - 2:
                console.print(Text(f"  {line}"))
            else:
                console.print(Padding(Text(line), (0, 0, 0, 2)))


def _filled(pieces: Sequence[str], width: int) -> list[str]:
    """Pieces on as few lines as they fit on, none of them broken where it fits a line by itself."""
    lines: list[str] = []
    for piece in pieces:
        if lines and cell_len(lines[-1]) + 3 + cell_len(piece) <= width:
            lines[-1] += "   " + piece
        else:
            lines.append(piece)
    return lines


def width_of_stdout() -> int | None:
    """Columns that lines on stdout must fit into; None where stdout is no terminal: a file has any width."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        return None
    return Console(file=sys.stdout).width


def _stdout(width: int | None) -> Console:
    return Console(file=sys.stdout, highlight=False, width=width or _ANY_WIDTH)


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets, so that work is saved; a second SIGINT stops at once."""
    asked = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
