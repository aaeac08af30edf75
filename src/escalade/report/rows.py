"""The data of a task: what was read, how it was understood, which rows are missing and why, what stands twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from escalade import messages
from escalade.document import TaskDocument
from escalade.ledger import Ledger
from escalade.report import charts, format
from escalade.report.account import lengths, reason, sources, splits, twins, understood, warnings
from escalade.report.lineage import Lineage, read_lines, read_object
from escalade.report.parts import Fact, Table, number, table, words

FIRST = 10
"""Refused rows shown; the artifact has them all."""
_BARS = 20


@dataclass(frozen=True)
class DataView:
    """What is shown of a task's rows."""

    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]
    labels: Markup | None
    labels_note: str
    refused_count: str
    """A sentence."""
    refused: Table | None


def data_view(task: TaskDocument, found: Lineage, ledger: Ledger, name: str) -> DataView:
    """The data of one task, as far as the ledger knows it."""
    digest = found.ingest.output.get("account") if found.ingest else None
    folder = ledger.path(str(digest)) if digest else None
    account = read_object(folder / "account.json") if folder else {}
    labels, note = _labels(found, name)
    count, first = 0, []
    for row in read_lines(folder / "refused.jsonl") if folder else ():
        count += 1
        first += [row] if count <= FIRST else []
    return DataView(
        facts=(*understood(account, found), *lengths(found), *warnings(account)),
        tables=tuple(made for made in (splits(task, account, found), sources(account), twins(account)) if made),
        labels=labels,
        labels_note=note,
        refused_count=messages.text("report.refused", count=format.count(count)) if folder else "",
        refused=_refused(first) if first else None,
    )


def _labels(found: Lineage, name: str) -> tuple[Markup | None, str]:
    counts = (found.profile.output.get("labels") or {}) if found.profile else {}
    if not counts:
        return None, ""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    note = ""
    if len(ranked) > _BARS:
        rest = ranked[_BARS:]
        note = messages.text(
            "report.more_labels", labels=format.count(len(rest)), rows=format.count(sum(n for _, n in rest))
        )
    return charts.label_counts(f"{name}-labels", ranked[:_BARS]), note


def _refused(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        words(messages.text("report.file")),
        number(messages.text("report.line")),
        words(messages.text("report.reason")),
    ]
    lines = (
        [words(format.shorten(str(r.get("file", "")), 80)), number(str(r.get("line", ""))), words(reason(r))]
        for r in rows
    )
    return table(messages.text("report.refused_caption", count=len(rows)), columns, lines)
