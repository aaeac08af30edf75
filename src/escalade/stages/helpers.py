"""What metrics need beside predictions and references: a user's own files, encoders, classifiers, judges.

Evaluation stands below the rooms that open models, so its helpers are made here, from the metric's options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.catalogue import metrics as cards
from escalade.catalogue.metrics import MetricCard, Need
from escalade.catalogue.own import load_own
from escalade.project import Project
from escalade.stages.workspace import Workspace
from escalade.values import Kind


@dataclass(frozen=True)
class Further:
    """A metric that is computed beside the usual ones of its kind."""

    card: MetricCard
    identity: str
    """What decides its value beside its name, the digest of a file or a model; empty where nothing does."""


def know_own(files: Sequence[str], root: Path, place: str = "metrics") -> None:
    """Makes the metrics in a user's files known by name, and forgets those of other files.

    Args:
        files: Relative to ``root``.
        root: The project's folder.
        place: Where the files were named.

    Raises:
        BadInput: As for ``catalogue.own.load_own``.
    """
    cards.use_own(load_own(files, root, place))


def know_own_of(project: Project, root: Path) -> None:
    """Makes the metrics known that a project names files of."""
    know_own(project.metrics, root, "metrics")


def further_metrics(space: Workspace, deciding: MetricCard, kind: Kind) -> tuple[Further, ...]:
    """The deciding metric where it is not among the usual ones, and every metric of the user's own that fits.

    Raises:
        BadInput: What a metric needs is not there.
    """
    usual = cards.metrics_for(kind, usual=True)
    own = {card.name: card for card in cards.own_metrics() if kind in card.kinds}
    named = own | ({} if deciding.name in usual else {deciding.name: deciding})
    return tuple(Further(card, identity_of(space, card)) for card in named.values())


def identity_of(space: Workspace, card: MetricCard) -> str:
    """What decides a metric's value beside its name.

    Raises:
        BadInput: What the metric needs is not there.
    """
    if card.own:
        return card.own.digest
    return _IDENTITIES[card.needs](space, card) if card.needs in _IDENTITIES else ""


def helper_of(space: Workspace, card: MetricCard) -> Any:
    """What a metric's card says it needs; None where it needs nothing.

    Raises:
        BadInput: It is not there.
    """
    return _HELPERS[card.needs](space, card) if card.needs in _HELPERS else None


def helpers_of(space: Workspace, further: Sequence[Further]) -> dict[str, Any]:
    """The helper of each metric, by its name."""
    return {one.card.name: helper_of(space, one.card) for one in further}


_IDENTITIES: dict[Need | None, Callable[[Workspace, MetricCard], str]] = {}
_HELPERS: dict[Need | None, Callable[[Workspace, MetricCard], Any]] = {}
