"""Two models on the same items: the paired test, what holds on which slice, and the sentence one may quote."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from escalade import messages
from escalade.evaluate.metric import Matrix, Metric
from escalade.evaluate.statistics import Paired, paired
from escalade.records import Labelled, Record, Related, groups_of, input_text, output_text

SIGNIFICANT = 0.05
"""Two-sided p below which two models are said to differ."""
_QUARTERS = 4
_MOST = 12
"""Values beyond which a property does not slice: a table of them would say nothing."""
_FEWEST = 5
"""Items below which a slice is not shown."""


@dataclass(frozen=True)
class Slice:
    """The difference on some of the items."""

    by: str
    """``length`` (of the input), ``label`` or ``group``."""
    name: str
    n: int
    clusters: int
    difference: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Comparison:
    """Model B beside model A, in the metric's own units."""

    a: str
    b: str
    metric: str
    signature: str
    value_a: float
    value_b: float
    paired: Paired
    p_holm: float
    """p after Holm's correction for all comparisons made together; p itself where there is one."""
    resamples: int
    seed: int
    rising: bool
    slices: tuple[Slice, ...] = ()

    @property
    def sentence(self) -> str:
        """What may be said, in the language in use."""
        gain = self.paired.difference if self.rising else -self.paired.difference
        differs = self.p_holm < SIGNIFICANT and self.paired.difference != 0
        key = "evaluate.quote_same" if not differs else "evaluate.quote_better" if gain > 0 else "evaluate.quote_worse"
        unit = messages.text("evaluate.quote_clusters", clusters=self.paired.clusters)
        return messages.text(
            key, a=self.a, b=self.b, metric=self.metric, value_a=self.value_a, value_b=self.value_b,
            difference=self.paired.difference, lower=self.paired.lower, upper=self.paired.upper, p=self.p_holm,
            n=self.paired.n, unit=unit if self.paired.clusters < self.paired.n else "",
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the fields of ``paired`` stand beside the others."""
        said = asdict(replace(self, slices=()))
        inner = said.pop("paired")
        return inner | said | {"slices": [asdict(one) for one in self.slices], "sentence": self.sentence}


def compare(
    names: tuple[str, str],
    statistics: tuple[Matrix, Matrix],
    clusters: Sequence[Hashable],
    metric: Metric,
    slices: Mapping[str, Sequence[str]] | None = None,
    *,
    rising: bool = True,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """The paired test of the second model against the first.

    Args:
        names: Of the two models.
        statistics: Of each, shape (n, k), of ``metric`` on the same items.
        clusters: Per item: what it is resampled with.
        metric: Bound to the task.
        slices: Per property its value for every item; see :func:`slices_of`.
        rising: True where more is better.
        resamples: Of the test and of the interval; slices take a fifth of them.
        seed: Of both.

    Raises:
        BadInput: As for ``statistics.paired``.
    """
    one, other = statistics
    span = metric.high - metric.low
    found = paired(one, other, clusters, metric.value, resamples=resamples, seed=seed, span=span)
    value_a, value_b = (float(metric.value(rows.sum(0))) for rows in statistics)
    made = []
    for by, values in (slices or {}).items():
        for name in sorted(set(values), key=_in_order):
            where = np.flatnonzero(np.asarray([value == name for value in values]))
            if len(where) < _FEWEST:
                continue
            within = [clusters[int(i)] for i in where]
            part = paired(
                one[where], other[where], within, metric.value, resamples=resamples // 5, seed=seed, span=span
            )
            made.append(Slice(by, name, part.n, part.clusters, part.difference, part.lower, part.upper))
    return Comparison(
        a=names[0], b=names[1], metric=metric.name, signature=metric.signature, value_a=value_a, value_b=value_b,
        paired=found, p_holm=found.p, resamples=resamples, seed=seed, rising=rising, slices=tuple(made),
    )  # fmt: skip


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons made together, each with its p after Holm's correction."""
    return [
        replace(one, p_holm=p)
        for one, p in zip(comparisons, holm([c.paired.p for c in comparisons]), strict=True)
    ]  # fmt: skip


def holm(values: Sequence[float]) -> list[float]:
    """P values that hold for a whole family of tests (Holm 1979): step down, never falling, at most 1."""
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = highest
    return adjusted


def slices_of(records: Sequence[Record], metric: str = "accuracy") -> dict[str, list[str]]:
    """What items can be sliced by: quarters of the input's length, the label, and the group where there are few.

    By label only for accuracy, which is then the label's recall: F1 and correlation need more labels than one.
    """
    found = {"length": slice_lengths([len(input_text(record)) for record in records])}
    if metric == "accuracy" and all(isinstance(record, Labelled | Related) for record in records):
        found["label"] = [output_text(record) for record in records]
    if any(record.group is not None for record in records):
        found["group"] = list(groups_of(records))
    return {by: values for by, values in found.items() if 1 < len(set(values)) <= _MOST}


def _in_order(name: str) -> tuple[float, str]:
    """Ranges of lengths by where they begin, everything else by name."""
    begin = name.partition("-")[0]
    return (float(begin) if begin.isdecimal() else float("inf"), name)


def slice_lengths(lengths: Sequence[int]) -> list[str]:
    """Each length (in characters) as the quarter it falls into, such as ``12-40``; equal lengths stay together."""
    inner = np.quantile(lengths, [i / _QUARTERS for i in range(1, _QUARTERS)], method="lower")
    quarter = np.searchsorted(inner, lengths, side="left")
    names = {}
    for q in set(quarter.tolist()):
        within = [length for length, place in zip(lengths, quarter, strict=True) if place == q]
        names[q] = f"{min(within)}-{max(within)}"
    return [names[q] for q in quarter.tolist()]
