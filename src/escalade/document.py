"""The document a run gives: what ``escalade run --json`` prints and the report shows. A value is a field or null.

The words are the house's: task, target, attempt, score, verdict, release.
"""

from __future__ import annotations

from typing import Literal

from escalade.values import Base, Cost, Family, Refused, SplitName, Unit, Value, Verdict

Status = Literal["done", "not tried", "stopped", "failed"]


class BaseDocument(Value):
    """The base of an attempt."""

    name: str
    source: str
    revision: str | None
    digest: str | None
    parameters: int | None

    @classmethod
    def of(cls, base: Base) -> BaseDocument:
        """From the value."""
        return cls(
            name=base.name,
            source=base.source,
            revision=base.revision,
            digest=base.digest,
            parameters=base.parameters,
        )


class ScoreDocument(Value):
    """One score. ``decision_bound`` is the one-sided bound the verdict used; null where it decided nothing."""

    metric: str
    split: SplitName
    value: float
    lower: float
    upper: float
    decision_bound: float | None
    confidence: float
    n: int
    clusters: int
    unit: Unit
    looks: int | None
    """How often this test set has been looked at, this time included; null on validation."""
    signature: str


class Versus(Value):
    """The paired test against the best cheaper attempt, in the metric's own units."""

    attempt: str
    name: str
    difference: float
    lower: float
    upper: float
    p: float
    wins: int
    ties: int
    losses: int
    better: bool


class TargetDocument(Value):
    """The target as it was used."""

    metric: str
    at_least: float | None
    at_most: float | None
    confidence: float
    origin: str | None


class MeasuredDocument(Value):
    """What an attempt took: adapting and its evaluation on validation."""

    seconds: float
    peak_bytes: float | None


class AttemptDocument(Value):
    """One candidate on one rung."""

    id: str
    name: str
    tasks: tuple[str, ...]
    rung: str
    family: Family
    base: BaseDocument
    status: Status
    reason: str | None
    """Why it was not tried, was stopped, failed, or is not better."""
    scores: dict[str, ScoreDocument]
    versus: Versus | None
    forgetting: None = None
    predicted: Cost | None
    measured: MeasuredDocument | None
    findings: dict[str, bool | int | float | str | None] = {}
    runs: tuple[str, ...] = ()


class CleanDocument(Value):
    """The test score on the rows that share nothing with train, and how many others there are."""

    same: int
    same_input: int
    near: int
    runs: int
    """Test rows found in train: whole, by input, nearly, by thirteen words in a row; one row may count in several."""
    n: int
    """Rows that are clean."""
    value: float | None
    lower: float | None
    upper: float | None
    """Null where no row is clean."""


class GateDocument(Value):
    """What the release gate found."""

    passed: bool
    prompts: int
    differing: int
    largest_gap: float | None
    reason: str


class TaskDocument(Value):
    """What was found for one task."""

    name: str
    kind: str
    verdict: Verdict
    target: TargetDocument
    kept: str | None
    """Id of the attempt kept."""
    test: ScoreDocument | None
    clean: CleanDocument | None = None
    """Null where the test split was not opened."""
    served: ScoreDocument | None
    """The release graded again on the same test rows."""
    gate: GateDocument | None
    release: str | None
    """Folder of the release, relative to the project."""
    reason: str | None
    """In one sentence, why the verdict is what it is and what would close the gap."""
    rows: dict[str, int]
    refused: tuple[Refused, ...] = ()


class RunDocument(Value):
    """What ``escalade run`` gives."""

    verdict: Verdict
    """The worst of the tasks' verdicts."""
    executed: int
    """Stages that were executed; look-ups are not among them."""
    project: str
    report: str | None
    seconds: float
    tasks: tuple[TaskDocument, ...]
    attempts: tuple[AttemptDocument, ...]
