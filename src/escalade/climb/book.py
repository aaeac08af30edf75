"""What a climb remembers in the ledger: when it began, its looks at test sets, and what it decided once finished.

Decisions that depend on the clock cannot be made twice with the same result, so a finished climb is replayed from
these notes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from escalade.climb.decide import Outcome, Planned
from escalade.ledger import Ledger
from escalade.values import Model, digest_of


@dataclass
class LedgerBook:
    """The book of one task's climb.

    Args:
        ledger: Where notes lie.
        climb: Identity of the climb: data, target, candidates, rungs, budget, seed.
        test: Names the test rows; see :func:`count_look`.
        deadline: Unix time at which this task's share of the budget ends; None where there is no budget.
    """

    ledger: Ledger
    climb: str
    test: str
    deadline: float | None
    _finished: dict[str, list[Any]] | None = field(init=False)

    def __post_init__(self) -> None:
        note = self.ledger.read_note("finished", self.climb)
        self._finished = note["attempts"] if note else None

    @property
    def finished(self) -> bool:
        """True where this climb ended before and is being replayed."""
        return self._finished is not None

    def earlier(self, planned: Planned) -> tuple[str, str | None] | None:
        """What was decided of this attempt when the climb was finished.

        One that failed is tried again: what kept it from working (a server that did not answer, say) may be mended.
        """
        found = (self._finished or {}).get(planned.id)
        return (str(found[0]), found[1]) if found and found[0] != "failed" else None

    def unmeasured(self, planned: Planned) -> bool:
        """Whether the finished climb had no time to measure what this attempt forgot: its replay measures nothing."""
        found = (self._finished or {}).get(planned.id, [])
        return bool(found[2:] and found[2])

    def time_left(self) -> float | None:
        """Seconds left; a finished climb has no clock."""
        if self.deadline is None or self.finished:
            return None
        return self.deadline - time.time()

    def look(self, model: Model) -> int:
        """One look per climb and model; a new target or candidate is a new climb, and counts again."""
        return count_look(self.ledger, self.test, self.climb, model)

    def finish(self, outcome: Outcome) -> None:
        """Writes down what was decided, also of attempts that time cut short: the budget is part of the climb."""
        attempts = {
            tried.planned.id: [
                tried.status,
                tried.reason,
                tried.forgotten is not None and tried.forgotten.found is None,
            ]
            for tried in outcome.attempts
        }
        self.ledger.note("finished", self.climb, {"attempts": attempts, "verdict": outcome.verdict})


def count_look(ledger: Ledger, test: str, who: str, model: Model) -> int:
    """Counts a look at a test split before it is opened, and says which one it is.

    Args:
        ledger: Where looks are noted.
        test: Names the test rows: the digest of their split where it was given, of the source they were cut from
            where they were cut, so that cutting them anew (with another seed, say) is no way to look afresh.
        who: The climb that looks; empty for a look that decides nothing.
        model: What is looked at. The same model for the same reason counts once, and one that was looked at already
            may be shown again.
    """
    mine = digest_of([who, model.artifact])
    with ledger.holding(f"looks {test}", "looks"):
        noted = [note for note in ledger.notes("looks").values() if note["test"] == test]
        numbers = {note["by"]: int(note["look"]) for note in noted}
        if not who and (seen := [int(note["look"]) for note in noted if note.get("model") == model.artifact]):
            return min(seen)
        if mine not in numbers:
            # Ledgers that were brought together may hold the same number twice: each was a look.
            numbers[mine] = 1 + max(len(numbers), *numbers.values(), 0)
            said = {"test": test, "look": numbers[mine], "by": mine, "model": model.artifact}
            ledger.note("looks", digest_of([test, mine]), said)
        return numbers[mine]


def begin(ledger: Ledger, project: str) -> float:
    """Unix time at which a run of this project first began; interrupted time counts."""
    started: float = ledger.note("begun", project, {"started": time.time()})["started"]
    return started
