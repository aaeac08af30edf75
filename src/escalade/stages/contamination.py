"""contamination: which test rows train may have shown already. Looked for once the test split is opened."""

from __future__ import annotations

import json

from escalade import data as rows
from escalade.ledger import Bench, Run
from escalade.stages.ingest import records_of
from escalade.stages.workspace import Workspace
from escalade.values import Contamination, Data

VERSION = 1


def contamination(space: Workspace, data: Data, parent: Run) -> tuple[Contamination, Run]:
    """Test rows that stand in train, whole or in part."""

    def work(bench: Bench) -> Contamination:
        found = rows.contaminated(records_of(space, data.train, data.facts), records_of(space, data.test, data.facts))
        return Contamination(
            same=len(found.same),
            same_input=len(found.same_input),
            near=len(found.near),
            runs=len(found.runs),
            ids=found.ids,
        )

    inputs = {"facts": data.facts, "train": data.train, "test": data.test}
    run = space.ledger.perform("contamination", VERSION, inputs, work, parents=[parent])
    return Contamination.model_validate_json(json.dumps(run.output)), run
