"""Documents and ledgers as a run leaves them, small, with texts that would break a careless page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from escalade import records
from escalade.document import (
    AttemptDocument,
    BaseDocument,
    GateDocument,
    MeasuredDocument,
    RunDocument,
    ScoreDocument,
    Status,
    TargetDocument,
    TaskDocument,
    Versus,
)
from escalade.evaluate import evaluate_all, save_statistics
from escalade.ledger import Bench, Ledger, Run
from escalade.project import Project, parse
from escalade.protocols import Prediction
from escalade.records import Record
from escalade.values import (
    Base,
    Cost,
    Data,
    Evaluation,
    Facts,
    Family,
    Gate,
    Lengths,
    Model,
    Profile,
    Refused,
    Release,
    Split,
)

EVIL = "<script>alert(1)</script> & \"quoted\" 'single' <img src=http://evil.example/x.png>"
CHINESE = "外卖很好吃，<b>送餐</b>也快"


def score(value: float, split: str = "validation", **more: object) -> ScoreDocument:
    said = {
        "metric": "accuracy", "split": split, "value": value, "lower": value - 0.031, "upper": value + 0.029,
        "decision_bound": None, "confidence": 0.95, "n": 450, "clusters": 321, "unit": "row", "looks": None,
        "signature": "accuracy",
    }  # fmt: skip
    return ScoreDocument.model_validate({**said, **more})


def attempt(
    id: str,
    rung: str,
    base: str,
    value: float | None,
    seconds: float = 1.0,
    family: Family = "none",
    status: Status = "done",
    reason: str | None = None,
    versus: Versus | None = None,
    runs: tuple[str, ...] = (),
    findings: dict[str, bool | int | float | str | None] | None = None,
    task: str = "mood",
) -> AttemptDocument:
    source = "none" if family == "none" else "folder"
    return AttemptDocument(
        id=id,
        name=f"{rung} {base}",
        tasks=(task,),
        rung=rung,
        family=family,
        base=BaseDocument(
            name=base, source=source, revision=None, digest=None, parameters=None if family == "none" else 4_385_920
        ),
        status=status,
        reason=reason,
        scores={} if value is None else {task: score(value)},
        versus=versus,
        predicted=Cost(seconds=seconds * 1.7, peak_bytes=3.21e8),
        measured=None if value is None else MeasuredDocument(seconds=seconds, peak_bytes=4.56e8),
        findings=findings or {},
        runs=runs,
    )


def versus(attempt: str, name: str, difference: float) -> Versus:
    return Versus(
        attempt=attempt, name=name, difference=difference, lower=difference - 0.0123, upper=difference + 0.0234,
        p=0.00321, wins=71, ties=355, losses=24, better=difference > 0,
    )  # fmt: skip


def task(attempts: Sequence[AttemptDocument], kept: str | None = None, **more: object) -> TaskDocument:
    said: dict[str, object] = {
        "name": "mood",
        "kind": "classification",
        "verdict": "met" if kept else "no-go",
        "target": TargetDocument(metric="accuracy", at_least=0.8125, at_most=None, confidence=0.95, origin=None),
        "kept": kept,
        "test": score(0.8712, "test", decision_bound=0.8391, confidence=0.975, n=900, clusters=777, looks=2)
        if kept
        else None,
        "served": score(0.8712, "test", n=900, clusters=777) if kept else None,
        "gate": GateDocument(passed=True, prompts=100, differing=0, largest_gap=1.5e-07, reason="") if kept else None,
        "release": "releases/mood" if kept else None,
        "reason": "because of this",
        "rows": {"train": 1650, "validation": 450, "test": 900},
        "refused": (),
    }
    return TaskDocument(**{**said, **more})  # type: ignore[arg-type]


def document(*tasks: TaskDocument, attempts: Sequence[AttemptDocument] = ()) -> RunDocument:
    return RunDocument(
        verdict=tasks[0].verdict, executed=14, project="/nowhere", report=None, seconds=65.4321,
        tasks=tuple(tasks), attempts=tuple(attempts),
    )  # fmt: skip


def project(name: str = "mood") -> Project:
    return parse({"name": name, "seed": 7, "tasks": [{"name": "mood", "data": "rows.csv"}], "budget": {"time": "5m"}})


def ladder() -> list[AttemptDocument]:
    """Every family, forecasts, paired tests, and attempts without a score."""
    return [
        attempt("b2:a1", "baseline", "majority", 0.5012, 0.21),
        attempt("b2:a2", "baseline", "linear", 0.7431, 1.42, versus=versus("b2:a1", "baseline majority", 0.2419)),
        attempt("b2:a3", "probe", "tiny-bert", 0.7702, 14.2, "encoder",
                versus=versus("b2:a2", "baseline linear", 0.0271)),
        attempt("b2:a4", "few_shot", "pico-gpt", 0.6123, 39.8, "decoder", reason="no better than probe tiny-bert",
                versus=versus("b2:a3", "probe tiny-bert", -0.1579)),
        attempt("b2:a5", "full", "tiny-bert", 0.8534, 184.5, "encoder", findings={"best_step": 120, "rows_cut": 3},
                versus=versus("b2:a3", "probe tiny-bert", 0.0832)),
        attempt("b2:a6", "lora", "mini-t5", 0.8321, 402.0, "encoder-decoder", reason="no better than full tiny-bert",
                versus=versus("b2:a5", "full tiny-bert", -0.0213)),
        attempt("b2:a7", "full", "pico-gpt", None, 900.0, "decoder", "stopped", "the budget's time is over"),
        attempt("b2:a8", "zero_shot", "tiny-bert", None, 3.0, "encoder", "not tried", "cannot be asked in words"),
    ]  # fmt: skip


# -- a ledger with every run behind one task --------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """A ledger, and the document of the run that filled it."""

    ledger: Ledger
    document: RunDocument
    project: Project


def told(root: Path, facts: Facts, rows: Sequence[Record], answers: Sequence[Prediction], metric: str) -> Story:
    """A task whose test rows are ``rows`` and whose kept attempt answers ``answers``."""
    ledger = Ledger(root / ".escalade")
    data, ingest = _ingest(ledger, facts, rows)
    profile = _profile(ledger, data, ingest)
    base = Base(name="linear", family="none", source="none")
    model, adapt = _adapt(ledger, data, base, [ingest, profile])
    validation = _evaluate(ledger, model, data.validation, facts, rows, answers, [ingest, adapt])
    test = _evaluate(ledger, model, data.test, facts, rows, answers, [ingest, adapt])
    release, deploy = _deploy(ledger, model, base, [adapt])
    _evaluate(ledger, release.model, data.test, facts, rows, answers, [ingest, deploy])
    found = Evaluation.model_validate_json(json.dumps(test.output)).score(metric)
    kept = attempt("b2:kept", "baseline", "linear", 0.75, runs=(adapt.id, validation.id))
    shown = ScoreDocument(
        **{k: v for k, v in found.to_json().items() if k not in ("resamples", "seed")}, decision_bound=0.5, looks=1
    )
    counts = {"train": data.train.rows, "validation": data.validation.rows, "test": data.test.rows}
    target = TargetDocument(metric=metric, at_least=0.5, at_most=None, confidence=0.95, origin=None)
    one = task([kept], kept.id, kind=facts.kind, test=shown, served=shown, rows=counts, target=target)
    return Story(ledger, document(one, attempts=[kept]), project())


def _ingest(ledger: Ledger, facts: Facts, rows: Sequence[Record]) -> tuple[Data, Run]:
    def work(bench: Bench) -> Data:
        splits = {}
        for name in ("train", "validation", "test"):
            folder = _folder(bench, name)
            # The splits of a real task differ; a line of their own makes their digests differ here.
            (folder / "split.txt").write_text(name)
            _write(folder / "records.jsonl", [records.to_json(row) for row in rows])
            splits[name] = Split(name=name, digest=bench.keep(folder), rows=len(rows), groups=len(rows) - 1)  # type: ignore[arg-type]
        folder = _folder(bench, "account")
        (folder / "account.json").write_text(json.dumps(ACCOUNT, ensure_ascii=False), encoding="utf-8")
        _write(folder / "refused.jsonl", REFUSED)
        return Data(facts=facts, account=bench.keep(folder), **splits)

    run = ledger.perform("ingest", 1, {"sources": "b2:1", "kind": facts.kind}, work)
    return Data.model_validate_json(json.dumps(run.output)), run


ACCOUNT = {
    "sources": {"train": {"file": f"rows{EVIL}.csv", "read": 5012, "refused": 12, "kept": 5000}},
    "split_rule": {"made": {"test": 900, "validation": 450}, "by": "label", "test": "auto", "seed": 7},
    "columns": {"input": {"columns": ["review"], "key": "data.why_name", "facts": {}}},
    "language": {"language": "zh", "script": "Han", "key": "data.why_script", "facts": {"script": "Han"}},
    "unseen_labels": [EVIL],
    "similar_labels": [["good", "Good"]],
    "duplicates": {
        "between": [{"first": "train", "second": "test", "same": 41, "same_input": 42, "near": 43, "examples": []}],
        "within": {"train": 44},
    },
    "leakage": {"test_rows_in_train": [f"test:{i}" for i in range(12)]},
}
EMPTY = {"key": "data.refused_empty", "facts": {"column": EVIL}}
REFUSED = [{"file": "rows.csv", "line": 100 + i, "split": "train", **EMPTY}
           for i in range(11)] + [{"file": "rows.csv", "line": 999, "reason": "written in words"}]  # fmt: skip


def _profile(ledger: Ledger, data: Data, ingest: Run) -> Run:
    size = Lengths(mean=22.75, median=15.5, p95=59.6, longest=399.5)
    labels = dict.fromkeys(data.facts.labels, 1234) | ({EVIL: 55} if data.facts.labels else {})
    made = Profile(input=size, output=size, labels=labels)
    return ledger.perform("profile", 1, {"train": data.train}, _giving(made), parents=[ingest])


def _adapt(ledger: Ledger, data: Data, base: Base, parents: Sequence[Run]) -> tuple[Model, Run]:
    def work(bench: Bench) -> Model:
        folder = _folder(bench, "model")
        (folder / "escalade.json").write_text("{}")
        return Model(
            artifact=bench.keep(folder), rung="baseline", family="none", kind=data.facts.kind, base=base.name
        )  # fmt: skip

    run = ledger.perform("adapt", 1, {"train": data.train, "base": base}, work, parents=parents)
    return Model.model_validate_json(json.dumps(run.output)), run


def _evaluate(
    ledger: Ledger,
    model: Model,
    split: Split,
    facts: Facts,
    rows: Sequence[Record],
    answers: Sequence[Prediction],
    parents: Sequence[Run],
) -> Run:
    def work(bench: Bench) -> Evaluation:
        scores, statistics, empty = evaluate_all(answers, rows, facts, split.name)
        folder = _folder(bench, "evaluation")
        said = [{k: v for k, v in dataclasses.asdict(answer).items() if v is not None} for answer in answers]
        _write(folder / "predictions.jsonl", [{"id": r.id} | s for r, s in zip(rows, said, strict=True)])
        save_statistics(statistics, folder / "statistics.safetensors")
        digest = bench.keep(folder)
        return Evaluation(model=model.artifact, split=split.name, predictions=digest, scores=scores, empty=empty)

    inputs = {"model": model.artifact, "facts": facts, "split": split, "seed": 0}
    return ledger.perform("evaluate", 1, inputs, work, parents=parents)


def _deploy(ledger: Ledger, model: Model, base: Base, parents: Sequence[Run]) -> tuple[Release, Run]:
    def work(bench: Bench) -> Release:
        folder = _folder(bench, "release")
        (folder / "README.md").write_text("a release")
        digest = bench.keep(folder)
        gate = Gate(passed=True, prompts=100, differing=0, largest_gap=1.5e-07)
        return Release(artifact=digest, model=model.model_copy(update={"artifact": digest}), gate=gate)

    run = ledger.perform("deploy", 1, {"model": model, "base": base}, work, parents=parents)
    return Release.model_validate_json(json.dumps(run.output)), run


def _giving(value: Profile) -> Callable[[Bench], Profile]:
    return lambda bench: value


def _folder(bench: Bench, name: str) -> Path:
    folder = bench.folder / name
    folder.mkdir()
    return folder


def _write(path: Path, lines: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def refused_candidate() -> Refused:
    return Refused(name=EVIL, key="rungs.needs_pretrained", facts={"base": EVIL})
