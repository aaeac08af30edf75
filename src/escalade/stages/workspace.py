"""What every stage works in: the ledger, where weights lie on this machine, who is told, and when to stop.

None of it is part of a result's identity.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from escalade.errors import BadInput, Interrupted, OutOfTime
from escalade.ledger import Ledger
from escalade.values import Base


class Reporter(Protocol):
    """Who is told how work goes on. ``key`` names a text of the messages."""

    def say(self, key: str, **facts: object) -> None:
        """One sentence."""
        ...

    def progress(self, name: str, done: float, total: float | None, note: str = "") -> None:
        """How far a piece of work is; ``done == total`` ends it."""
        ...


class Silent:
    """Tells nobody."""

    def say(self, key: str, **facts: object) -> None:
        """Drops the sentence."""

    def progress(self, name: str, done: float, total: float | None, note: str = "") -> None:
        """Drops the progress."""


@dataclass
class Workspace:
    """The surroundings of a stage.

    Args:
        root: The project's folder; ``.escalade`` lies in it.
        ledger: What happened so far.
        reporter: Who is told.
        locations: Where the weights of a base lie, by the base's digest.
        deadline: Unix time after which work stops and is saved; None where there is no budget.
        interrupted: True once the user asked to stop.
    """

    root: Path
    ledger: Ledger
    reporter: Reporter = field(default_factory=Silent)
    locations: dict[str, Path] = field(default_factory=dict)
    deadline: float | None = None
    interrupted: Callable[[], bool] = lambda: False

    def should_stop(self) -> str | None:
        """``signal``, ``time`` or None."""
        if self.interrupted():
            return "signal"
        if self.deadline is not None and time.time() > self.deadline:
            return "time"
        return None

    def check(self) -> None:
        """Raises where work should stop.

        Raises:
            Interrupted: The user asked to stop.
            OutOfTime: The budget ended.
        """
        reason = self.should_stop()
        if reason == "signal":
            raise Interrupted("stages.interrupted")
        if reason == "time":
            raise OutOfTime("stages.out_of_time")

    def folder_of(self, base: Base) -> Path | None:
        """Where a base's weights lie; None where it has none on this machine (scratch, api, none).

        Raises:
            BadInput: It should have some and they are gone.
        """
        if base.source not in ("folder", "hub"):
            return None
        folder = self.locations.get(base.digest or "")
        if folder is None or not folder.exists():
            raise BadInput("rungs.base_missing", place=base.name, base=base.name)
        return folder


def open_workspace(root: Path, reporter: Reporter | None = None) -> Workspace:
    """The workspace of a project folder, its ledger reporting through ``reporter``."""
    reporter = reporter or Silent()
    ledger = Ledger(
        root / ".escalade",
        waiting=lambda busy: reporter.say("stages.waiting", **busy.facts),
        stale=lambda run: reporter.say("stages.stale", stage=run.stage, id=run.id[:11]),
    )
    space = Workspace(root=root, ledger=ledger, reporter=reporter)
    ledger.still = space.check
    return space


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
