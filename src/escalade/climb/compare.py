"""Two recorded attempts beside each other, on the validation rows that both answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from escalade.catalogue import metrics
from escalade.errors import BadInput
from escalade.evaluate import load_metric, paired
from escalade.stages.attempts import Attempt, find
from escalade.stages.evaluate import Matrix, clusters_of, statistics_of
from escalade.stages.workspace import Workspace


def compare(space: Workspace, a: str, b: str, metric: str | None = None) -> dict[str, Any]:
    """Paired randomisation test and paired bootstrap interval of B minus A.

    Raises:
        BadInput: An attempt is unknown, was not evaluated, or the two answered different rows.
    """
    one, other = find(space.ledger, a), find(space.ledger, b)
    first, second = one.split("validation"), other.split("validation")
    if first is None or second is None:
        raise BadInput("climb.not_evaluated", place=a if first is None else b)
    if first.digest != second.digest:
        raise BadInput("climb.other_rows", place=f"{a}, {b}")
    name = metric or metrics.default_metric(one.facts.kind, one.facts)
    card = metrics.fitting(name, one.facts.kind, "--metric")
    found = paired(
        _statistics(space, one)[name],
        _statistics(space, other)[name],
        clusters_of(space, first, one.facts),
        load_metric(name, one.facts).value,
        span=card.high - card.low,
        seed=int(one.evaluations["validation"].inputs["seed"]),
    )
    return {
        "a": one.name,
        "b": other.name,
        "metric": name,
        "split": "validation",
        "difference": found.difference,
        "lower": found.lower,
        "upper": found.upper,
        "p": found.p,
        "n": found.n,
        "clusters": found.clusters,
        "wins": found.wins,
        "ties": found.ties,
        "losses": found.losses,
    }


def _statistics(space: Workspace, attempt: Attempt) -> Mapping[str, Matrix]:
    evaluation = attempt.evaluation("validation")
    if evaluation is None:
        raise BadInput("climb.not_evaluated", place=attempt.name)
    return statistics_of(space, evaluation)
