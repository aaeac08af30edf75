"""Training rungs: every weight, or low-rank adapters beside frozen ones; from scratch where the base is a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from escalade.catalogue.situation import SCRATCH_CONTEXT
from escalade.models.adapters import Task, add_lora, save_adapter, trainable
from escalade.models.load import load_model, load_tokenizer
from escalade.models.manifest import Manifest
from escalade.models.presets import create, preset
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.protocols import Objective
from escalade.records import Record, Tagged, input_text
from escalade.rungs.job import Done, Job
from escalade.rungs.loading import ADAPTER
from escalade.rungs.prompt import longest_output
from escalade.rungs.prompting import Prompter
from escalade.train import Fitted, Recipe, fit
from escalade.train.objectives.classify import Classify
from escalade.train.objectives.sft import Sft
from escalade.train.objectives.tag import Tag

_HEADS: dict[str, Task] = {"classify": "classify", "tag": "tag", "sft": "lm"}


@dataclass
class Start:
    """A network before training, with its tokenizer and longest input."""

    model: Any
    tokenizer: Any
    context: int


def full(job: Job) -> Done:
    """Trains every weight and saves the whole model."""
    start = begin(job)
    fitted = train(job, start)
    save_model(start.model, start.tokenizer, job.out)
    manifest(job, start, "own").write(job.out)
    count = sum(p.numel() for p in start.model.parameters())
    return Done(count, trainable(start.model), findings(fitted))


def lora(job: Job) -> Done:
    """Trains adapters (and a new head, where there is one) and saves them alone."""
    start = begin(job)
    head = _HEADS[str(job.rung.objective)]
    count = sum(p.numel() for p in start.model.parameters())
    start.model = add_lora(
        start.model,
        rank=int(job.rung.settings["rank"] or 8),
        alpha=float(job.rung.settings["alpha"] or 16),
        task=head,
        seed=job.seed,
    )
    fitted = train(job, start)
    save_adapter(start.model, job.out / ADAPTER)
    manifest(job, start, "adapter").write(job.out)
    rank = start.model.peft_config["default"].r
    return Done(count, trainable(start.model), findings(fitted) | {"rank": rank})


def begin(job: Job) -> Start:
    """The network to train: the base with the objective's head, or a new one with a tokenizer of its own."""
    head = _HEADS[str(job.rung.objective)]
    if job.base_folder is not None:
        tokenizer = load_tokenizer(job.base_folder)
        model = load_model(job.base_folder, head, job.facts.labels, job.seed)
        return Start(model, tokenizer, _context(job, job.base.context or SCRATCH_CONTEXT))
    texts = [text for record in job.train for text in _texts(job, record)]
    tokenizer = train_tokenizer(texts, job.base.family, vocabulary_for(texts))
    size = job.base.name.split(":")[2]
    config = preset(job.base.family, size, len(tokenizer), SCRATCH_CONTEXT)
    model = create(config, job.seed, head, job.facts.labels if head != "lm" else ())
    return Start(model, tokenizer, _context(job, SCRATCH_CONTEXT))


def _context(job: Job, most: int) -> int:
    """The longest input: the model's own limit, or the project's where that is shorter."""
    return min(most, int(job.rung.settings.get("context") or most))


def vocabulary_for(texts: Sequence[str]) -> int:
    """One token per 60 characters of text, from 500 to 8,000: rarer ones would hardly be seen in training."""
    return int(min(8000, max(500, sum(map(len, texts)) // 60)))


def train(job: Job, start: Start) -> Fitted:
    """Runs the engine with the rung's settings."""
    objective, rows, validation = _lesson(job, start)
    settings = job.rung.settings
    recipe = Recipe(
        epochs=float(settings["epochs"] or 1),
        batch_rows=int(settings["batch_rows"] or 16),
        learning_rate=float(settings["learning_rate"] or 1e-4),
        warmup=float(settings["warmup"] or 0),
        seed=job.seed,
    )
    return fit(
        objective,
        {"policy": start.model},
        rows,
        validation,
        recipe,
        work=job.work / "training",
        on_event=job.on_event,
        should_stop=job.should_stop,
    )


def _lesson(job: Job, start: Start) -> tuple[Objective, Sequence[Record], Sequence[Record]]:
    """The objective, and the records it reads: for text, prompts and answers as they will be served."""
    tokenizer, labels, context = start.tokenizer, job.facts.labels, start.context
    if job.rung.objective == "classify":
        return Classify(tokenizer, labels, context), job.train, job.validation
    if job.rung.objective == "tag":
        return Tag(tokenizer, labels, context), job.train, job.validation
    prompter = Prompter(job.template, (), tokenizer)
    pairs = [prompter.pair(record) for record in job.train]
    held = [prompter.pair(record) for record in job.validation]
    return Sft(tokenizer, job.base.family, context), pairs, held


def manifest(job: Job, start: Start, weights: str) -> Manifest:
    """How the trained model predicts."""
    text = job.rung.objective in ("sft", "preference")
    return Manifest(
        engine="text" if text else "head",
        facts=job.facts,
        rung=job.rung.name,
        base=job.base,
        weights=weights,  # type: ignore[arg-type]
        head="lm" if text else _HEADS[str(job.rung.objective)],
        template=job.template.to_json() if text else None,
        max_tokens=longest_output(job.train) if text else 0,
        context=start.context,
    )


def findings(fitted: Fitted) -> dict[str, bool | int | float | str | None]:
    """What training found out, for the attempt's record."""
    first = fitted.validation[0][1] if fitted.validation else None
    best = min((loss for _, loss in fitted.validation), default=None)
    return {
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "validation_loss_first": first,
        "validation_loss_best": best,
        "rows_cut": len(fitted.cut_rows),
        "rows_empty": len(fitted.empty_rows),
    }


def _texts(job: Job, record: Record) -> list[str]:
    """What a new tokenizer is trained on."""
    if isinstance(record, Tagged):
        return [" ".join(record.tokens)]
    if job.rung.objective == "classify":
        return [input_text(record)]
    pair = Prompter(job.template).pair(record)
    return [pair.input, pair.output]
