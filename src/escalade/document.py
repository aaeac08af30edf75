"""The document a run gives: what ``escalade run --json`` prints and the report shows. A value is a field or null.

The words are the house's: task, target, attempt, score, verdict, release.
"""

from __future__ import annotations

from typing import Literal

from escalade.values import Base, Change, Cost, Divergence, Family, Refused, SplitName, Unit, Value, Verdict

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
    """What an attempt took: adapting, its evaluation on validation, and measuring what it forgot."""

    seconds: float
    peak_bytes: float | None


class ChangeDocument(Value):
    """How many bits per byte worse general text is found than by the base: adapted minus base."""

    source: str
    """Where the texts are from."""
    metric: str
    base: float
    adapted: float
    difference: float
    lower: float
    upper: float
    bound: float
    """One-sided upper bound of the difference, of the same confidence."""
    confidence: float
    n: int
    clusters: int
    signature: str

    @classmethod
    def of(cls, change: Change, source: str) -> ChangeDocument:
        """From the value."""
        return cls(source=source, **change.model_dump(exclude={"texts", "seed"}))


class KeepDocument(Value):
    """One entry of ``keep`` and how an attempt did by it."""

    source: str
    metric: str = "bits_per_byte"
    worsen_at_most: float
    change: ChangeDocument | None
    """Null where nothing was measured."""
    broken: bool | None
    """True where the bound passes the limit; null where nothing was measured."""


class ForgettingDocument(Value):
    """What an attempt forgot of its pretrained base."""

    general: ChangeDocument | None
    """Over all general text; null for the reason given."""
    reason: Refused | None
    divergence: Divergence | None
    """KL from the base on wanted completions of validation rows; null for the reason given."""
    no_divergence: Refused | None
    keep: tuple[KeepDocument, ...]


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
    forgetting: ForgettingDocument | None = None
    """Null where no pretrained base was changed."""
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
