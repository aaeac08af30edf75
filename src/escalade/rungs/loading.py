"""From a model's folder to its predictor, for every model with a neural network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from escalade.data import Template
from escalade.errors import BadInput
from escalade.generate.local import TorchSampler
from escalade.generate.remote import RemoteSampler
from escalade.models import manifest as manifests
from escalade.models.adapters import load_adapter
from escalade.models.load import load_model, load_tokenizer
from escalade.protocols import Predictor, Sampler, Sampling
from escalade.records import RECORD_OF, from_json
from escalade.rungs.heads import EmbedPredictor, HeadPredictor
from escalade.rungs.probe import ProbePredictor
from escalade.rungs.prompting import Prompter
from escalade.rungs.text import TextPredictor
from escalade.values import Base

ADAPTER = "adapter"
FolderOf = Callable[[Base], Path | None]


def load(folder: Path, manifest: manifests.Manifest, folder_of: FolderOf) -> Predictor:
    """The predictor of a model with a neural network.

    Args:
        folder: Holds what the rung made.
        manifest: How it predicts.
        folder_of: Where the weights of a base lie on this machine.
    """
    weights = folder if manifest.weights == "own" else folder_of(manifest.base)
    if manifest.engine == "text":
        return _text(folder, weights, manifest)
    if weights is None:
        raise BadInput("rungs.base_missing", place=folder, base=manifest.base.name)
    if manifest.engine == "probe":
        return ProbePredictor.load(folder, weights, manifest)
    tokenizer = load_tokenizer(weights)
    model = network(folder, weights, manifest)
    if manifest.engine == "embed":
        return EmbedPredictor(model, tokenizer, manifest.context or 512)
    return HeadPredictor(model, tokenizer, manifest.facts, manifest.context or 512)


def network(folder: Path, weights: Path, manifest: manifests.Manifest) -> Any:
    """The neural network of a model, its adapter on top where it has one."""
    head = manifest.head or "lm"
    if manifest.weights == "adapter":
        return load_adapter(load_model(weights, head, manifest.facts.labels), folder / ADAPTER).eval()
    # What stands alone tells its own labels, as it will tell them to whoever opens it: the gate must see them.
    return load_model(weights, head, () if manifest.weights == "own" else manifest.facts.labels)


def sampler_of(folder: Path, weights: Path | None, manifest: manifests.Manifest) -> tuple[Sampler, Any]:
    """The sampler of a text model, and its tokenizer (None for a remote one)."""
    base = manifest.base
    if weights is None:
        if base.api is None:
            raise BadInput("rungs.base_missing", place=folder, base=base.name)
        return RemoteSampler(base.api, base.name, os.environ.get(base.key_env) if base.key_env else None), None
    tokenizer = load_tokenizer(weights)
    model = network(folder, weights, manifest)
    reserve = manifest.max_tokens
    return TorchSampler(model, tokenizer, base.family, base.name, manifest.context or 512, reserve=reserve), tokenizer


def prompter_of(manifest: manifests.Manifest, tokenizer: Any) -> Prompter:
    """How the model's prompts are rendered."""
    record = RECORD_OF[manifest.facts.kind]
    shown = [from_json(record, row) for row in manifest.demonstrations]
    return Prompter(Template.from_json(manifest.template or {}), shown, tokenizer)


def _text(folder: Path, weights: Path | None, manifest: manifests.Manifest) -> TextPredictor:
    sampler, tokenizer = sampler_of(folder, weights, manifest)
    sampling = Sampling(max_tokens=manifest.max_tokens, stop=manifest.stop)
    return TextPredictor(
        sampler, prompter_of(manifest, tokenizer), manifest.facts, sampling, by_likelihood=weights is not None
    )
