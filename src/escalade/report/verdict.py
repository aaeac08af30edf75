"""The head of a task: what was decided, in one sentence and a handful of figures."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from escalade import messages
from escalade.document import GateDocument, RunDocument, ScoreDocument, TaskDocument
from escalade.report import charts, format
from escalade.report.charts import Goal
from escalade.report.lineage import kept_attempt
from escalade.report.parts import Fact, join, sentence
from escalade.values import Verdict

_VERDICTS: dict[Verdict, str] = {
    "met": "report.verdict_met",
    "not met": "report.verdict_not_met",
    "not confirmed": "report.verdict_not_confirmed",
    "no-go": "report.verdict_no_go",
}
_TONES: dict[Verdict, str] = {"met": "good", "not confirmed": "unsure", "not met": "bad", "no-go": "bad"}
_SIGNS = {"good": "✓", "unsure": "?", "bad": "✕"}


@dataclass(frozen=True)
class Headline:
    """A verdict in words, in colour and as a sign, so that it reads without colour too."""

    text: str
    tone: str
    sign: str


@dataclass(frozen=True)
class VerdictView:
    """What stands at the top of a task."""

    headline: Headline
    reason: str
    facts: tuple[Fact, ...]
    proof: tuple[Markup, Markup] | None
    """Wide and narrow drawing."""


def headline(verdict: Verdict) -> Headline:
    """The verdict as the page shows it."""
    said = messages.text(_VERDICTS[verdict])
    return Headline(said[0].upper() + said[1:], _TONES[verdict], _SIGNS[_TONES[verdict]])


def goal_of(task: TaskDocument) -> Goal:
    """The target's metric, number and direction."""
    target = task.target
    if target.at_least is not None:
        return Goal(target.metric, target.at_least, rising=True)
    return Goal(target.metric, target.at_most or 0.0, rising=False)


def verdict_view(task: TaskDocument, document: RunDocument, name: str) -> VerdictView:
    """The head of one task; ``name`` makes its drawings' ids unique."""
    facts = [_target(task), _kept(task, document)]
    if task.test:
        facts.append(_test(task, task.test, document))
    if task.served:
        facts.append(_served(task.served, task.test))
    if task.gate:
        facts.append(_gate(task.gate))
    if task.release:
        facts.append(Fact(messages.text("report.release"), format.clean(task.release)))
    return VerdictView(
        headline=headline(task.verdict),
        reason=sentence(task.reason or "", messages.language(), [a.name for a in document.attempts]),
        facts=tuple(facts),
        proof=_proof(task, name),
    )


def _target(task: TaskDocument) -> Fact:
    goal, target = goal_of(task), task.target
    origin = messages.text("report.origin", origin=format.clean(target.origin)) if target.origin else ""
    note = join([messages.text("report.at_confidence", confidence=format.percent(target.confidence)), origin])
    return Fact(messages.text("report.target"), f"{goal.metric} {goal.text}", note)


def _kept(task: TaskDocument, document: RunDocument) -> Fact:
    kept = kept_attempt(task, document)
    if kept is None:
        return Fact(messages.text("report.kept"), messages.text("report.nothing_kept"))
    size = kept.base.parameters
    said = [messages.text("report.no_model") if kept.family == "none" else kept.family]
    if size is not None:
        said.append(messages.text("report.parameters", count=format.parameters(size)))
    return Fact(messages.text("report.kept"), format.shorten(kept.name, 80), ", ".join(said))


def _test(task: TaskDocument, score: ScoreDocument, document: RunDocument) -> Fact:
    kept = kept_attempt(task, document)
    graded = kept.scores.get(task.name) if kept else None
    level = format.percent(graded.confidence) if graded else ""
    said = [f"{format.interval(score.lower, score.upper)} {f'({level})' if level else ''}".strip(), sample(score)]
    if score.decision_bound is not None:
        sign = "≥" if goal_of(task).rising else "≤"
        bound = f"{sign}\u00a0{format.score(score.decision_bound)}"
        confidence = format.percent(score.confidence)
        said.append(messages.text("report.proven", bound=bound, confidence=confidence))
    if score.looks is not None:
        said.append(messages.text("report.looks", looks=score.looks))
    if task.clean and task.clean.value is not None and task.clean.n < score.n:
        said.append(
            messages.text(
                "report.clean", value=format.score(task.clean.value), n=format.count(task.clean.n),
                seen=format.count(score.n - task.clean.n),
            )
        )  # fmt: skip
    return Fact(messages.text("report.test_score"), format.score(score.value), join(said))


def sample(score: ScoreDocument) -> str:
    """How many rows a score rests on, and what was resampled."""
    key = "report.sample_groups" if score.unit == "group" else "report.sample_rows"
    return messages.text(key, n=format.count(score.n), clusters=format.count(score.clusters))


def _served(served: ScoreDocument, test: ScoreDocument | None) -> Fact:
    note = f"{format.interval(served.lower, served.upper)} ({format.percent(served.confidence)}), n = {served.n:,}"
    beside = ""
    if test is not None and served.value == test.value:
        beside = messages.text("report.served_same")
    elif test is not None:
        beside = messages.text("report.served_differs", difference=format.signed(served.value - test.value))
    return Fact(messages.text("report.served"), format.score(served.value), join([note, beside]))


def _gate(gate: GateDocument) -> Fact:
    prompts, differing = format.count(gate.prompts), format.count(gate.differing)
    found = messages.text("report.gate_found", prompts=prompts, differing=differing)
    gap = "" if gate.largest_gap is None else messages.text("report.gate_gap", gap=f"{gate.largest_gap:.2g}")
    said = messages.text("report.gate_passed") if gate.passed else messages.text("report.gate_refused")
    return Fact(messages.text("report.gate"), said, join([found, gap, format.clean(gate.reason)]))


def _proof(task: TaskDocument, name: str) -> tuple[Markup, Markup] | None:
    if task.test is None:
        return None
    score, goal = task.test, goal_of(task)
    found = charts.Proof(score.value, score.lower, score.upper, score.decision_bound)
    return charts.proof(f"{name}-proof", found, goal, 640), charts.proof(f"{name}-proof-narrow", found, goal, 330)
