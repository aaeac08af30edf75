"""Values: what crosses from room to room. Frozen, strict, and identified by their content.

Nothing here holds a path of this machine or a measured time: a value is what a result *is*, so that the same
inputs give the same digest anywhere.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from escalade import messages

Kind = Literal[
    "classification",
    "token-classification",
    "relation-extraction",
    "question-answering",
    "summarization",
    "translation",
    "generation",
    "chat",
    "embedding",
]
Family = Literal["none", "encoder", "decoder", "encoder-decoder"]
SplitName = Literal["train", "validation", "test"]
Unit = Literal["row", "group"]
Source = Literal["none", "folder", "hub", "api", "scratch"]
Verdict = Literal["met", "not confirmed", "not met", "no-go"]
Setting = bool | int | float | str | None


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks: the text whose hash is a value's identity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """``b2:`` and 32 hex digits: BLAKE2b-128 of the canonical JSON."""
    # A lone surrogate, as a file's name or an escape in JSON may hold, is no UTF-8; its digest is one all the same.
    return "b2:" + hashlib.blake2b(canonical(value).encode(errors="surrogatepass"), digest_size=16).hexdigest()


class Value(BaseModel):
    """Base of everything that crosses a room's boundary."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    def to_json(self) -> dict[str, Any]:
        """The value as plain JSON types."""
        return self.model_dump(mode="json")

    @property
    def identity(self) -> str:
        """Digest of the content."""
        return digest_of(self.to_json())


class Facts(Value):
    """What every later stage must know of a task's data, and nothing more."""

    kind: Kind
    labels: tuple[str, ...] = ()
    """Labels, or tags, that occur in train and validation, sorted; empty where the kind has none."""
    language: str = "en"
    """ISO 639-1 code, or ``und`` where it could not be guessed."""
    unit: Unit = "row"
    """What intervals resample: the row, or the group it belongs to."""


class Split(Value):
    """One split: which artifact holds its records, and how many there are."""

    name: SplitName
    digest: str
    rows: int
    groups: int


class Data(Value):
    """What ``ingest`` gives: records by split, and an account of every row that is not there."""

    facts: Facts
    train: Split
    validation: Split
    test: Split
    preferences: Split | None = None
    account: str
    """Digest of the artifact with refused.jsonl (file, line, reason) and account.json (counts, duplicates, leakage)."""


class Lengths(Value):
    """Lengths in tokens, by a rule of thumb: four characters of an alphabet, or one of a script without blanks."""

    mean: float
    median: float
    p95: float
    longest: float


class Profile(Value):
    """What ``profile`` gives: the shape of the train rows."""

    input: Lengths
    output: Lengths
    labels: dict[str, int]
    """Train rows (words, for tags) per label; empty where the kind has none."""


class Base(Value):
    """A model before adapting."""

    name: str
    family: Family
    source: Source
    revision: str | None = None
    digest: str | None = None
    """Digest of the weights' folder; for ``scratch`` of the recipe."""
    parameters: int | None = None
    embedded: int | None = None
    """Parameters that are looked up rather than multiplied with every token."""
    context: int | None = None
    """Longest input in tokens."""
    license: str | None = None
    api: str | None = None
    """Base address of the OpenAI-compatible API it is behind."""
    key_env: str | None = None


class Refused(Value):
    """A candidate or rung that was not taken, and why."""

    name: str
    key: str
    """Key of the reason in the messages, so that it reads in any language."""
    facts: dict[str, Setting] = {}

    @property
    def reason(self) -> str:
        """The reason in the language in use."""
        return messages.text(self.key, **self.facts)


class Shortlist(Value):
    """What ``select`` gives."""

    bases: tuple[Base, ...]
    refused: tuple[Refused, ...] = ()


class Rung(Value):
    """A way of adapting with every setting resolved, so that it can be repeated."""

    name: str
    objective: str | None = None
    settings: dict[str, Setting] = {}


