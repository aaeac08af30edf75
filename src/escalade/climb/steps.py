"""The stages bound to one task, as the decision asks for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from escalade.catalogue.hardware import processor
from escalade.catalogue.rungs import RUNGS
from escalade.catalogue.situation import Situation
from escalade.climb.decide import Adapted, Forgotten, Graded, Limit, Planned, Tried
from escalade.ledger import Run
from escalade.project import Project, Task
from escalade.stages import adapt as adapting
from escalade.stages import evaluate as evaluating
from escalade.stages.forecast import forecast
from escalade.stages.forgetting import Sample, forgetting, samples_of
from escalade.stages.helpers import Further
from escalade.stages.workspace import Workspace, cores
from escalade.values import Base, Data, Facts, Model, Profile, Refused, Shortlist, SplitName, digest_of

BASELINES: dict[str, tuple[str, ...]] = {
    "classification": ("majority", "nearest", "linear"),
    "relation-extraction": ("majority", "nearest", "linear"),
    "token-classification": ("majority", "linear-tags"),
    "summarization": ("majority", "copy", "lead", "nearest"),
    "embedding": (),
}
_TEXT_BASELINES = ("majority", "copy", "nearest")
SHARE = 0.45
"""Share of a task's time that one attempt may plan for."""
LEAST = 120.0
"""Seconds that any attempt may take, however little was forecast."""
OVERRUN = 3.0
"""How many times its forecast an attempt may take."""


def attempt_names(kind: str, bases: Sequence[Base]) -> list[str]:
    """The names of all attempts a task can have, those that will be refused included."""
    baselines = [f"baseline {name}" for name in BASELINES.get(kind, _TEXT_BASELINES)]
    return [*baselines, *(f"{rung} {base.name}" for base in bases for rung in RUNGS if rung != "baseline")]


