"""Metrics beyond the usual ones decide a climb: named ones with options, and a user's own, whose file is identity."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from escalade import api, climb, project
from escalade.catalogue.metrics import use_own
from escalade.climb.compare import compare
from escalade.document import RunDocument
from escalade.errors import BadInput
from escalade.ledger import Run
from escalade.report import write_report
from escalade.stages.workspace import open_workspace

WORDS = "river stone cloud garden winter candle mirror engine harbour pepper violin lantern".split()
OWN = """import escalade

@escalade.metric
def first_word(prediction: str, reference: str, input: str) -> float:
    assert input
    return {value}float(prediction.split()[:1] == reference.split()[:1])
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    use_own(())


def climbed(root: Path, more: dict[str, Any], **task: Any) -> tuple[RunDocument, list[Run]]:
    """Climbs rows whose output is how the input begins, with baselines only; the document, and the runs used."""
    draw = random.Random(0)
    root.mkdir(exist_ok=True)
    rows = [" ".join(draw.choices(WORDS, k=6)) + f" {i}" for i in range(90)]
    lines = [f"{row},{' '.join(row.split()[:3])}\n" for row in rows]
    (root / "rows.csv").write_text("text,short\n" + "".join(lines), encoding="utf-8")
    space = open_workspace(root)
    said = {"tasks": [{"kind": "summarization", "data": "rows.csv", "columns": {"input": "text", "output": "short"}}]}
    said["tasks"][0] |= task
    wanted = project.parse(said | {"rungs": ["baseline"], "candidates": ["scratch"]} | more)
    document = climb.run(wanted, space)
    write_report(root, document, space.ledger, wanted)
    return document, list(space.ledger.used.values())


def evaluations(runs: list[Run]) -> set[str]:
    return {run.id for run in runs if run.stage == "evaluate"}


def statuses(document: RunDocument) -> set[str]:
    return {attempt.status for attempt in document.attempts if attempt.rung == "baseline"}


@pytest.mark.parametrize(
    "target",
    [{"metric": "rougeL:stem=yes", "at_least": 0},
     {"metric": "ter", "at_most": 60}, {"metric": "meteor", "at_least": 0}],
    ids=lambda target: target["metric"],
)  # fmt: skip
def test_a_named_metric_decides(tmp_path: Path, target: dict[str, Any]) -> None:
    document, runs = climbed(tmp_path, {}, target=target)
    task = document.tasks[0]
    assert task.test is not None and task.target.metric == target["metric"]
    assert {attempt.scores[task.name].metric for attempt in document.attempts if attempt.scores} == {target["metric"]}
    assert all(run.inputs["metrics"] == {target["metric"]: ""} for run in runs if run.stage == "evaluate")


@pytest.mark.slow
def test_a_usual_metric_leaves_identities_as_they_were(tmp_path: Path) -> None:
    _, usual = climbed(tmp_path, {}, metric="rougeL")
    assert all("metrics" not in run.inputs for run in usual if run.stage == "evaluate")
    document, named = climbed(tmp_path, {}, metric="rougeL:stem=yes")
    assert not evaluations(usual) & evaluations(named)
    assert {run.id for run in usual if run.stage == "adapt"} == {run.id for run in named if run.stage == "adapt"}
    again, _ = climbed(tmp_path, {}, metric="rougeL:stem=yes")
    assert document.executed > 0 and again.executed == 0


def test_a_metric_of_ones_own_decides_and_its_file_is_part_of_the_identity(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.format(value=""), encoding="utf-8")
    files = {"metrics": "own.py"}
    document, runs = climbed(tmp_path, files, target={"metric": "first_word", "at_least": 0.5})
    assert document.verdict == "met" and document.tasks[0].target.metric == "first_word"
    again, _ = climbed(tmp_path, files, target={"metric": "first_word", "at_least": 0.5})
    assert again.executed == 0
    (tmp_path / "own.py").write_text(OWN.format(value="0 * "), encoding="utf-8")
    changed, more = climbed(tmp_path, files, target={"metric": "first_word", "at_least": 0.5})
    assert changed.verdict == "not met" and changed.executed > 0
    # What was not tried because another had passed by the old file is tried by the new one.
    assert "not tried" in statuses(document) and statuses(changed) == {"done"}
    assert not evaluations(runs) & evaluations(more)
    with pytest.raises(BadInput, match="no metric named"):
        climbed(tmp_path, {}, target={"metric": "first_word", "at_least": 0.5})


def test_it_is_computed_beside_the_target_and_can_be_compared(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.format(value=""), encoding="utf-8")
    climbed(tmp_path, {"metrics": ["own.py"]}, metric="rouge1")
    (found,) = compare(open_workspace(tmp_path), ["baseline majority", "baseline lead"], ["first_word"])
    assert found.value_b == 1 and found.signature.startswith("own|own.py|digest:")


def test_a_file_that_fails_stops_the_check(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "escalade.yaml").write_text("metrics: [own.py]\ntasks: [{data: rows.csv}]\n", encoding="utf-8")
    with pytest.raises(BadInput, match="own.py, line 1: the file cannot be run: ZeroDivisionError"):
        api.check(tmp_path)