class Model(Value):
    """What ``adapt`` gives: the folder that predicts, and what it was made from."""

    artifact: str
    """Digest of the folder; its ``escalade.json`` says how it predicts."""
    rung: str
    family: Family
    kind: Kind
    base: str
    """Name of the base, or of the baseline's method."""
    parameters: int | None = None
    trainable: int | None = None
    findings: dict[str, Setting] = {}
    """What adapting itself measured: rows cut, best step, the preferred margin before and after."""


class Score(Value):
    """One metric on one split, with its interval."""

    metric: str
    split: SplitName
    value: float
    lower: float
    upper: float
    confidence: float
    n: int
    clusters: int
    unit: Unit
    resamples: int
    seed: int
    signature: str
    """What was computed: tokenizer, smoothing, averaging."""


class Evaluation(Value):
    """What ``evaluate`` gives: every metric that fits the kind, from one list of predictions."""

    model: str
    """Digest of the model's artifact."""
    split: SplitName
    predictions: str
    """Digest of the artifact with predictions.jsonl and statistics.safetensors (a row an item, a matrix a metric)."""
    scores: tuple[Score, ...]
    empty: int
    """Predictions that are empty; they count as wrong."""

    def score(self, metric: str) -> Score:
        """The score of one metric; KeyError where it was not computed."""
        for score in self.scores:
            if score.metric == metric:
                return score
        raise KeyError(metric)


class Contamination(Value):
    """What ``contamination`` gives: test rows that train may have shown, counted by how they were found."""

    same: int
    """Input and output stand in train."""
    same_input: int
    """The input stands in train with another output."""
    near: int
    """The input is nearly one of train's."""
    runs: int
    """Thirteen words in a row stand in train."""
    ids: tuple[str, ...]
    """Every such row once."""


class Change(Value):
    """How much worse a model finds texts than its base does, in bits per byte: adapted minus base."""

    texts: str
    """Digest of the texts."""
    metric: str = "bits_per_byte"
    base: float
    adapted: float
    difference: float
    lower: float
    upper: float
    bound: float
    """One-sided upper bound, of the same confidence: what a limit is held against."""
    confidence: float
    n: int
    clusters: int
    seed: int
    signature: str
    """What was computed: which likelihood, of which tokens."""


class Divergence(Value):
    """Mean KL(base || adapted) of the next-token distributions, in nats per token."""

    value: float
    lower: float
    upper: float
    confidence: float
    tokens: int
    n: int
    """Records whose wanted completions were read."""
    clusters: int
    seed: int
    signature: str


class Likelihood(Value):
    """How likely a base finds general texts, one entry for each sample of them."""

    statistics: str | None
    """Digest of the artifact with statistics.safetensors: per sample (texts, 2) nats and bytes; None where there is
    nothing to measure."""
    bits_per_byte: tuple[float, ...] = ()
    signature: str = ""
    reason: Refused | None = None
    """Why there is nothing to measure."""


class Forgetting(Value):
    """What a model forgot of its base."""

    model: str
    """Digest of the model's artifact."""
    general: Change | None
    """Over all the texts; None where there is nothing to measure."""
    changes: tuple[Change, ...] = ()
    """Sample by sample."""
    statistics: str | None = None
    """Digest of the artifact with what the numbers were computed from."""
    reason: Refused | None = None
    """Why there is no change."""
    divergence: Divergence | None = None
    no_divergence: Refused | None = None
    """Why there is no divergence."""


class Cost(Value):
    """What an attempt is expected to take; None is "not known", never 0."""

    seconds: float | None
    peak_bytes: float | None
    money: float | None = None
    lifetime_money: float | None = None


class Gate(Value):
    """What the release gate compared, and what it found."""

    passed: bool
    prompts: int
    differing: int
    """Outputs that differ from the evaluated ones."""
    largest_gap: float | None = None
    """Largest difference of a per-token log-probability; None where outputs alone were compared."""
    reason: str = ""


class Release(Value):
    """What ``deploy`` gives: a folder that opens elsewhere, proved to be the evaluated model."""

    artifact: str
    model: Model
    gate: Gate
