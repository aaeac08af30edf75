"""The ladder as text: what was tried, what it scored, what it took, and what was decided."""

from __future__ import annotations

from escalade import messages
from escalade.cli import console
from escalade.document import AttemptDocument, RunDocument, ScoreDocument, TaskDocument

_VERDICTS = {
    "met": "cli.verdict_met",
    "not met": "cli.verdict_not_met",
    "not confirmed": "cli.verdict_not_confirmed",
    "no-go": "cli.verdict_no_go",
}


def show(document: RunDocument) -> None:
    """The ladder of every task with its verdict, where the release lies, and how many stages ran."""
    for task in document.tasks:
        show_task(task, document)
    console.print_text(messages.text("cli.seconds", executed=document.executed, seconds=document.seconds))


def show_task(task: TaskDocument, document: RunDocument) -> None:
    """One task's ladder and verdict."""
    attempts = [a for a in document.attempts if task.name in a.tasks]
    columns = [messages.text(f"ladder.{name}") for name in ("attempt", "score", "versus", "predicted", "took", "note")]
    title = f"{task.name}: {task.kind}, {target_text(task)}"
    console.print_table(columns, [_row(a, task) for a in attempts], title)
    if task.test:
        console.print_text(messages.text("ladder.test", score=score_text(task.test), n=task.test.n))
    verdict = messages.text(_VERDICTS[task.verdict])
    console.print_text(messages.text("cli.verdict", task=task.name, verdict=verdict, reason=task.reason or ""))
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


def score_text(score: ScoreDocument) -> str:
    """Value and interval."""
    return f"{score.value:.4f} [{score.lower:.4f}, {score.upper:.4f}]"


def _row(attempt: AttemptDocument, task: TaskDocument) -> list[str]:
    score, versus = attempt.scores.get(task.name), attempt.versus
    kept = " *" if attempt.id == task.kept else ""
    against = f"{versus.difference:+.4f} p={versus.p:.3g}" if versus else ""
    note = attempt.reason or ""
    if attempt.status != "done":
        note = f"{messages.text('ladder.' + attempt.status.replace(' ', '_'))}: {note}"
    predicted = _seconds(attempt.predicted.seconds if attempt.predicted else None)
    took = _seconds(attempt.measured.seconds if attempt.measured else None)
    return [attempt.name + kept, score_text(score) if score else "", against, predicted, took, note]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"
