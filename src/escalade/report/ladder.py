"""The ladder of a task: its chart, and a table with every attempt, tried or not."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from escalade import messages
from escalade.document import AttemptDocument, RunDocument, Status, TaskDocument, Versus
from escalade.report import charts, format
from escalade.report.forgetting import forgetting_table
from escalade.report.lineage import attempts_of
from escalade.report.parts import Cell, Fact, Line, Table, number, words
from escalade.report.verdict import goal_of
from escalade.values import Cost, Family

_STATUS: dict[Status, str] = {
    "done": "report.status_done",
    "not tried": "report.status_not_tried",
    "stopped": "report.status_stopped",
    "failed": "report.status_failed",
}
_FAMILIES: tuple[Family, ...] = ("none", "encoder", "decoder", "encoder-decoder")


@dataclass(frozen=True)
class Key:
    """One entry of the chart's legend."""

    mark: Markup
    text: str


@dataclass(frozen=True)
class LadderView:
    """What is shown of a task's attempts."""

    chart: tuple[Markup, Markup] | None
    """Wide and narrow drawing; None where nothing was evaluated."""
    legend: tuple[Key, ...]
    off_chart: str
    """Which attempts are no points; empty where all are, or nothing is drawn."""
    table: Table | None
    forgetting: Table | None
    """What was forgotten; None where no pretrained base was changed."""
    refused: tuple[Fact, ...]
    """Candidates that were not taken, and why."""


def ladder_view(task: TaskDocument, document: RunDocument, name: str) -> LadderView:
    """The ladder of one task; ``name`` makes its drawings' ids unique."""
    attempts = attempts_of(task, document)
    drawn = [a for a in attempts if task.name in a.scores and a.measured]
    points = [_point(a, task) for a in drawn]
    goal, chart = goal_of(task), None
    if points:
        chart = charts.ladder(f"{name}-ladder", points, goal, 960), charts.ladder(f"{name}-narrow", points, goal, 350)
    return LadderView(
        chart=chart,
        legend=_legend(points),
        off_chart=_off_chart([a for a in attempts if a not in drawn]) if chart else "",
        table=_table(attempts, task) if attempts else None,
        forgetting=forgetting_table(attempts),
        refused=tuple(Fact(format.shorten(r.name, 80), format.clean(r.reason)) for r in task.refused),
    )


def _point(attempt: AttemptDocument, task: TaskDocument) -> charts.Point:
    score = attempt.scores[task.name]
    return charts.Point(
        name=format.shorten(attempt.name, 60),
        family=attempt.family,
        seconds=attempt.measured.seconds if attempt.measured else 0.0,
        predicted=attempt.predicted.seconds if attempt.predicted else None,
        value=score.value,
        lower=score.lower,
        upper=score.upper,
        kept=attempt.id == task.kept,
    )


def _legend(points: list[charts.Point]) -> tuple[Key, ...]:
    present = [family for family in _FAMILIES if any(p.family == family for p in points)]
    keys = [Key(charts.key(f), messages.text("report.no_model") if f == "none" else f) for f in present]
    keys.append(Key(charts.key_line("interval"), messages.text("report.key_interval")))
    if any(p.predicted is not None for p in points):
        keys.append(Key(charts.key(present[0], hollow=True), messages.text("report.key_predicted")))
    if any(p.kept for p in points):
        keys.append(Key(charts.key_kept(), messages.text("report.key_kept")))
    keys.append(Key(charts.key_line("goal"), messages.text("report.target")))
    return tuple(keys) if points else ()


def _off_chart(attempts: list[AttemptDocument]) -> str:
    if not attempts:
        return ""
    said = [f"{format.shorten(a.name, 60)} ({messages.text(_STATUS[a.status])})" for a in attempts]
    return messages.text("report.off_chart", names=", ".join(said))


def _table(attempts: list[AttemptDocument], task: TaskDocument) -> Table:
    levels = {a.scores[task.name].confidence for a in attempts if task.name in a.scores}
    level = format.percent(levels.pop()) if len(levels) == 1 else ""
    columns = (
        words(messages.text("report.attempt")),
        number(messages.text("report.validation"), messages.text("report.interval", level=level)),
        number(messages.text("report.versus"), messages.text("report.versus_note")),
        number(messages.text("report.predicted"), messages.text("report.time_memory")),
        number(messages.text("report.measured"), messages.text("report.time_memory")),
        words(messages.text("report.outcome"), messages.text("report.findings")),
    )
    lines = tuple(_line(attempt, task) for attempt in attempts)
    return Table(messages.text("report.ladder_caption", metric=task.target.metric), columns, lines)


def _line(attempt: AttemptDocument, task: TaskDocument) -> Line:
    score, kept = attempt.scores.get(task.name), attempt.id == task.kept
    scored = number(format.ABSENT)
    if score:
        scored = number(format.score(score.value), format.interval(score.lower, score.upper), f"n = {score.n:,}")
    status = messages.text("report.kept_mark") if kept else messages.text(_STATUS[attempt.status])
    measured = number(format.ABSENT)
    if attempt.measured:
        measured = number(format.seconds(attempt.measured.seconds), format.size(attempt.measured.peak_bytes))
    found = [f"{name} = {format.setting(value)}" for name, value in attempt.findings.items()]
    cells = (
        words(format.shorten(attempt.name, 80), _about(attempt)),
        scored,
        _versus(attempt.versus),
        _cost(attempt.predicted),
        measured,
        words(status, attempt.reason or "", *found),
    )
    return Line(cells, kept)


def _about(attempt: AttemptDocument) -> str:
    """Family, size and origin of the base; rung and base by name where the attempt's name does not say them."""
    base = attempt.base
    notes = [said for said in (attempt.rung, base.name) if said not in attempt.name]
    notes.append(messages.text("report.no_model") if attempt.family == "none" else attempt.family)
    if base.parameters is not None:
        notes.append(messages.text("report.parameters", count=format.parameters(base.parameters)))
    if base.source != "none":
        notes.append(" ".join([base.source, *([base.revision[:10]] if base.revision else [])]))
    return ", ".join(format.shorten(note, 60) for note in notes)


def _versus(versus: Versus | None) -> Cell:
    if versus is None:
        return number(format.ABSENT)
    counts = messages.text(
        "report.wins",
        wins=format.count(versus.wins),
        ties=format.count(versus.ties),
        losses=format.count(versus.losses),
    )
    return number(
        format.signed(versus.difference),
        format.signed_interval(versus.lower, versus.upper),
        f"p = {format.probability(versus.p)}",
        counts,
        messages.text("report.against", name=format.shorten(versus.name, 60)),
    )


def _cost(cost: Cost | None) -> Cell:
    if cost is None:
        return number(format.ABSENT)
    notes = [format.size(cost.peak_bytes)]
    if cost.money is not None:
        notes.append(format.money(cost.money))
    if cost.lifetime_money is not None:
        notes.append(messages.text("report.lifetime", money=format.money(cost.lifetime_money)))
    return number(format.seconds(cost.seconds), *notes)
