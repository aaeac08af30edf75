"""Aligning: the chosen answer made likelier than the rejected one, close to where the model began (DPO)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from escalade.generate.local import TorchSampler
from escalade.models import manifest as manifests
from escalade.models.adapters import trainable
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model
from escalade.records import Pair, Preference
from escalade.rungs.job import Done, Job
from escalade.rungs.prompting import Prompter
from escalade.rungs.tuning import Start, findings, manifest
from escalade.train import Recipe, fit
from escalade.train.objectives.preference import Dpo


def dpo(job: Job) -> Done:
    """Trains every weight of the start (an adapted model, else the base) against a frozen copy of itself."""
    folder = _start(job)
    tokenizer = load_tokenizer(folder)
    start = Start(load_model(folder, "lm"), tokenizer, job.base.context or 512)
    reference = load_model(folder, "lm").requires_grad_(False)
    prompter = Prompter(job.template, (), tokenizer)
    pairs = _rendered(job.preferences, prompter)
    # Too few pairs to hold any out: then nothing is measured on what was learnt from.
    held = _rendered(job.preference_validation, prompter)
    settings = job.rung.settings
    recipe = Recipe(
        epochs=float(settings["epochs"] or 1),
        batch_rows=int(settings["batch_rows"] or 8),
        learning_rate=float(settings["learning_rate"] or 1e-6),
        seed=job.seed,
    )
    beta = float(settings["beta"] or 0.1)
    before = margins(reference, start, job, held) if held else None
    fitted = fit(
        Dpo(tokenizer, start.context, beta),
        {"policy": start.model, "reference": reference},
        pairs,
        held,
        recipe,
        work=job.work / "training",
        on_event=job.on_event,
        should_stop=job.should_stop,
    )
    after = margins(start.model, start, job, held) if held else None
    save_model(start.model, tokenizer, job.out)
    manifest(job, start, "own").write(job.out)
    found = findings(fitted) | {
        "pairs_held_out": len(held),
        "margin_before": None if before is None else float(before.mean()),
        "margin_after": None if after is None else float(after.mean()),
        "preferred_before": None if before is None else float((before > 0).mean()),
        "preferred_after": None if after is None else float((after > 0).mean()),
    }
    return Done(sum(p.numel() for p in start.model.parameters()), trainable(start.model), found)


def margins(model: Any, start: Start, job: Job, pairs: Sequence[Preference]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(pairs,): log-probability of the chosen answer minus that of the rejected one, in nats."""
    sampler = TorchSampler(model, start.tokenizer, job.base.family, job.base.name, start.context)
    fitting = [p for p in pairs if _fits(sampler, p, start.context)]
    prompts = [p.prompt for p in fitting]
    chosen = sampler.score(prompts, [p.chosen for p in fitting])
    rejected = sampler.score(prompts, [p.rejected for p in fitting])
    return np.asarray([sum(c) - sum(r) for c, r in zip(chosen, rejected, strict=True)])


def _fits(sampler: TorchSampler, pair: Preference, context: int) -> bool:
    longest = max(sampler.count(pair.chosen), sampler.count(pair.rejected))
    return sampler.count(pair.prompt) + longest + 4 <= context


def _rendered(pairs: Sequence[Preference], prompter: Prompter) -> list[Preference]:
    """Preferences whose prompt is the text that will be served."""
    return [Preference(p.id, prompter.prompt(Pair(p.id, p.prompt, "")), p.chosen, p.rejected, p.group) for p in pairs]


def _start(job: Job) -> Path:
    """The folder of the weights to start from."""
    if job.start_folder is not None and manifests.read(job.start_folder).weights == "own":
        return job.start_folder
    if job.base_folder is None:
        raise ValueError(job.base.name)
    return job.base_folder
