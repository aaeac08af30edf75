"""forecast: what an attempt will take, recorded before it starts. No later stage takes it as input."""

from __future__ import annotations

import json

from escalade.catalogue.rungs import RUNGS
from escalade.catalogue.situation import Situation
from escalade.ledger import Bench, Run
from escalade.stages.workspace import Workspace
from escalade.values import Cost, Rung

VERSION = 1


def forecast(space: Workspace, situation: Situation, rung: Rung, parent: Run) -> tuple[Cost, Run]:
    """Seconds and peak bytes by the rung's card."""

    def work(bench: Bench) -> Cost:
        return RUNGS[rung.name].estimate(situation, dict(rung.settings))

    inputs = {"situation": situation, "rung": rung}
    run = space.ledger.perform("forecast", VERSION, inputs, work, parents=[parent])
    return Cost.model_validate_json(json.dumps(run.output)), run
