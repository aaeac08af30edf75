"""Attempts found again in the ledger: by name, by id, or as a release's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from escalade.errors import BadInput
from escalade.ledger import Ledger, Run, files
from escalade.values import Base, Evaluation, Facts, Model, Split


@dataclass(frozen=True)
class Attempt:
    """An adapt run and what was evaluated of it."""

    run: Run
    model: Model
    base: Base
    facts: Facts
    evaluations: dict[str, Run]
    """Evaluate runs by split; the latest of each."""

    @property
    def name(self) -> str:
        """Rung and base."""
        return f"{self.model.rung} {self.model.base}"

    @property
    def data(self) -> str:
        """Identity of the train rows: attempts with the same one can be compared."""
        return str(self.run.inputs["train"]["digest"])

    def evaluation(self, split: str) -> Evaluation | None:
        """What was evaluated on a split; None where nothing was."""
        found = self.evaluations.get(split)
        return Evaluation.model_validate_json(json.dumps(found.output)) if found else None

    def split(self, split: str) -> Split | None:
        """The split that was evaluated."""
        found = self.evaluations.get(split)
        return Split.model_validate_json(json.dumps(found.inputs["split"])) if found else None


def attempts(ledger: Ledger) -> list[Attempt]:
    """Every attempt in the ledger, oldest first."""
    runs = ledger.runs()
    found = []
    for run in runs:
        if run.stage != "adapt":
            continue
        model = Model.model_validate_json(json.dumps(run.output))
        graded = [r for r in runs if r.stage == "evaluate" and r.inputs["model"] == model.artifact]
        found.append(
            Attempt(
                run=run,
                model=model,
                base=Base.model_validate_json(json.dumps(run.inputs["base"])),
                facts=Facts.model_validate_json(json.dumps(run.inputs["facts"])),
                evaluations={r.inputs["split"]["name"]: r for r in graded},
            )
        )
    return found


def find(ledger: Ledger, name: str, data: str | None = None) -> Attempt:
    """The attempt called ``name`` (the latest of that name), whose id begins with it, or whose release lies there.

    Args:
        ledger: Of the project.
        name: Of the attempt.
        data: Digest of the train rows; attempts on others are not looked at. None: all are.

    Raises:
        BadInput: There is none.
    """
    known = [attempt for attempt in attempts(ledger) if data in (None, attempt.data)]
    if is_release(Path(name)) and (shipped := _released(ledger, known, Path(name))):
        return shipped
    for attempt in reversed(known):
        bare = attempt.run.id.removeprefix("b2:")
        if attempt.name == name or (len(name) >= 6 and bare.startswith(name.removeprefix("b2:"))):
            return attempt
    example = known[-1].name if known else "full scratch:encoder:tiny"
    raise BadInput("cli.attempt_unknown", place=name, name=name, example=example)


def _released(ledger: Ledger, known: list[Attempt], folder: Path) -> Attempt | None:
    """The attempt that a release's folder was made from, with the release's own weights as its model."""
    digest = files.tree_digest(folder)
    for run in ledger.runs():
        if run.stage == "deploy" and run.output["artifact"] == digest:
            made_from = run.inputs["model"]["artifact"]
            model = Model.model_validate_json(json.dumps(run.output["model"]))
            graded = {
                r.inputs["split"]["name"]: r
                for r in ledger.runs()
                if r.stage == "evaluate" and r.inputs["model"] == digest
            }
            return next(
                (replace(a, model=model, evaluations=graded) for a in known if a.model.artifact == made_from), None
            )
    return None


def is_release(path: Path) -> bool:
    """True for a folder that predicts."""
    return (path / "escalade.json").exists()
