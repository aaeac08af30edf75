"""deploy: a model in, a release out that is proved to answer as the evaluated model did."""

from __future__ import annotations

import json
from pathlib import Path

from escalade import messages
from escalade.deploy.export import Merge, export
from escalade.errors import EscaladeError, Interrupted, NotProven
from escalade.ledger import Bench, Run
from escalade.protocols import Prediction
from escalade.records import Record
from escalade.stages.evaluate import predictions_of
from escalade.stages.ingest import records_of
from escalade.stages.loading import load
from escalade.stages.workspace import Workspace
from escalade.values import Base, Data, Evaluation, Gate, Model, Release

VERSION = 1


def deploy(
    space: Workspace, model: Model, base: Base, validation: Evaluation, data: Data, parents: list[Run]
) -> tuple[Release, Run]:
    """Exports a model and holds the export to the gate.

    Raises:
        NotProven: The gate refused; nothing is released.
    """

    def work(bench: Bench) -> Release:
        from escalade.deploy.card import card

        out = bench.new("release")
        export(space.ledger.path(model.artifact), space.folder_of(base), out, _merger)
        text = card(model, base, data.facts, validation, data.identity)
        (out / "README.md").write_text(text, encoding="utf-8")
        records = records_of(space, data.validation, data.facts)
        gate = hold(space, out, records, predictions_of(space, validation))
        if not gate.passed:
            raise NotProven("stages.refused", place=f"{model.rung} {model.base}", reason=gate.reason)
        artifact = bench.keep(out)
        return Release(artifact=artifact, model=model.model_copy(update={"artifact": artifact}), gate=gate)

    inputs = {"model": model, "base": base, "validation": validation, "facts": data.facts}
    run = space.ledger.perform("deploy", VERSION, inputs, work, parents=parents)
    return Release.model_validate_json(json.dumps(run.output)), run


def _merger() -> Merge:
    from escalade.deploy.merge import write_merged

    return write_merged


def hold(space: Workspace, folder: Path, records: list[Record], evaluated: list[Prediction], seed: int = 0) -> Gate:
    """Answers the gate's prompts with the model in ``folder`` and compares them with the evaluated answers."""
    from escalade.deploy.gate import choose, compare

    places = choose(records, seed)
    try:
        found = list(load(folder, space.folder_of).predict([records[i] for i in places]))
    except Interrupted:
        raise
    except (EscaladeError, RuntimeError, ValueError, KeyError, OSError) as error:
        # Whatever keeps it from answering, a model that cannot answer is not the one that was evaluated.
        reason = messages.text("stages.gate_error", problem=f"{type(error).__name__}: {error}")
        return Gate(passed=False, prompts=len(places), differing=len(places), reason=reason)
    return compare([evaluated[i] for i in places], found)
