"""What the attempts of a task forgot of their bases, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from escalade import messages
from escalade.document import AttemptDocument, ChangeDocument, ForgettingDocument, KeepDocument
from escalade.report import format
from escalade.report.parts import Cell, Table, number, table, words
from escalade.values import Divergence, Refused


def forgetting_table(attempts: Sequence[AttemptDocument]) -> Table | None:
    """A line for each attempt that changed a pretrained base, and one for each `keep` entry; None without any."""
    lines = [line for attempt in attempts if attempt.forgetting for line in _lines(attempt, attempt.forgetting)]
    if not lines:
        return None
    columns = (
        words(messages.text("report.attempt")),
        words(messages.text("report.general_text"), messages.text("report.likelihood")),
        number(messages.text("report.of_base")),
        number(messages.text("report.of_adapted")),
        number(messages.text("report.forgotten"), messages.text("report.forgotten_note")),
        number(messages.text("report.divergence"), messages.text("report.divergence_note")),
        words(messages.text("report.keep")),
    )
    return table(messages.text("report.forgetting_caption"), columns, lines)


def _lines(attempt: AttemptDocument, found: ForgettingDocument) -> list[list[Cell]]:
    name = words(format.shorten(attempt.name, 80))
    kl = _divergence(found.divergence, found.no_divergence)
    if found.keep:
        # The texts of all entries together say nothing that the entries, of which there are few, do not.
        absent = number(format.ABSENT)
        return [
            [name, *_change(keep.change, keep.source, found.reason), absent if i else kl, _keep(keep)]
            for i, keep in enumerate(found.keep)
        ]
    return [[name, *_change(found.general, "", found.reason), kl, words(format.ABSENT)]]


def _change(change: ChangeDocument | None, source: str, reason: Refused | None) -> list[Cell]:
    absent = number(format.ABSENT)
    if change is None:
        return [words(format.shorten(source, 60), reason.reason if reason else ""), absent, absent, absent]
    sample = messages.text("report.sample_texts", n=format.count(change.n), clusters=format.count(change.clusters))
    return [
        words(format.shorten(change.source, 60), sample, format.shorten(change.signature, 120)),
        number(format.score(change.base)),
        number(format.score(change.adapted)),
        number(format.signed(change.difference), format.signed_interval(change.lower, change.upper)),
    ]


def _divergence(found: Divergence | None, reason: Refused | None) -> Cell:
    if found is None:
        return number(format.ABSENT, reason.reason if reason else "")
    tokens = messages.text("report.sample_tokens", tokens=format.count(found.tokens), n=format.count(found.n))
    return number(format.score(found.value), format.interval(found.lower, found.upper), tokens)


def _keep(keep: KeepDocument) -> Cell:
    if keep.change is None or keep.broken is None:
        return words(messages.text("report.keep_unmeasured"))
    said = messages.text("report.keep_broken") if keep.broken else messages.text("report.keep_holds")
    bound, limit = format.signed(keep.change.bound), format.signed(keep.worsen_at_most)
    return words(said, messages.text("report.keep_bound", bound=bound, limit=limit))