@dataclass
class TaskSteps:
    """What the climb of one task can have done for it.

    Args:
        space: Where it is done.
        project: The whole project, for seed, budget and rungs.
        task: The task.
        data: Its rows.
        profile: Their shape.
        shortlist: The bases to try.
        parents: The runs of ingest, profile and select.
        further: Metrics to compute beside the usual ones of the kind.
    """

    space: Workspace
    project: Project
    task: Task
    data: Data
    profile: Profile
    shortlist: Shortlist
    parents: list[Run]
    further: Sequence[Further] = ()
    facts: Facts = field(init=False)
    _made_by: dict[str, Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts = self.data.facts

    def planned(self) -> list[Planned]:
        """Every base on every rung; each gets its forecast recorded before anything is tried."""
        names = BASELINES.get(self.facts.kind, _TEXT_BASELINES)
        bases = [Base(name=name, family="none", source="none") for name in names]
        return [p for base in [*bases, *self.shortlist.bases] for p in self._on_every_rung(base)]

    def _on_every_rung(self, base: Base) -> list[Planned]:
        situation = self.situation(base)
        found = []
        for name, card in RUNGS.items():
            if (name == "baseline") != (base.family == "none"):
                continue
            if name == "dpo" and self.data.preferences is None:
                continue
            rung = card.rung(situation)
            id = digest_of({"data": self.data.identity, "base": base.to_json(), "rung": rung.to_json()})
            refused = card.refusal(situation) or self._not_asked(name)
            cost = None
            if refused is None:
                cost, _ = forecast(self.space, situation, rung, self.parents[-1])
            forgets = card.changes_base and base.source in ("folder", "hub")
            found.append(Planned(id, f"{name} {base.name}", base, rung, cost, refused, forgets))
        return found

    def situation(self, base: Base) -> Situation:
        """What the rungs' cards are asked about."""
        budget = self.project.budget.time
        return Situation(
            facts=self.facts,
            base=base,
            rows=self.data.train.rows,
            validation_rows=self.data.validation.rows,
            input_tokens=self.profile.input.mean,
            output_tokens=self.profile.output.mean,
            longest_output=self.profile.output.p95,
            preferences=self.data.preferences.rows if self.data.preferences else 0,
            seconds=None if budget is None else SHARE * budget / len(self.project.tasks),
            cores=cores(),
            flops_per_core=processor().flops_per_core,
            input_limit=self.task.input_limit,
        )

    def _not_asked(self, rung: str) -> Refused | None:
        if self.project.rungs is None or rung in self.project.rungs:
            return None
        if rung == "baseline" and self.task.target is None:
            # Where no target is given, the best baseline is what must be beaten.
            return None
        return Refused(name=rung, key="rungs.not_asked")

    def made(self, planned: Planned, tried: Sequence[Tried]) -> bool:
        """Whether the model is in the ledger already."""
        return adapting.made(self.space, self.data, self._assignment(planned, _start(planned, tried)))

    def _assignment(self, planned: Planned, start: Model | None) -> adapting.Assignment:
        template = adapting.template_of(self.facts, planned.base, self.task)
        return adapting.Assignment(planned.base, planned.rung, self.project.seed, template, start)

    def adapt(self, planned: Planned, tried: Sequence[Tried]) -> Adapted:
        """Makes the model of an attempt."""
        start = _start(planned, tried)
        assignment = self._assignment(planned, start)
        parents = [*self.parents, self._made_by[start.artifact]] if start else self.parents
        deadline = self.space.deadline
        self._limit(planned)
        try:
            model, run = adapting.adapt(self.space, self.data, assignment, parents)
        finally:
            self.space.deadline = deadline
        self._made_by[model.artifact] = run
        return Adapted(model, run.measured.seconds, run.measured.peak_bytes, run.id)

    def _limit(self, planned: Planned) -> None:
        """Under a budget, an attempt that takes far longer than forecast is stopped: others should have a chance."""
        seconds = planned.predicted.seconds if planned.predicted else None
        if self.space.deadline is not None and seconds is not None:
            self.space.deadline = min(self.space.deadline, time.time() + max(LEAST, OVERRUN * seconds))

    def grade(self, model: Model, split: SplitName) -> Graded:
        """Evaluates a model on a split. The clock rules trying; what was chosen is always graded and shipped."""
        if split == "test":
            self.space.deadline = None
        rows = getattr(self.data, split)
        parents = [self.parents[0], *([self._made_by[model.artifact]] if model.artifact in self._made_by else [])]
        evaluation, run = evaluating.evaluate(
            self.space, model, rows, self.facts, self.project.seed, parents, self.further
        )
        statistics = evaluating.statistics_of(self.space, evaluation)
        clusters = evaluating.clusters_of(self.space, rows, self.facts)
        return Graded(evaluation, statistics, clusters, run.measured.seconds, run.id)

    @cached_property
    def samples(self) -> list[Sample]:
        """General texts: those of `keep`, or the interpreter's documentation."""
        return samples_of(self.space.root, self.project.keep)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What may be forgotten of each sample."""
        return tuple(Limit(sample.source, sample.worsen_at_most) for sample in self.samples)

    def forgotten(self, planned: Planned, adapted: Adapted) -> Forgotten:
        """What a pretrained base forgot. The first attempt on a base is charged with reading the base itself."""
        model, seed, before = adapted.model, self.project.seed, set(self.space.ledger.used)
        parents = [self.parents[0], *([self._made_by[model.artifact]] if model.artifact in self._made_by else [])]
        found = forgetting(self.space, model, planned.base, self.samples, self.data.validation, seed, parents)
        runs = [found.run, *([] if found.base_run.id in before else [found.base_run])]
        seconds = sum(run.measured.seconds for run in runs)
        return Forgotten(self.limits, found.found, seconds, tuple(run.id for run in runs))


def _start(planned: Planned, tried: Sequence[Tried]) -> Model | None:
    """The model of the same base that scores best so far and holds its own weights, for rungs that align."""
    if planned.rung.objective != "preference":
        return None
    fitting = [
        t for t in tried
        if t.adapted and t.score and t.planned.base == planned.base and t.planned.rung.name == "full"
    ]  # fmt: skip
    best = max(fitting, key=lambda t: (t.better, t.score.value if t.score else 0.0), default=None)
    return best.adapted.model if best and best.adapted else None
