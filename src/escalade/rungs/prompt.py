"""Rungs that train nothing: the base asked in words, with and without examples."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from escalade.data import render_output, rough_tokens
from escalade.errors import BadInput
from escalade.models.encoding import encode_prompt
from escalade.models.load import load_tokenizer
from escalade.models.manifest import Manifest
from escalade.records import Labelled, Record, Related, to_json
from escalade.rungs.job import Done, Job
from escalade.rungs.prompting import Prompter


def zero_shot(job: Job) -> Done:
    """Writes down the prompt; the base stays where it is."""
    _write(job, ())
    return Done(parameters=job.base.parameters, trainable=0)


def few_shot(job: Job) -> Done:
    """Chooses examples from train, balanced by label, short ones first among random ones, and writes them down."""
    count = int(job.rung.settings["demonstrations"] or 0)
    shown = demonstrations(job.train, count, job.seed)
    while shown and not _fits(job, shown):
        shown = shown[:-1]
    if not shown:
        raise BadInput("rungs.no_demonstration", place=job.base.name)
    _write(job, shown)
    return Done(parameters=job.base.parameters, trainable=0, findings={"demonstrations": len(shown)})


def _fits(job: Job, shown: Sequence[Record]) -> bool:
    """Whether the prompts of nearly all train records leave room for the answer; unknown for a remote model."""
    if job.base_folder is None or job.base.context is None:
        return True
    tokenizer = load_tokenizer(job.base_folder)
    prompter = Prompter(job.template, shown, tokenizer)
    sizes = [len(encode_prompt(tokenizer, job.base.family, prompter.prompt(r))) for r in job.train[:200]]
    return float(np.percentile(sizes, 95)) + longest_output(job.train) <= job.base.context


def demonstrations(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """``count`` records, labels in turn, none longer than the 75th percentile, in a random order fixed by ``seed``."""
    chance = random.Random(seed)
    lengths = np.asarray([len(str(to_json(r))) for r in records])
    limit = float(np.percentile(lengths, 75)) if len(records) else 0
    short = [r for r, size in zip(records, lengths, strict=True) if size <= limit]
    chance.shuffle(short)
    queues: dict[str, list[Record]] = {}
    for record in short:
        label = record.label if isinstance(record, Labelled | Related) else ""
        queues.setdefault(label, []).append(record)
    chosen: list[Record] = []
    while len(chosen) < count and any(queues.values()):
        chosen += [queues[label].pop() for label in sorted(queues) if queues[label]]
    chosen = chosen[:count]
    chance.shuffle(chosen)
    return chosen


def longest_output(records: Sequence[Record]) -> int:
    """Tokens allowed for an output: twice the longest of train, by a rule of thumb, between 8 and 512.

    Twice, as a tokenizer may cut finer than the rule of thumb; a model that was taught to end stops long before.
    """
    sizes = [rough_tokens(render_output(record)) for record in records[:5000]]
    return int(min(512, max(8, 2 * max(sizes, default=0))))


def _write(job: Job, shown: Sequence[Record]) -> None:
    if job.facts.kind == "embedding":
        Manifest(
            engine="embed", facts=job.facts, rung=job.rung.name, base=job.base, weights="base",
            context=job.base.context or 0,
        ).write(job.out)  # fmt: skip
        return
    lines = any("\n" in render_output(record) for record in job.train[:2000])
    Manifest(
        engine="text",
        facts=job.facts,
        rung=job.rung.name,
        base=job.base,
        weights="base",
        template=job.template.to_json(),
        demonstrations=tuple(to_json(record) for record in shown),
        max_tokens=longest_output(job.train),
        # A model that was never taught to end goes on; an output of one line ends with it.
        stop=() if lines else ("\n",),
        context=job.base.context or 0,
    ).write(job.out)
