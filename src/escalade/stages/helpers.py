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
from escalade.errors import BadInput
from escalade.ledger import files
from escalade.models import manifest as manifests
from escalade.project import Candidate, Project
from escalade.stages import using
from escalade.stages.select import pin
from escalade.stages.workspace import Workspace
from escalade.values import Base, Facts, Kind


@dataclass(frozen=True)
class Further:
    """A metric that is computed beside the usual ones of its kind."""

    card: MetricCard
    identity: str
    """What decides its value beside its name, the digest of a file or a model; empty where nothing does."""


def know_own(named: Sequence[str], root: Path, place: str = "metrics") -> None:
    """Makes the metrics in a user's files known by name, and forgets those of other files.

    Args:
        named: The files, relative to ``root``.
        root: The project's folder.
        place: Where the files were named.

    Raises:
        BadInput: As for ``catalogue.own.load_own``.
    """
    cards.use_own(load_own(named, root, place))


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
    card.checked(card.name)
    if card.own:
        return card.own.digest
    return _IDENTITIES[card.needs](space, card) if card.needs in _IDENTITIES else ""


def helper_of(space: Workspace, card: MetricCard) -> Any:
    """What a metric's card says it needs; None where it needs nothing.

    Raises:
        BadInput: It is not there.
    """
    card.checked(card.name)
    return _HELPERS[card.needs](space, card) if card.needs in _HELPERS else None


def helpers_of(space: Workspace, further: Sequence[Further]) -> dict[str, Any]:
    """The helper of each metric, by its name."""
    return {one.card.name: helper_of(space, one.card) for one in further}


# -- encoders ---------------------------------------------------------------------------------------------------------


def _pinned_encoder(space: Workspace, card: MetricCard) -> Base:
    name = card.settings()["model"]
    base = pin(space, Candidate(model=name), Facts(kind="embedding"))
    if base.family != "encoder" or base.digest is None or base.source not in ("folder", "hub"):
        raise BadInput("evaluate.no_encoder", place=card.name, model=name)
    return base


def _encoder(space: Workspace, card: MetricCard) -> Any:
    base = _pinned_encoder(space, card)
    layer = card.settings()["layer"]
    if layer and not layer.isdecimal():
        raise BadInput("evaluate.layer_number", place=card.name, layer=layer)
    from escalade.models.load import load_model, load_tokenizer
    from escalade.rungs.measuring import TokenEncoder

    folder = space.locations[str(base.digest)]
    model, tokenizer = load_model(folder, "embed"), load_tokenizer(folder)
    return TokenEncoder(model, tokenizer, base.context or 512, str(base.digest), int(layer) if layer else None)


# -- classifiers ------------------------------------------------------------------------------------------------------


def _classifier_folder(space: Workspace, card: MetricCard) -> tuple[str, str]:
    """The name by which a classifier is opened, and its digest."""
    name = card.settings()["model"]
    for folder in (space.root / name, Path(name).expanduser()):
        if (folder / manifests.FILE).exists():
            return str(folder), files.tree_digest(folder)
    base = pin(space, Candidate(model=name), Facts(kind="classification"))
    if base.digest is None or base.source not in ("folder", "hub"):
        raise BadInput("evaluate.no_classifier", place=card.name, model=name)
    return str(space.locations[base.digest]), base.digest


def _classifier(space: Workspace, card: MetricCard) -> Any:
    from escalade.rungs.measuring import LabelClassifier

    name, digest = _classifier_folder(space, card)
    opened = using.open_model(space, name)
    if opened.predictor is None or opened.facts.kind != "classification":
        raise BadInput("evaluate.no_classifier", place=card.name, model=card.settings()["model"])
    labels = getattr(opened.predictor, "labels", None) or opened.facts.labels
    return LabelClassifier(opened.predictor, card.settings()["label"], labels, digest)


_IDENTITIES: dict[Need | None, Callable[[Workspace, MetricCard], str]] = {
    "encoder": lambda space, card: str(_pinned_encoder(space, card).digest),
    "classifier": lambda space, card: _classifier_folder(space, card)[1],
}
_HELPERS: dict[Need | None, Callable[[Workspace, MetricCard], Any]] = {"encoder": _encoder, "classifier": _classifier}
