"""The decision of one task: which rung next, when to stop, and what is proven. Pure: it touches no file and no tensor.

::

    baselines ─> cheapest next rung ─> validation ─> better than the best cheaper one?  ─ no ─> next
                      ^                                   │ yes: it is the best so far
                      └── not yet ── lower bound >= target?
                                          │ yes, or nothing left
                                          v
                                   test, once ─> verdict
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from escalade import messages
from escalade.catalogue.metrics import MetricCard
from escalade.errors import Busy, Damaged, EscaladeError, Interrupted, OutOfTime
from escalade.evaluate import Metric, Paired, decision_bound, load_metric, look_error, paired, passes
from escalade.project import Target
from escalade.values import (
    Base,
    Change,
    Cost,
    Evaluation,
    Facts,
    Forgetting,
    Model,
    Refused,
    Rung,
    Score,
    SplitName,
    Verdict,
)

SIGNIFICANT = 0.05
"""Two-sided p below which an attempt counts as different from the best cheaper one."""


@dataclass(frozen=True)
class Planned:
    """An attempt before it is tried: a candidate on a rung."""

    id: str
    name: str
    base: Base
    rung: Rung
    predicted: Cost | None
    refused: Refused | None = None
    forgets: bool = False
    """Whether a pretrained base is changed, so that it may forget."""

    @property
    def is_baseline(self) -> bool:
        """True for attempts without a neural model."""
        return self.base.family == "none"


@dataclass(frozen=True)
class Adapted:
    """What adapting gave and took."""

    model: Model
    seconds: float
    peak_bytes: float | None
    run: str


@dataclass(frozen=True)
class Graded:
    """An evaluation with what its intervals and tests are computed from."""

    evaluation: Evaluation
    statistics: Mapping[str, NDArray[np.float64]]
    """Per metric (items, k): sufficient statistics."""
    clusters: Sequence[str]
    """Per item: the unit it is resampled with."""
    seconds: float
    run: str


@dataclass(frozen=True)
class Limit:
    """General texts, and how many bits per byte worse an attempt may find them; None where nobody said."""

    source: str
    worsen_at_most: float | None = None

    def broken_by(self, change: Change) -> bool:
        """True where it is not shown that the loss stays within the limit: its one-sided upper bound passes it."""
        return self.worsen_at_most is not None and change.bound > self.worsen_at_most


@dataclass(frozen=True)
class Forgotten:
    """What an attempt forgot of its base, beside what it may forget.

    Args:
        limits: One for each sample of general texts.
        found: What was measured; None where the budget's time was over.
        seconds: What measuring took.
        runs: Where it is recorded.
    """

    limits: tuple[Limit, ...]
    found: Forgetting | None
    seconds: float = 0.0
    runs: tuple[str, ...] = ()

    @property
    def changes(self) -> list[tuple[Limit, Change | None]]:
        """Each limit with what was measured for it; None where nothing was."""
        measured = (self.found.changes if self.found else ()) or [None] * len(self.limits)
        return list(zip(self.limits, measured, strict=True))

    @property
    def objection(self) -> str | None:
        """Why the attempt may not ship: a limit is broken, or was not measured for want of time; None where it may.

        A base that gives texts no likelihood has none to lose, so no limit is broken there.
        """
        for limit, change in self.changes:
            if change is not None and limit.broken_by(change):
                return messages.text(
                    "climb.keep_broken", source=limit.source, bound=change.bound, limit=limit.worsen_at_most
                )
        if self.found is None and any(limit.worsen_at_most is not None for limit in self.limits):
            return messages.text("climb.keep_unproven")
        return None


class Steps(Protocol):
    """What the decision can have done for it."""

    facts: Facts

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What may be forgotten, one for each sample of general texts."""
        ...

    def planned(self) -> Sequence[Planned]:
        """Every attempt there could be, the refused ones with the reason."""
        ...

    def made(self, planned: Planned, tried: Sequence[Tried]) -> bool:
        """Whether the attempt is in the ledger already, so that it takes no time."""
        ...

    def adapt(self, planned: Planned, tried: Sequence[Tried]) -> Adapted:
        """Makes the model; ``tried`` are the attempts so far, for rungs that start from one."""
        ...

    def grade(self, model: Model, split: SplitName) -> Graded:
        """Evaluates it."""
        ...

    def forgotten(self, planned: Planned, adapted: Adapted) -> Forgotten:
        """Measures what a pretrained base forgot; raises OutOfTime where that is not recorded and time is over."""
        ...


class Book(Protocol):
    """What was decided before, what time is left, and how often a test set was seen."""

    def earlier(self, planned: Planned) -> tuple[str, str | None] | None:
        """Status and reason that an earlier, finished run of this climb recorded; None where there is none."""
        ...

    def time_left(self) -> float | None:
        """Seconds of the budget that are left; None where there is none."""
        ...

    def unmeasured(self, planned: Planned) -> bool:
        """True where an earlier, finished run of this climb had no time to measure what the attempt forgot."""
        ...

    def look(self, model: Model) -> int:
        """Counts a look at the test set, and says which one it is; the same climb counts once."""
        ...


