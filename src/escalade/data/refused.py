"""Rows that are not among the records: each is listed with its place and its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from escalade import messages
from escalade.data.table import Table
from escalade.errors import BadInput
from escalade.values import Setting, Value

MOST = 0.05


class RefusedRow(Value):
    """One row that could not become a record."""

    file: str
    """The source as the project names it."""
    line: int
    """Line in the file; the row's number where a format has no lines."""
    split: str
    """``train``, ``validation`` or ``test`` by its source, or ``preferences``."""
    key: str
    """Key of the reason in the messages."""
    facts: dict[str, Setting] = {}

    @property
    def reason(self) -> str:
        """The reason in the language in use."""
        return messages.text(self.key, **self.facts)


def check_refused(refused: Sequence[RefusedRow], table: Table) -> None:
    """Refuses a source of which too much is refused.

    Raises:
        BadInput: Over 5 % of the rows; names the commonest reason and where it occurs first.
    """
    if len(refused) <= MOST * len(table.rows):
        return
    commonest, count = Counter(row.key for row in refused).most_common(1)[0]
    first = next(row for row in refused if row.key == commonest)
    raise BadInput(
        "data.too_many_refused",
        place=table.source,
        refused=len(refused),
        rows=len(table.rows),
        most=f"{MOST:.0%}",
        count=count,
        line=first.line,
        reason=first.reason,
    )
