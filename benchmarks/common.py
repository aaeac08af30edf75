"""What every benchmark shares: rows with a goal, two ways timed in turn, and one form of printing.

A benchmark is ``main(rows, "what it measures")``, where ``rows(quick)`` gives its rows; options of its own are handed
to ``rows`` by name.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured number and what it should reach."""

    name: str
    value: float
    goal: str
    """``>= 10``, or empty where nothing is asked."""
    holds: bool
    detail: str = ""


@dataclass(frozen=True)
class Ratio:
    """How many times faster one way is than another, from repeats in turn."""

    value: float
    """Median of the repeats' ratios."""
    low: float
    high: float
    slow: float
    """Median seconds of the slower way."""
    fast: float

    def __str__(self) -> str:
        return f"{self.slow:.3f} s against {self.fast:.3f} s; ratios {self.low:.1f} to {self.high:.1f}"


def at_least(name: str, value: float, goal: float, detail: str = "") -> Row:
    """A row whose value should be no less than the goal."""
    return Row(name, value, f">= {goal:g}", value >= goal, detail)


def at_most(name: str, value: float, goal: float, detail: str = "") -> Row:
    """A row whose value should be no more than the goal."""
    return Row(name, value, f"<= {goal:g}", value <= goal, detail)


def noted(name: str, value: float, detail: str = "") -> Row:
    """A number of which nothing is asked."""
    return Row(name, value, "", True, detail)


def ratio(slow: Callable[[], object], fast: Callable[[], object], repeats: int) -> Ratio:
    """Times two ways in turn, so that what else the machine does falls on both alike.

    Args:
        slow: The way that is expected to take longer.
        fast: The other.
        repeats: How often each is run.
    """
    times = [(seconds(slow), seconds(fast)) for _ in range(repeats)]
    ratios = [one / other for one, other in times]
    slows, fasts = zip(*times, strict=True)
    return Ratio(
        statistics.median(ratios), min(ratios), max(ratios), statistics.median(slows), statistics.median(fasts)
    )


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, on the clock."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main(rows: Callable[..., Sequence[Row]], what: str, own: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Measures and prints: a table, or with ``--json`` one document ``{"rows": [...]}``.

    Args:
        rows: Measures; is told whether to be quick, and the options of its own by name.
        what: One line on what is measured.
        own: Options of this benchmark alone, by name: what ``add_argument`` is told of each.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--quick", action="store_true", help="smaller")
    for name, said in (own or {}).items():
        parser.add_argument(f"--{name}", **said)
    options = parser.parse_args()
    found = rows(options.quick, **{name: getattr(options, name) for name in own or {}})
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in found]}, ensure_ascii=False))
        return
    width = max(len(row.name) for row in found)
    for row in found:
        mark = "" if not row.goal else "yes" if row.holds else "NO"
        print(f"{row.name:{width}}  {row.value:10.4g}  {row.goal:10}  {mark:3}  {row.detail}")
