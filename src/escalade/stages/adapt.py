"""adapt: a base, records and a rung in, a model out. The rung's code is found through its card and loaded late."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade import data
from escalade.catalogue.rungs import RUNGS
from escalade.ledger import Bench, Run
from escalade.project import Task
from escalade.stages.ingest import preferences_of, records_of
from escalade.stages.telling import say
from escalade.stages.workspace import Workspace
from escalade.values import Base, Data, Facts, Model, Rung, digest_of

VERSION = 1


@dataclass(frozen=True)
class Assignment:
    """What one adapt run is to do: identity and nothing else."""

    base: Base
    rung: Rung
    seed: int
    template: data.Template
    start: Model | None = None
    """A model of the same base to start from, for rungs that align."""


def template_of(facts: Facts, base: Base, task: Task) -> data.Template:
    """The prompt's template: a model made from scratch understands no instruction, so it gets none to read."""
    if task.prompt == "plain" and facts.kind != "chat":
        return data.Template(name="plain", language="en", instruction="", layout="{{ input }}")
    if task.prompt is None and base.source == "scratch" and task.instruction is None:
        return data.template_for(facts, "", list_labels=False)
    return data.template_for(facts, task.instruction)


def inputs_of(facts_of: Data, assignment: Assignment) -> dict[str, object]:
    """What identifies an adapt run: facts, train, validation, base, rung, seed and the prompt's text."""
    align = assignment.rung.objective == "preference"
    return {
        "facts": facts_of.facts,
        "train": facts_of.train,
        "validation": facts_of.validation,
        "preferences": facts_of.preferences if align else None,
        "base": assignment.base,
        "rung": assignment.rung,
        "seed": assignment.seed,
        "template": digest_of(assignment.template.to_json()),
        "start": assignment.start.artifact if assignment.start else None,
    }


def made(space: Workspace, facts_of: Data, assignment: Assignment) -> bool:
    """Whether the ledger holds this very model already."""
    return space.ledger.holds("adapt", VERSION, inputs_of(facts_of, assignment))


def adapt(space: Workspace, facts_of: Data, assignment: Assignment, parents: list[Run]) -> tuple[Model, Run]:
    """Makes the model, or looks it up."""
    base, rung = assignment.base, assignment.rung

    def work(bench: Bench) -> Model:
        from escalade.rungs.job import Job

        out = bench.new("model")
        chosen, held = preferences_of(space, facts_of.preferences) if facts_of.preferences else ([], [])
        job = Job(
            base=base,
            base_folder=space.folder_of(base),
            start_folder=_start_folder(space, assignment),
            facts=facts_of.facts,
            train=records_of(space, facts_of.train, facts_of.facts),
            validation=records_of(space, facts_of.validation, facts_of.facts),
            preferences=chosen,
            preference_validation=held,
            rung=rung,
            seed=assignment.seed,
            template=assignment.template,
            work=bench.folder,
            out=out,
            on_event=listener(space, bench, f"{rung.name} {base.name}"),
            should_stop=space.should_stop,
        )
        module, name = RUNGS[rung.name].path.split(":")
        done = getattr(importlib.import_module(module), name)(job)
        return Model(
            artifact=bench.keep(out),
            rung=rung.name,
            family=base.family,
            kind=facts_of.facts.kind,
            base=base.name,
            parameters=done.parameters,
            trainable=done.trainable,
            findings=done.findings,
        )

    run = space.ledger.perform("adapt", VERSION, inputs_of(facts_of, assignment), work, parents=parents)
    return Model.model_validate_json(json.dumps(run.output)), run


def _start_folder(space: Workspace, assignment: Assignment) -> Path | None:
    return space.ledger.path(assignment.start.artifact) if assignment.start else None


def listener(space: Workspace, bench: Bench, name: str) -> Callable[[dict[str, Any]], None]:
    """Turns the engine's events into progress and sentences, and writes all but nine of ten steps into the diary."""

    def on_event(event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "step":
            step, steps = event["step"], event["steps"]
            space.reporter.progress(name, step, steps, f"loss {event['loss']:.3f}")
            if step % 10:
                return
        else:
            say(space.reporter, event)
        bench.event(str(event.get("event")), **{k: v for k, v in event.items() if k != "event"})

    return on_event
