"""forgetting: a trained model, its base and general texts in; what the model unlearnt out.

The base's own likelihoods are a run of their own (``likelihood``), which every attempt on that base looks up. Limits
(``keep``) are no input: like a target they are held against what was measured, and a new one measures nothing again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from escalade import data
from escalade import evaluate as measures
from escalade.errors import BadInput, Interrupted
from escalade.evaluate.likelihood import bits_per_byte, change, divergence
from escalade.evaluate.metric import Matrix
from escalade.ledger import Bench, Run
from escalade.models import manifest as manifests
from escalade.project import Keep
from escalade.records import Text, groups_of
from escalade.stages.ingest import records_of
from escalade.stages.workspace import Workspace
from escalade.values import Base, Change, Divergence, Forgetting, Likelihood, Model, Refused, Split, digest_of

VERSION = 1
METRIC = "bits_per_byte"
FEWEST = 5
"""Texts below which no limit can be held."""
_STATISTICS = "statistics.safetensors"


@dataclass(frozen=True)
class Sample:
    """General texts of one source, and how much worse they may be found."""

    source: str
    texts: tuple[Text, ...]
    worsen_at_most: float | None = None

    @property
    def digest(self) -> str:
        """Identity of the texts: what stands in them and what belongs together; not where they were read."""
        return digest_of([[text.text, text.group] for text in self.texts])


def samples_of(root: Path, keep: Sequence[Keep]) -> list[Sample]:
    """The texts of every ``keep`` entry, or the interpreter's documentation where there is none.

    Raises:
        BadInput: A source cannot be read, holds too few texts, or another metric than bits per byte is named.
    """
    if not keep:
        source, texts = data.documentation()
        return [Sample(source, tuple(texts))]
    return [_kept(root, number, entry) for number, entry in enumerate(keep)]


def _kept(root: Path, number: int, entry: Keep) -> Sample:
    place = f"keep[{number}]"
    if entry.metric != METRIC:
        raise BadInput("stages.keep_metric", place=f"{place}.metric", given=entry.metric, known=METRIC)
    texts = data.general_text(entry.data, root)
    if len(texts) < FEWEST:
        raise BadInput("stages.keep_few", place=f"{place}.data", count=len(texts), fewest=FEWEST)
    return Sample(entry.data, tuple(texts), entry.worsen_at_most)


@dataclass(frozen=True)
class Measured:
    """What was found, and the runs that found it."""

    found: Forgetting
    run: Run
    base_run: Run


def forgetting(
    space: Workspace,
    model: Model,
    base: Base,
    samples: Sequence[Sample],
    validation: Split,
    seed: int,
    parents: list[Run],
) -> Measured:
    """Compares a trained model with its base, or looks it up.

    Identity: the model's artifact, the base, the texts, the validation split (for the divergence) and the seed.

    Args:
        space: Where it is done. Its deadline is looked at before the work and not during it, since that is small and
            bounded; a signal always ends it.
        model: With a pretrained base.
        base: On this machine.
        samples: What ``samples_of`` gives.
        validation: The split whose wanted completions are read.
        seed: Of the bootstrap, and of which records are read.
        parents: The runs that made data and model.

    Raises:
        BadInput: A model gives no numbers.
        Interrupted: The user asked to stop.
        OutOfTime: It is not recorded, and the budget's time is over.
    """
    before, base_run = likelihood(space, base, samples)

    def work(bench: Bench) -> Forgetting:
        space.check()
        no_divergence = Refused(name=base.name, key="rungs.forgetting_encoder") if base.family == "encoder" else None
        if before.reason is not None or before.statistics is None:
            return Forgetting(model=model.artifact, general=None, reason=before.reason, no_divergence=no_divergence)
        first = measures.load_statistics(space.ledger.path(before.statistics) / _STATISTICS)
        second, kl = _measure(space, model, base, samples, validation, seed)
        folder = bench.new("forgetting")
        after = _by_sample(samples, second)
        more = {"divergence": kl.rows} if kl is not None else {}
        measures.save_statistics({**after, **more}, folder / _STATISTICS)
        general, changes = _changes(samples, first, after, before.signature, seed)
        return Forgetting(
            model=model.artifact,
            general=general,
            changes=changes,
            statistics=bench.keep(folder),
            divergence=kl.value if kl is not None else None,
            no_divergence=no_divergence,
        )

    inputs = {
        "model": model.artifact,
        "base": base,
        "texts": [sample.digest for sample in samples],
        "validation": validation,
        "seed": seed,
    }
    run = space.ledger.perform("forgetting", VERSION, inputs, work, parents=[*parents, base_run])
    return Measured(Forgetting.model_validate_json(json.dumps(run.output)), run, base_run)


def likelihood(space: Workspace, base: Base, samples: Sequence[Sample]) -> tuple[Likelihood, Run]:
    """How likely a base finds the texts, or looks it up."""

    def work(bench: Bench) -> Likelihood:
        space.check()
        from escalade.rungs.forgetting import Pretrained, base_nats

        pretrained = Pretrained(base, _folder(space, base))
        nats = base_nats(pretrained, _texts(samples), lambda: _still(space))
        if isinstance(nats, str):
            return Likelihood(statistics=None, reason=Refused(name=base.name, key=nats))
        folder = bench.new("likelihood")
        data.save([text for sample in samples for text in sample.texts], folder / "texts.jsonl")
        parts = _by_sample(samples, nats)
        measures.save_statistics(parts, folder / _STATISTICS)
        values = tuple(float(bits_per_byte(rows.sum(0))) for rows in parts.values())
        return Likelihood(statistics=bench.keep(folder), bits_per_byte=values, signature=pretrained.signature)

    inputs = {"base": base, "texts": [sample.digest for sample in samples]}
    run = space.ledger.perform("likelihood", VERSION, inputs, work)
    return Likelihood.model_validate_json(json.dumps(run.output)), run


@dataclass(frozen=True)
class _Kl:
    rows: Matrix
    value: Divergence


def _measure(
    space: Workspace, model: Model, base: Base, samples: Sequence[Sample], validation: Split, seed: int
) -> tuple[Matrix, _Kl | None]:
    from escalade.rungs.forgetting import DIVERGENCE, Pretrained, measured, some_of

    folder = space.ledger.path(model.artifact)
    records = some_of(records_of(space, validation, manifests.read(folder).facts), seed)
    found = measured(Pretrained(base, _folder(space, base)), folder, _texts(samples), records, lambda: _still(space))
    if found.divergence is None:
        return found.nats, None
    value = divergence(found.divergence, list(groups_of(records)), signature=DIVERGENCE, seed=seed)
    return found.nats, _Kl(found.divergence, value)


def _changes(
    samples: Sequence[Sample], before: Mapping[str, Matrix], after: Mapping[str, Matrix], signature: str, seed: int
) -> tuple[Change, tuple[Change, ...]]:
    """Over all texts, and sample by sample; texts of two samples are never one cluster."""
    parts = [
        change(before[name], rows, list(groups_of(sample.texts)), texts=sample.digest, signature=signature, seed=seed)
        for sample, (name, rows) in zip(samples, after.items(), strict=True)
    ]
    if len(parts) == 1:
        return parts[0], tuple(parts)
    clusters = [(number, group) for number, sample in enumerate(samples) for group in groups_of(sample.texts)]
    rows = [np.vstack([side[name] for name in after]) for side in (before, after)]
    texts = digest_of([sample.digest for sample in samples])
    return change(rows[0], rows[1], clusters, texts=texts, signature=signature, seed=seed), tuple(parts)


def _by_sample(samples: Sequence[Sample], nats: Matrix) -> dict[str, Matrix]:
    """The rows of each sample, by its number."""
    ends = np.cumsum([0, *(len(sample.texts) for sample in samples)])
    return {f"texts-{number}": nats[start:end] for number, (start, end) in enumerate(pairwise(ends.tolist()))}


def _texts(samples: Sequence[Sample]) -> list[str]:
    return [text.text for sample in samples for text in sample.texts]


def _folder(space: Workspace, base: Base) -> Path:
    folder = space.folder_of(base)
    if folder is None:
        raise BadInput("rungs.base_missing", place=base.name, base=base.name)
    return folder


def _still(space: Workspace) -> None:
    """A signal ends the work; the clock does not."""
    if space.should_stop() == "signal":
        raise Interrupted("stages.interrupted")