@dataclass
class Tried:
    """An attempt with what came of it."""

    planned: Planned
    status: str
    reason: str | None = None
    adapted: Adapted | None = None
    graded: Graded | None = None
    score: Score | None = None
    bound: float | None = None
    """One-sided bound on validation that was held against the target."""
    paired: Paired | None = None
    against: Tried | None = None
    better: bool = True
    forgotten: Forgotten | None = None
    keeps: bool = True
    """False where it forgets more than `keep` allows, or that could not be shown."""


@dataclass
class Outcome:
    """What was decided for one task."""

    target: Target
    verdict: Verdict
    attempts: list[Tried] = field(default_factory=list)
    kept: Tried | None = None
    passed: bool = False
    facts: Facts = Facts(kind="classification")
    given: bool = True
    """False where no target was given and the best baseline was to be beaten."""
    test: Graded | None = None
    test_bound: float | None = None
    look: int | None = None


@dataclass
class Climber:
    """One climb under way.

    Args:
        steps: What can be done.
        book: What was decided before.
        metric: The card of the metric that decides.
        target: What to reach; None: to beat the best baseline's validation score.
        confidence: Of every proof.
        resamples: Of each paired test.
        seed: Of every resampling.
    """

    steps: Steps
    book: Book
    metric: MetricCard
    target: Target | None
    confidence: float = 0.95
    resamples: int = 10_000
    seed: int = 0
    on_attempt: Callable[[Tried], None] | None = None

    def climb(self) -> Outcome:
        """Tries attempts, cheapest first, until one passes on validation; then opens the test split once.

        The best so far is the last attempt that was better than the best before it; one that passes takes the place
        of one that does not, also where few rows cannot show that it is better.

        Where no target was given there is none to stop at: all that the budget allows is tried.
        """
        given = self.target is not None
        attempts: list[Tried] = []
        best: Tried | None = None
        passed = False
        for planned in sorted(self.steps.planned(), key=_order):
            if self.target is None and not planned.is_baseline:
                self.target = self._beat_baselines(attempts)
            tried = self._try(planned, attempts, best, passed and given)
            attempts.append(tried)
            if self.on_attempt:
                self.on_attempt(tried)
            takes_over = tried.better or (given and not passed and self._passes(tried))
            if tried.status == "done" and tried.keeps and takes_over:
                best = tried
                passed = self._passes(tried)
        target = self.target or self._beat_baselines(attempts)
        outcome = Outcome(target, "not met", attempts, best, passed, self.steps.facts, given)
        return self._verdict(outcome) if given else self._compared(outcome)

    def _try(self, planned: Planned, attempts: list[Tried], best: Tried | None, passed: bool) -> Tried:
        if planned.refused:
            return Tried(planned, "not tried", planned.refused.reason)
        if passed and best:
            return Tried(planned, "not tried", messages.text("climb.already_met", name=best.planned.name))
        earlier = self.book.earlier(planned)
        if earlier and earlier[0] != "done":
            return Tried(planned, *earlier)
        if not earlier and not self.steps.made(planned, attempts) and (reason := self._too_dear(planned)):
            return Tried(planned, "not tried", reason)
        try:
            return self._done(planned, attempts, best)
        except OutOfTime as error:
            return Tried(planned, "stopped", f"{error.cause}. {error.cure}")
        except (Interrupted, Busy, Damaged):
            raise
        except EscaladeError as error:
            # One attempt that cannot work is no reason to lose the others; its error stands in the ladder.
            return Tried(planned, "failed", str(error))

    def _done(self, planned: Planned, attempts: list[Tried], best: Tried | None) -> Tried:
        adapted = self.steps.adapt(planned, attempts)
        graded = self.steps.grade(adapted.model, "validation")
        score = graded.evaluation.score(self.metric.name)
        bound = self._bound(graded, 1 - self.confidence)
        tried = Tried(planned, "done", None, adapted, graded, score, bound)
        reasons = [self._not_better(tried, graded, best), self._not_kept(tried, adapted)]
        tried.reason = messages.text("climb.between").join(reason for reason in reasons if reason) or None
        return tried

    def _not_better(self, tried: Tried, graded: Graded, best: Tried | None) -> str | None:
        """Compares with the best cheaper attempt; the reason where it is not better."""
        if best is None or best.graded is None:
            return None
        tried.against = best
        tried.paired = self._paired(best.graded, graded)
        gain = tried.paired.difference if self.metric.rising else -tried.paired.difference
        tried.better = gain > 0 and tried.paired.p < SIGNIFICANT
        return None if tried.better else messages.text("climb.no_better", name=best.planned.name)

    def _not_kept(self, tried: Tried, adapted: Adapted) -> str | None:
        """Measures what was forgotten; the reason where that is more than `keep` allows."""
        if not tried.planned.forgets:
            return None
        try:
            late = self.book.unmeasured(tried.planned)
            tried.forgotten = None if late else self.steps.forgotten(tried.planned, adapted)
        except OutOfTime:
            pass
        tried.forgotten = tried.forgotten or Forgotten(self.steps.limits, None)
        objection = tried.forgotten.objection
        tried.keeps = objection is None
        return objection

    def _too_dear(self, planned: Planned) -> str | None:
        left = self.book.time_left()
        asks = planned.predicted.seconds if planned.predicted else None
        if left is None or asks is None or asks <= left:
            return None
        return messages.text("climb.too_dear", asks=f"{asks:.0f}", left=f"{max(0.0, left):.0f}")

    def _beat_baselines(self, attempts: Sequence[Tried]) -> Target:
        """The target that is taken where none is given."""
        best = self._best_baseline(attempts)
        if best is None or best.score is None:
            # Nothing to beat: what cannot be compared is never said to be better.
            best_possible = self.metric.high if self.metric.rising else self.metric.low
            return self._to_beat(best_possible, messages.text("climb.origin_nothing"))
        return self._to_beat(best.score.value, messages.text("climb.origin", name=best.planned.base.name))

    def _best_baseline(self, attempts: Sequence[Tried]) -> Tried | None:
        scored = [t for t in attempts if t.score and t.planned.is_baseline]
        sign = 1 if self.metric.rising else -1
        return max(scored, key=lambda t: sign * t.score.value if t.score else 0.0, default=None)

    def _to_beat(self, value: float, origin: str) -> Target:
        said = {"at_least" if self.metric.rising else "at_most": value}
        return Target(metric=self.metric.name, confidence=self.confidence, origin=origin, **said)

    def _passes(self, tried: Tried) -> bool:
        """A baseline cannot pass where the target is to beat the baselines: it is compared once all of them are in."""
        if self.target is None or tried.bound is None:
            return False
        return passes(tried.bound, self.target)

    def _bound(self, graded: Graded, error: float) -> float:
        return decision_bound(
            graded.statistics[self.metric.name],
            graded.clusters,
            self._metric,
            rising=self.metric.rising,
            error=error,
            seed=self.seed,
        )

    def _paired(self, one: Graded, other: Graded, confidence: float = 0.95) -> Paired:
        return paired(
            one.statistics[self.metric.name],
            other.statistics[self.metric.name],
            one.clusters,
            self._metric.value,
            confidence=confidence,
            resamples=self.resamples,
            seed=self.seed,
            span=self.metric.high - self.metric.low,
        )

    @cached_property
    def _metric(self) -> Metric:
        return load_metric(self.metric.name, self.steps.facts)

    def _compared(self, outcome: Outcome) -> Outcome:
        """The verdict where no target was given: the kept attempt beside the best baseline, on the same test rows.

        A number from validation would be no target: it is itself uncertain, and the best of several. So the
        difference is what must be proven, and the target shown is what the baseline scores on test.
        """
        kept, baseline = outcome.kept, self._best_baseline(outcome.attempts)
        if kept is None or kept.adapted is None or baseline is None or baseline.adapted is None:
            return outcome
        outcome.look = self.book.look(kept.adapted.model)
        outcome.test = self.steps.grade(kept.adapted.model, "test")
        other = self.steps.grade(baseline.adapted.model, "test")
        value = other.evaluation.score(self.metric.name).value
        name = baseline.planned.base.name
        outcome.target = self._to_beat(value, messages.text("climb.origin_test", name=name))
        if kept.planned.is_baseline:
            return outcome
        error = look_error(self.confidence, outcome.look)
        found = self._paired(other, outcome.test, confidence=1 - 2 * error)
        proven = found.lower if self.metric.rising else found.upper
        outcome.test_bound = value + proven
        if proven > 0 if self.metric.rising else proven < 0:
            outcome.verdict = "met"
        return outcome

    def _verdict(self, outcome: Outcome) -> Outcome:
        """The verdict on a target that was given: the bound of the kept attempt's score on test."""
        kept = outcome.kept
        if kept is None or kept.adapted is None:
            return outcome
        outcome.look = self.book.look(kept.adapted.model)
        outcome.test = self.steps.grade(kept.adapted.model, "test")
        outcome.test_bound = self._bound(outcome.test, look_error(outcome.target.confidence, outcome.look))
        if passes(outcome.test_bound, outcome.target):
            outcome.verdict = "met"
        else:
            outcome.verdict = "not confirmed" if outcome.passed else "not met"
        return outcome


def _order(planned: Planned) -> tuple[bool, bool, float, str]:
    """Baselines first, aligning last (it starts from what was adapted); then by predicted cost, and by name."""
    seconds = planned.predicted.seconds if planned.predicted and planned.predicted.seconds is not None else float("inf")
    return (not planned.is_baseline, planned.rung.objective == "preference", seconds, planned.name)
