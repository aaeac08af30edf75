"""check: everything that can be known to be wrong before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from escalade import data, evaluate
from escalade.catalogue import metrics
from escalade.catalogue.rungs import RUNGS
from escalade.errors import BadInput
from escalade.project import Project, Target, Task
from escalade.records import groups_of
from escalade.stages.forgetting import samples_of
from escalade.stages.helpers import Further, further_metrics, know_own_of
from escalade.stages.select import pin_all
from escalade.stages.workspace import Workspace
from escalade.values import Base


@dataclass(frozen=True)
class Checked:
    """A task that can be tried: its rows as read, its metric, and its candidates pinned."""

    task: Task
    prepared: data.Prepared
    metric: metrics.MetricCard
    bases: tuple[Base, ...]
    further: tuple[Further, ...] = ()
    """Metrics that are computed beside the usual ones of the kind."""


def check(space: Workspace, project: Project) -> list[Checked]:
    """Reads all data and pins all candidates without writing anything.

    Raises:
        BadInput: The first thing that is wrong, with place, cause and cure.
    """
    know_own_of(project, space.root)
    for name in project.rungs or ():
        if name not in RUNGS:
            raise BadInput("stages.rung_unknown", place="rungs", name=name, known=", ".join(RUNGS))
    if ignored := not_acted_upon(project):
        space.reporter.say("stages.not_acted_upon", keys=", ".join(ignored))
    if project.keep:
        samples_of(space.root, project.keep)
    return [_check_task(space, project, i, task) for i, task in enumerate(project.tasks)]


def not_acted_upon(project: Project) -> list[str]:
    """Keys of the project file that are given and that nothing heeds yet."""
    given = {
        "traffic": project.traffic is not None,
        "budget.money": project.budget.money is not None,
        "limits.latency_p95": project.limits.latency_p95 is not None,
        "price_in, price_out": any(c.price_in is not None or c.price_out is not None for c in project.candidates),
    }
    return [key for key, there in given.items() if there]


def _check_task(space: Workspace, project: Project, number: int, task: Task) -> Checked:
    place = f"tasks[{number}].{'target' if task.target else 'metric'}"
    named = task.target.metric if task.target else task.metric
    if named:
        metrics.card(named, place)
    prepared = data.prepare(task, base=space.root, seed=project.seed, language=project.language)
    kind = prepared.facts.kind
    metric = metrics.fitting(named or metrics.default_metric(kind, prepared.facts), kind, place)
    if task.target:
        _check_target(task.target, metric, prepared, place)
    further = further_metrics(space, metric, kind)
    return Checked(task, prepared, metric, tuple(pin_all(space, project.candidates, prepared.facts)), further)


def _check_target(target: Target, metric: metrics.MetricCard, prepared: data.Prepared, place: str) -> None:
    if target.rising != metric.rising:
        right, wrong = ("at_least", "at_most") if metric.rising else ("at_most", "at_least")
        raise BadInput("stages.metric_direction", place=place, metric=metric.name, right=right, wrong=wrong)
    if not metric.low <= target.bound <= metric.high:
        facts = {"bound": target.bound, "metric": metric.name, "low": metric.low, "high": metric.high}
        raise BadInput("stages.target_range", place=place, **facts)
    test = prepared.splits["test"]
    # Rows of one group say the same thing twice: what can be proven is a matter of groups.
    units = len(set(groups_of(test)))
    proof = evaluate.provable(units, target, metric)
    if not proof.possible:
        raise BadInput(
            "climb.no_go",
            place=place,
            rows=units,
            unit=prepared.facts.unit,
            metric=metric.name,
            sign=">=" if target.rising else "<=",
            bound=target.bound,
            confidence=target.confidence,
            best=proof.best,
            needed=proof.needed if proof.needed is not None else "∞",
        )
