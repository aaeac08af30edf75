"""The tree of errors. Each says its place, its cause and its cure, in the user's language.

::

    EscaladeError          exit   what it means
    ├── BadInput              2   the user can mend it: project file, data, model folder, arguments
    ├── Busy                  2   another process holds what this one needs
    ├── NotProven             3   nothing met the target within the budget
    │   └── OutOfTime         3   the budget ended while work was under way; what was saved can be taken up again
    ├── Interrupted         130   stopped by a signal; the same command goes on from there
    └── Damaged               1   something recorded is no longer what was written
"""

from __future__ import annotations

from escalade import messages


class EscaladeError(Exception):
    """An error escalade raises on purpose.

    Args:
        key: The message's key, ``<room>.<name>`` in ``messages/<room>.toml``.
        place: Where: a file and line, a key of the project file, an option.
        facts: What fills the message's placeholders.
    """

    exit_code = 1

    def __init__(self, key: str, /, *, place: object = "", **facts: object) -> None:
        super().__init__(key)
        self.key = key
        self.place = str(place)
        self.facts = facts

    @property
    def cause(self) -> str:
        """What is wrong."""
        return messages.cause_and_cure(self.key, **self.facts)[0]

    @property
    def cure(self) -> str:
        """What to do about it."""
        return messages.cause_and_cure(self.key, **self.facts)[1]

    def __str__(self) -> str:
        """``place: cause. cure``, the parts that there are."""
        head = f"{self.place}: {self.cause}" if self.place else self.cause
        return f"{head}. {self.cure}" if self.cure else head

    def to_json(self) -> dict[str, str]:
        """The error as the command line prints it under ``--json``."""
        return {"key": self.key, "place": self.place, "cause": self.cause, "cure": self.cure}


class BadInput(EscaladeError):
    """The user can mend it: a project file, data, a model folder, arguments."""

    exit_code = 2


class Busy(EscaladeError):
    """Another process holds what this one needs."""

    exit_code = 2


class NotProven(EscaladeError):
    """Nothing met the target within the budget."""

    exit_code = 3


class OutOfTime(NotProven):
    """The budget ended while work was under way; what was saved can be taken up again."""


class Interrupted(EscaladeError):
    """Stopped by a signal; the same command goes on from there."""

    exit_code = 130


class Damaged(EscaladeError):
    """Something recorded is no longer what was written."""
