"""Which runs of the ledger a task's numbers come from, and what their artifacts hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.document import AttemptDocument, RunDocument, TaskDocument
from escalade.ledger import Ledger, Run


@dataclass(frozen=True)
class Lineage:
    """The runs behind one task; None where the ledger has none."""

    ingest: Run | None
    profile: Run | None
    test: Run | None
    """The evaluation of the kept attempt on test."""
    deploy: Run | None
    served: Run | None
    """The evaluation of the release on test."""


def used_runs(ledger: Ledger) -> Mapping[str, Run]:
    """Every run this process used; all there are where it used none."""
    return ledger.used or {run.id: run for run in ledger.runs()}


def attempts_of(task: TaskDocument, document: RunDocument) -> list[AttemptDocument]:
    """The attempts of one task, in the order they were taken up."""
    return [attempt for attempt in document.attempts if task.name in attempt.tasks]


def kept_attempt(task: TaskDocument, document: RunDocument) -> AttemptDocument | None:
    """The attempt kept; None where nothing was."""
    return next((attempt for attempt in attempts_of(task, document) if attempt.id == task.kept), None)


def lineage(task: TaskDocument, document: RunDocument, ledger: Ledger) -> Lineage:
    """Finds a task's runs: through the parents of its attempts, and by its rows where nothing was tried."""
    runs = used_runs(ledger)
    ingest = _ingest(task, attempts_of(task, document), runs, ledger)
    profile = None
    if ingest:
        profile = next((run for run in runs.values() if run.stage == "profile" and ingest.id in run.parents), None)
    kept = kept_attempt(task, document)
    made = [_run(id, runs, ledger) for id in kept.runs] if kept else []
    model = next((run.output.get("artifact") for run in made if run and run.stage == "adapt"), None)
    deploy = _deploy(model, runs)
    return Lineage(
        ingest=ingest,
        profile=profile,
        test=_test(model, runs),
        deploy=deploy,
        served=_test(deploy.output.get("artifact"), runs) if deploy else None,
    )


def _ingest(
    task: TaskDocument, attempts: Sequence[AttemptDocument], runs: Mapping[str, Run], ledger: Ledger
) -> Run | None:
    made = (_run(id, runs, ledger) for attempt in attempts for id in attempt.runs)
    parents = (_run(id, runs, ledger) for run in made if run for id in run.parents)
    found = next((run for run in parents if run and run.stage == "ingest"), None)
    return found or next((run for run in runs.values() if run.stage == "ingest" and _fits(run, task)), None)


def _fits(ingest: Run, task: TaskDocument) -> bool:
    """True where an ingest run gave data of the task's kind, split into as many rows."""
    output = ingest.output
    rows = {name: (output.get(name) or {}).get("rows") for name in task.rows}
    return (output.get("facts") or {}).get("kind") == task.kind and rows == task.rows


def _test(model: str | None, runs: Mapping[str, Run]) -> Run | None:
    """The evaluation of a model's artifact on test."""
    for run in runs.values():
        if run.stage == "evaluate" and model == run.inputs.get("model") and run.inputs["split"]["name"] == "test":
            return run
    return None


def _deploy(model: str | None, runs: Mapping[str, Run]) -> Run | None:
    """The run that made a release of a model's artifact."""
    for run in runs.values():
        if run.stage == "deploy" and model == (run.inputs.get("model") or {}).get("artifact"):
            return run
    return None


def _run(id: str, runs: Mapping[str, Run], ledger: Ledger) -> Run | None:
    return runs.get(id) or ledger.find(id)


def read_lines(path: Path, most: int | None = None) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line; nothing where the file is not here."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file):
            if number == most:
                return
            yield json.loads(line)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file; empty where the file is not here."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}
