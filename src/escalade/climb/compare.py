"""Recorded attempts beside each other, on the validation rows that all of them answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from escalade.catalogue import metrics as cards
from escalade.errors import BadInput
from escalade.evaluate import Comparison, corrected, load_metric, slices_of
from escalade.evaluate import compare as compare_statistics
from escalade.stages.attempts import Attempt, find
from escalade.stages.evaluate import Matrix, clusters_of, statistics_of
from escalade.stages.ingest import records_of
from escalade.stages.workspace import Workspace
from escalade.values import Split

SPLIT = "validation"


def compare(
    space: Workspace, names: Sequence[str], metrics: Sequence[str] = (), data: str | None = None
) -> list[Comparison]:
    """Every further attempt against the first, by every metric: paired randomisation test and bootstrap interval.

    Args:
        space: Of the project.
        names: Names or ids of attempts, two at least.
        metrics: Names of metrics; the kind's own where left out.
        data: Digest of the train rows of the task that is meant; where left out, that of the first name's latest.

    Raises:
        BadInput: An attempt is unknown, was not evaluated, or they answered different rows.
    """
    first = find(space.ledger, names[0], data)
    found = [first, *(_on_same_rows(space, name, first) for name in names[1:])]
    splits = [_split(attempt, name) for attempt, name in zip(found, names, strict=True)]
    if len({split.digest for split in splits}) > 1:
        raise BadInput("climb.other_rows", place=", ".join(names))
    others = found[1:]
    facts = first.facts
    records = records_of(space, splits[0], facts)
    clusters = clusters_of(space, splits[0], facts)
    made = []
    for name in metrics or (cards.default_metric(facts.kind, facts),):
        card = cards.fitting(name, facts.kind, "--metric")
        metric, slices = load_metric(name, facts, records), slices_of(records, name)
        for other in others:
            pair = (_statistics(space, first, name), _statistics(space, other, name))
            seed = int(first.evaluations[SPLIT].inputs["seed"])
            made.append(
                compare_statistics(
                    (first.name, other.name), pair, clusters, metric, slices, rising=card.rising, seed=seed
                )
            )
    return corrected(made)


def _on_same_rows(space: Workspace, name: str, first: Attempt) -> Attempt:
    """The attempt of that name that was made from the rows of the first one, else whichever there is."""
    try:
        return find(space.ledger, name, first.data)
    except BadInput:
        return find(space.ledger, name)


def _split(attempt: Attempt, name: str) -> Split:
    split = attempt.split(SPLIT)
    if split is None:
        raise BadInput("climb.not_evaluated", place=name)
    return split


def _statistics(space: Workspace, attempt: Attempt, metric: str) -> Matrix:
    evaluation = attempt.evaluation(SPLIT)
    if evaluation is None:
        raise BadInput("climb.not_evaluated", place=attempt.name)
    kept: Mapping[str, Matrix] = statistics_of(space, evaluation)
    if metric not in kept:
        raise BadInput("climb.not_computed", place=attempt.name, metric=metric, known=", ".join(kept))
    return kept[metric]
