"""profile: the shape of the train rows; what forecasts and prompts are sized by."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from escalade.data import rough_tokens
from escalade.ledger import Bench, Run
from escalade.records import Record, Tagged, input_text, output_text
from escalade.stages.ingest import records_of
from escalade.stages.workspace import Workspace
from escalade.values import Data, Lengths, Profile

VERSION = 1


def profile(space: Workspace, data: Data, parent: Run) -> tuple[Profile, Run]:
    """Lengths and label counts of the train rows."""

    def work(bench: Bench) -> Profile:
        records = records_of(space, data.train, data.facts)
        return Profile(
            input=lengths([rough_tokens(input_text(r)) for r in records]),
            output=lengths([rough_tokens(output_text(r)) for r in records]),
            labels=_labels(records) if data.facts.labels else {},
        )

    inputs = {"facts": data.facts, "train": data.train}
    run = space.ledger.perform("profile", VERSION, inputs, work, parents=[parent])
    return Profile.model_validate_json(json.dumps(run.output)), run


def lengths(counts: Sequence[float]) -> Lengths:
    """Mean, median, 95th percentile and longest."""
    found = np.asarray(counts, dtype=float)
    middle, high = np.percentile(found, [50, 95])
    return Lengths(mean=float(found.mean()), median=float(middle), p95=float(high), longest=float(found.max()))


def _labels(records: Sequence[Record]) -> dict[str, int]:
    said = (tag for r in records for tag in (r.tags if isinstance(r, Tagged) else (output_text(r),)))
    return dict(sorted(Counter(said).items()))
