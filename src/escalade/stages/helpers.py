"""What metrics need beside predictions and references: a user's own files, encoders, classifiers, judges.

Evaluation stands below the rooms that open models, so its helpers are made here, from the metric's options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from escalade.stages.execution import Programs
from escalade.stages.judging import ApiJudge, check_judge
from escalade.stages.select import pin
from escalade.stages.workspace import Workspace
from escalade.values import Base, Facts, Kind, digest_of


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


def helper_of(space: Workspace, card: MetricCard, work: Path | None = None) -> Any:
    """What a metric's card says it needs; None where it needs nothing.

    Args:
        space: Where it is used.
        card: Of the metric, its options settled.
        work: A folder that outlives an interruption, for what is dear to ask again; None: nothing is kept.

    Raises:
        BadInput: It is not there.
    """
    card.checked(card.name)
    return _HELPERS[card.needs](space, card, work) if card.needs in _HELPERS else None


def helpers_of(space: Workspace, further: Sequence[Further], work: Path) -> dict[str, Any]:
    """The helper of each metric, by its name."""
    return {one.card.name: helper_of(space, one.card, work) for one in further}


def replies_in(work: Path) -> list[Path]:
    """The files in which judges kept what they replied."""
    return sorted(work.glob("judge-*.jsonl"))


def tell_unclear(space: Workspace, helpers: Mapping[str, Any]) -> dict[str, list[str]]:
    """Says which rows a judge's reply gave nothing clear for, and gives them by the metric's name."""
    found = {name: [id for id, _ in helper.unread] for name, helper in helpers.items() if getattr(helper, "unread", [])}
    for name, ids in found.items():
        space.reporter.say("stages.judge_unread", name=name, count=len(ids), rows=", ".join(ids))
    return found


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


# -- language models --------------------------------------------------------------------------------------------------


def _pinned_language(space: Workspace, card: MetricCard) -> Base:
    name = card.settings()["model"]
    base = pin(space, Candidate(model=name), Facts(kind="generation"))
    if base.digest is None or base.source not in ("folder", "hub"):
        raise BadInput("evaluate.no_likelihood", place=card.name, model=name)
    return base


def _language(space: Workspace, card: MetricCard) -> Any:
    from escalade.rungs.forgetting import Pretrained
    from escalade.rungs.measuring import TextLikelihood

    base = _pinned_language(space, card)
    return TextLikelihood(Pretrained(base, space.locations[str(base.digest)]), card.name)


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


# -- judges -----------------------------------------------------------------------------------------------------------


def _judge(space: Workspace, card: MetricCard, work: Path | None) -> Any:
    said = card.settings()
    kept = work / f"judge-{digest_of(card.name).removeprefix('b2:')[:8]}.jsonl" if work else None
    return ApiJudge(space, said["api"], said["model"], said["key_env"], kept)


def _judge_identity(space: Workspace, card: MetricCard) -> str:
    """The name says all that is known of a judge; before anything is run it is said what it will see."""
    said = card.settings()
    check_judge(said["api"], said["model"], said["key_env"])
    space.reporter.say("stages.judge_planned", model=said["model"], api=said["api"])
    return ""


# -- programs ---------------------------------------------------------------------------------------------------------


def _programs(space: Workspace, card: MetricCard) -> Programs:
    _check_programs(card)
    return Programs(space, int(card.settings()["seconds"]))


def _check_programs(card: MetricCard) -> str:
    """Nothing is run that the user did not say may be run."""
    said = card.settings()
    if said["run"] != "yes":
        raise BadInput("evaluate.run_not_said", place=card.name, name=card.name)
    if not said["seconds"].isdecimal() or not 1 <= int(said["seconds"]) <= 600:
        raise BadInput("evaluate.pass_seconds", place=card.name, given=said["seconds"])
    return ""


_IDENTITIES: dict[Need | None, Callable[[Workspace, MetricCard], str]] = {
    "encoder": lambda space, card: str(_pinned_encoder(space, card).digest),
    "classifier": lambda space, card: _classifier_folder(space, card)[1],
    "likelihood": lambda space, card: str(_pinned_language(space, card).digest),
    "judge": _judge_identity,
    "execution": lambda space, card: _check_programs(card),
}
_HELPERS: dict[Need | None, Callable[[Workspace, MetricCard, Path | None], Any]] = {
    "encoder": lambda space, card, work: _encoder(space, card),
    "classifier": lambda space, card, work: _classifier(space, card),
    "likelihood": lambda space, card, work: _language(space, card),
    "judge": _judge,
    "execution": lambda space, card, work: _programs(space, card),
}
