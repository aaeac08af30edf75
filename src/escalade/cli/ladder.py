"""The ladder as text: what was tried, what it scored, what it took, and what was decided."""

from __future__ import annotations

from escalade import messages
from escalade.cli import console
from escalade.document import (
    AttemptDocument,
    CleanDocument,
    ForgettingDocument,
    RunDocument,
    ScoreDocument,
    TaskDocument,
)

_VERDICTS = {
    "met": "cli.verdict_met",
    "not met": "cli.verdict_not_met",
    "not confirmed": "cli.verdict_not_confirmed",
    "no-go": "cli.verdict_no_go",
}
_STATUSES = {"failed": "ladder.failed", "stopped": "ladder.stopped", "not tried": "ladder.not_tried"}
_COLUMNS = ("ladder.attempt", "ladder.score", "ladder.versus", "ladder.predicted", "ladder.took")


def show(document: RunDocument) -> None:
    """The ladder of every task with its verdict, where the release lies, and how many stages ran."""
    for task in document.tasks:
        show_task(task, document)
    console.print_text(messages.text("cli.seconds", executed=document.executed, seconds=document.seconds))


def show_task(task: TaskDocument, document: RunDocument) -> None:
    """One task's ladder and verdict."""
    attempts = [a for a in document.attempts if task.name in a.tasks]
    done = [a for a in attempts if a.status == "done"]
    console.print_wrapped(f"{task.name}: {task.kind}, {target_text(task)}")
    if done:
        console.print_table([messages.text(key) for key in _COLUMNS], [_row(a, task) for a in done])
    for attempt in done:
        if attempt.forgetting and (said := forgetting_text(attempt.forgetting)):
            console.print_wrapped(f"  {attempt.name} {said}")
    for status, key in _STATUSES.items():
        for reason, fitting in _by_reason([a for a in attempts if a.status == status]).items():
            console.print_wrapped(f"  {messages.text(key)}: {', '.join(fitting)}: {reason}")
    if task.test:
        console.print_text(messages.text("ladder.test", score=score_text(task.test), n=task.test.n))
        if task.clean and task.clean.value is not None and task.clean.n < task.test.n:
            console.print_wrapped(clean_text(task.clean, task.test.n))
    verdict = messages.text(_VERDICTS[task.verdict])
    console.print_wrapped(messages.text("cli.verdict", task=task.name, verdict=verdict, reason=task.reason or ""))
    if task.release:
        where = f"{document.project}/{task.release}"
        console.print_text(messages.text("cli.released", path=where, report=document.report or "-"))
    console.print_text("")


def target_text(task: TaskDocument) -> str:
    """The target in one line, with its origin."""
    target = task.target
    sign, bound = (">=", target.at_least) if target.at_least is not None else ("<=", target.at_most)
    origin = f" ({target.origin})" if target.origin else ""
    return f"{target.metric} {sign} {bound:.4g}{origin}"


def clean_text(clean: CleanDocument, n: int) -> str:
    """The score on the rows that train has not shown."""
    score = console.interval({"value": clean.value, "lower": clean.lower, "upper": clean.upper})
    return messages.text("ladder.clean", score=score, n=clean.n, seen=n - clean.n)


def score_text(score: ScoreDocument) -> str:
    """Value and interval."""
    return console.interval(score.to_json())


def forgetting_text(found: ForgettingDocument) -> str:
    """What was forgotten, and whether `keep` allows it, in one line; empty where nothing was measured or asked."""
    parts = []
    if (general := found.general) is not None:
        parts.append(
            messages.text(
                "ladder.forgets",
                difference=f"{general.difference:+.4f}",
                lower=f"{general.lower:+.4f}",
                upper=f"{general.upper:+.4f}",
                source=general.source,
            )
        )
    if found.divergence is not None:
        parts.append(messages.text("ladder.divergence", value=f"{found.divergence.value:.4f}"))
    for keep in found.keep:
        if keep.broken and keep.change:
            parts.append(
                messages.text(
                    "ladder.keep_broken",
                    source=keep.source,
                    bound=f"{keep.change.bound:+.4f}",
                    limit=f"{keep.worsen_at_most:+.4g}",
                )
            )
    if found.keep and all(keep.broken is False for keep in found.keep):
        parts.append(messages.text("ladder.keep_holds"))
    if found.keep and found.general is None and found.reason is not None:
        parts.append(messages.text("ladder.keep_unmeasured", reason=found.reason.reason))
    return "; ".join(parts)


def _by_reason(attempts: list[AttemptDocument]) -> dict[str, list[str]]:
    """Names of attempts that share a reason, in order."""
    found: dict[str, list[str]] = {}
    for attempt in attempts:
        found.setdefault(attempt.reason or "", []).append(attempt.name)
    return found


def _row(attempt: AttemptDocument, task: TaskDocument) -> list[str]:
    score, versus = attempt.scores.get(task.name), attempt.versus
    name = f"{attempt.name} *" if attempt.id == task.kept else attempt.name
    against = ""
    if versus:
        against = f"{versus.difference:+.4f} p={versus.p:.2g}"
        if not versus.better:
            against += " " + messages.text("ladder.no_better")
    predicted = _seconds(attempt.predicted.seconds if attempt.predicted else None)
    took = _seconds(attempt.measured.seconds if attempt.measured else None)
    return [name, score_text(score) if score else "", against, predicted, took]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"
