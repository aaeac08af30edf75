"""How verbs speak: progress and sentences on stderr, one JSON document or tables on stdout."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from escalade import messages


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
    if not sys.stdout.isatty():
        print_text(text)
        return
    Console(file=sys.stdout, highlight=False).print(text, markup=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table on stdout, folded to the width there is."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "default", overflow="fold", no_wrap=False)
    for row in rows:
        table.add_row(*["" if cell is None else str(cell) for cell in row])
    width = None if sys.stdout.isatty() else 200
    Console(file=sys.stdout, highlight=False, width=width).print(table, markup=False)


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
