"""What was decided, as the document shows it."""

from __future__ import annotations

from escalade import messages
from escalade.catalogue.metrics import MetricCard
from escalade.climb.decide import Forgotten, Graded, Limit, Outcome, Planned, Tried
from escalade.document import (
    AttemptDocument,
    BaseDocument,
    ChangeDocument,
    ForgettingDocument,
    KeepDocument,
    MeasuredDocument,
    ScoreDocument,
    TargetDocument,
    Versus,
)
from escalade.evaluate import design_effect, items_needed, load_metric, look_error
from escalade.project import Target
from escalade.values import Change, Refused, Score, Unit


def attempt_document(tried: Tried, task: str, unit: Unit) -> AttemptDocument:
    """One attempt."""
    planned, adapted, graded, forgotten = tried.planned, tried.adapted, tried.graded, tried.forgotten
    measured = None
    if adapted and graded:
        seconds = adapted.seconds + graded.seconds + (forgotten.seconds if forgotten else 0.0)
        measured = MeasuredDocument(seconds=seconds, peak_bytes=adapted.peak_bytes)
    made = [adapted.run if adapted else None, graded.run if graded else None, *(forgotten.runs if forgotten else ())]
    return AttemptDocument(
        id=planned.id,
        name=planned.name,
        tasks=(task,),
        rung=planned.rung.name,
        family=planned.base.family,
        base=BaseDocument.of(planned.base),
        status=tried.status,  # type: ignore[arg-type]
        reason=tried.reason,
        scores={task: _score(tried.score, tried.bound, None)} if tried.score else {},
        versus=_versus(tried),
        forgetting=forgetting_document(forgotten, planned) if forgotten else None,
        predicted=planned.predicted,
        measured=measured,
        findings=dict(adapted.model.findings) if adapted else {},
        runs=tuple(run for run in made if run),
    )


def forgetting_document(forgotten: Forgotten, planned: Planned) -> ForgettingDocument:
    """What an attempt forgot, beside what it may forget."""
    found = forgotten.found
    late = Refused(name=planned.name, key="climb.forgetting_late") if found is None else None
    general = found.general if found else None
    sources = " + ".join(limit.source for limit in forgotten.limits)
    return ForgettingDocument(
        general=ChangeDocument.of(general, sources) if general else None,
        reason=found.reason if found else late,
        divergence=found.divergence if found else None,
        no_divergence=found.no_divergence if found else late,
        keep=tuple(_keep(limit, change) for limit, change in forgotten.changes if limit.worsen_at_most is not None),
    )


def _keep(limit: Limit, change: Change | None) -> KeepDocument:
    return KeepDocument(
        source=limit.source,
        worsen_at_most=limit.worsen_at_most or 0.0,
        change=ChangeDocument.of(change, limit.source) if change else None,
        broken=limit.broken_by(change) if change else None,
    )


def score_document(graded: Graded, outcome: Outcome, decides: bool = True) -> ScoreDocument:
    """The deciding metric of an evaluation on test."""
    score = graded.evaluation.score(outcome.target.metric)
    if not decides or outcome.look is None:
        return _score(score, None, None)
    confidence = 1 - look_error(outcome.target.confidence, outcome.look)
    return _score(score, outcome.test_bound, outcome.look).model_copy(update={"confidence": confidence})


def target_document(target: Target) -> TargetDocument:
    """The target as it was used."""
    return TargetDocument(**target.model_dump())


