"""The foot of the ladder: answers without a neural model."""

from __future__ import annotations

from pathlib import Path

from escalade.errors import BadInput
from escalade.models.manifest import Manifest
from escalade.rungs.baselines import METHODS, Baseline
from escalade.rungs.job import Done, Job


def adapt(job: Job) -> Done:
    """Fits the baseline that the base names."""
    name = job.base.name
    _method(name).fit(job.train, job.facts, job.seed).save(job.out)
    Manifest(engine="baseline", facts=job.facts, rung="baseline", base=job.base, weights="own", method=name).write(
        job.out
    )
    return Done()


def load(folder: Path, manifest: Manifest) -> Baseline:
    """Reads a baseline back."""
    return _method(manifest.method or "").load(folder, manifest.facts)


def _method(name: str) -> type[Baseline]:
    if name not in METHODS:
        raise BadInput("rungs.method_unknown", place=name, name=name, known=", ".join(METHODS))
    return METHODS[name]
