"""evaluate: a model and a split in, predictions and every metric of the kind out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escalade import evaluate as measures
from escalade.ledger import Bench, Run, files
from escalade.protocols import Prediction, Predictor
from escalade.records import Record, groups_of
from escalade.stages.helpers import Further, helpers_of, replies_in, tell_unclear
from escalade.stages.ingest import records_of
from escalade.stages.loading import load
from escalade.stages.workspace import Workspace
from escalade.values import Evaluation, Facts, Model, Split

VERSION = 1
Matrix = NDArray[np.float64]
CHUNK = 256
"""Records answered between two saves. Fixed, so that batches, and with them the last digits of a probability, are the
same whether or not the work was interrupted."""


def evaluate(
    space: Workspace,
    model: Model,
    split: Split,
    facts: Facts,
    seed: int,
    parents: list[Run],
    further: Sequence[Further] = (),
) -> tuple[Evaluation, Run]:
    """Grades a model on a split; on test, a run recorded under other package versions is made anew.

    Args:
        space: Where it is done.
        model: What is graded.
        split: The rows.
        facts: Of the task.
        seed: Of the resamples.
        parents: The runs that model and rows came from.
        further: Metrics beside the usual ones of the kind.
    """

    def work(bench: Bench) -> Evaluation:
        records = records_of(space, split, facts)
        predictor = load_predictor(space, model)
        predictions = list(answers(space, predictor, records, bench.folder, f"{model.rung} {model.base}, {split.name}"))
        helpers = helpers_of(space, further, bench.folder)
        scores, statistics, empty = measures.evaluate_all(
            predictions, records, facts, split.name, seed=seed, further=helpers
        )
        folder = bench.new("evaluation")
        save_predictions(folder / "predictions.jsonl", records, predictions)
        measures.save_statistics(statistics, folder / "statistics.safetensors")
        for kept in replies_in(bench.folder):
            files.write(folder / kept.name, kept.read_bytes())
        tell_unclear(space, helpers)
        return Evaluation(
            model=model.artifact, split=split.name, predictions=bench.keep(folder), scores=scores, empty=empty
        )

    inputs: dict[str, Any] = {"model": model.artifact, "facts": facts, "split": split, "seed": seed}
    if further:
        inputs["metrics"] = {one.card.name: one.identity for one in further}
    fresh = split.name == "test"
    run = space.ledger.perform("evaluate", VERSION, inputs, work, parents=parents, fresh=fresh)
    return Evaluation.model_validate_json(json.dumps(run.output)), run


def statistics_of(space: Workspace, evaluation: Evaluation) -> Mapping[str, Matrix]:
    """Per metric the sufficient statistics of every item, (items, k)."""
    return measures.load_statistics(space.ledger.path(evaluation.predictions) / "statistics.safetensors")


def clusters_of(space: Workspace, split: Split, facts: Facts) -> list[str]:
    """Per item of a split: the unit it is resampled with."""
    return list(groups_of(records_of(space, split, facts)))


def predictions_of(space: Workspace, evaluation: Evaluation) -> list[Prediction]:
    """The predictions an evaluation was computed from, in the split's order."""
    path = space.ledger.path(evaluation.predictions) / "predictions.jsonl"
    return [prediction for _, prediction in read_predictions(path)]


def evaluated_ids(space: Workspace, evaluation: Evaluation) -> list[str]:
    """Ids of the records that were answered, in the order of the statistics' rows."""
    path = space.ledger.path(evaluation.predictions) / "predictions.jsonl"
    return [id for id, _ in read_predictions(path)]


def load_predictor(space: Workspace, model: Model) -> Predictor:
    """The predictor that a model's folder describes."""
    return load(space.ledger.path(model.artifact), space.folder_of)


def answers(
    space: Workspace, predictor: Predictor, records: Sequence[Record], work: Path, name: str
) -> Iterator[Prediction]:
    """Predictions in order, saved chunk by chunk, so that an interrupted evaluation goes on where it stopped."""
    for start in range(0, len(records), CHUNK):
        path = work / f"predictions-{start}.jsonl"
        if not path.exists():
            space.check()
            some = records[start : start + CHUNK]
            save_predictions(path, some, list(predictor.predict(some)))
        yield from (prediction for _, prediction in read_predictions(path))
        space.reporter.progress(name, min(start + CHUNK, len(records)), len(records))


def save_predictions(path: Path, records: Sequence[Record], predictions: Sequence[Prediction]) -> None:
    """One JSON line per record, all or none: its id and the prediction's fields that are there."""
    lines = []
    for record, prediction in zip(records, predictions, strict=True):
        said = {k: v for k, v in dataclasses.asdict(prediction).items() if v is not None}
        lines.append(json.dumps({"id": record.id} | said, ensure_ascii=False, sort_keys=True) + "\n")
    files.write(path, "".join(lines).encode())


def read_predictions(path: Path) -> Iterator[tuple[str, Prediction]]:
    """What ``save_predictions`` wrote: id and prediction."""
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            said = json.loads(line)
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items() if k != "id"}
            yield said["id"], Prediction(**fields)