def reason_of(outcome: Outcome, metric: MetricCard) -> str:
    """Why the verdict is what it is, and what would close the gap."""
    kept, test = outcome.kept, outcome.test
    if kept is None or test is None:
        if aside := _set_aside(outcome):
            return messages.text("climb.nothing_kept", reason=aside[0].reason)
        # What was tried and failed tells more than what did not apply.
        ranked = sorted(outcome.attempts, key=lambda t: (t.status == "not tried", t.planned.refused is not None))
        reasons = [tried.reason for tried in ranked if tried.reason]
        return messages.text("climb.nothing_tried", reason=reasons[0] if reasons else "-")
    if not outcome.given:
        return _beside_the_baseline(outcome, kept, test, metric)
    if outcome.test_bound is None:
        raise ValueError("a target was given and nothing was held against it")
    score = test.evaluation.score(outcome.target.metric)
    if outcome.verdict == "met":
        confidence = 1 - look_error(outcome.target.confidence, outcome.look or 1)
        said = messages.text(
            "climb.met", name=kept.planned.name, metric=metric.name, value=score.value, bound=outcome.test_bound,
            confidence=confidence, look=outcome.look,
        )  # fmt: skip
        free = messages.text("climb.met_without_model", name=kept.planned.name)
        return _joined([free, said]) if kept.planned.is_baseline else said
    parts = [
        messages.text(
            "climb.gap", name=kept.planned.name, metric=metric.name, value=score.value, bound=outcome.test_bound,
            target=outcome.target.bound,
        )
    ]  # fmt: skip
    rows = _rows_needed(outcome, test, metric)
    if rows is not None:
        parts.append(messages.text("climb.gap_rows", rows=rows))
    return _joined([*parts, *_left_out(outcome)])


def _beside_the_baseline(outcome: Outcome, kept: Tried, test: Graded, metric: MetricCard) -> str:
    """The reason where no target was given."""
    said = {"name": kept.planned.name, "metric": metric.name, "target": outcome.target.bound}
    if outcome.verdict == "met" and outcome.test_bound is not None:
        return messages.text(
            "climb.beaten", value=test.evaluation.score(metric.name).value,
            proven=outcome.test_bound - outcome.target.bound,
            confidence=1 - look_error(outcome.target.confidence, outcome.look or 1), look=outcome.look, **said,
        )  # fmt: skip
    return _joined([messages.text("climb.not_beaten", **said), *_left_out(outcome)])


def _left_out(outcome: Outcome) -> list[str]:
    """What was set aside for what it forgot, and what was not tried for want of time."""
    parts = []
    if aside := _set_aside(outcome):
        parts.append(messages.text("climb.gap_keep", names=", ".join(tried.planned.name for tried in aside)))
    names = [t.planned.name for t in outcome.attempts if t.status in ("not tried", "stopped") and not t.planned.refused]
    if names:
        parts.append(messages.text("climb.gap_untried", names=", ".join(names)))
    return parts


def _rows_needed(outcome: Outcome, test: Graded, metric: MetricCard) -> int | None:
    """Test rows that would prove a true score as high as this one at the next look; None where no number would."""
    if (metric.low, metric.high) != (0, 1):
        return None
    score = test.evaluation.score(metric.name)
    worth = design_effect(test.statistics[metric.name], test.clusters, load_metric(metric.name, outcome.facts))
    return items_needed(
        score.value, outcome.target.bound, outcome.target.confidence, worth,
        rising=metric.rising, look=(outcome.look or 0) + 1,
    )  # fmt: skip


def _set_aside(outcome: Outcome) -> list[Tried]:
    """Attempts that would have been kept but for what they forgot."""
    return [tried for tried in outcome.attempts if tried.better and not tried.keeps]


def _joined(sentences: list[str]) -> str:
    return messages.text("climb.between").join(sentences)


def _score(score: Score, bound: float | None, look: int | None) -> ScoreDocument:
    return ScoreDocument(
        metric=score.metric,
        split=score.split,
        value=score.value,
        lower=score.lower,
        upper=score.upper,
        decision_bound=bound,
        confidence=score.confidence,
        n=score.n,
        clusters=score.clusters,
        unit=score.unit,
        looks=look,
        signature=score.signature,
    )


def _versus(tried: Tried) -> Versus | None:
    found, against = tried.paired, tried.against
    if found is None or against is None:
        return None
    return Versus(
        attempt=against.planned.id,
        name=against.planned.name,
        difference=found.difference,
        lower=found.lower,
        upper=found.upper,
        p=found.p,
        wins=found.wins,
        ties=found.ties,
        losses=found.losses,
        better=tried.better,
    )
