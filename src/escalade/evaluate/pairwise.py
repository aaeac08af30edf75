"""A judge's choice between two models' answers: both orders, win rate, length control, and agreement with people.

Judges prefer what they see first and what is longer (Zheng et al. 2023, section 3.3). So each pair is shown in both
orders, and a choice that does not survive the exchange is a tie; and beside the win rate stands what it would be were
both answers equally long (Dubois et al. 2024, Length-controlled AlpacaEval).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, expit, ndtri

from escalade.errors import BadInput
from escalade.evaluate.judging import Choice, Judge, choice_of, choice_prompt
from escalade.evaluate.metric import Matrix, Ratio, means
from escalade.evaluate.statistics import interval

Reals = NDArray[np.float64]
_RESAMPLES = 1000
_AT_ONCE = 100
"""Resamples fitted together."""
_AT_EQUAL, _OF_LENGTH = 1 / 2.5**2, 1 / 10**2
"""Precisions of the normal priors on intercept and slope: weak, and enough to keep both finite where choices are
unanimous, or are told by length alone; then length is to explain them rather than quality."""
_SETTLED = 1e-8
_STEPS = 60
_LONGEST_STEP = 2.0
_OUTCOMES = {1.0: "B", 0.5: "tie", 0.0: "A"}


@dataclass(frozen=True)
class Rate:
    """A share with its interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Agreement:
    """The judge beside people, on the rows that both have judged."""

    n: int
    share: float
    """Of the rows on which both say the same of A, B and tie."""
    kappa: float | None
    """Cohen's (1960); None where both always say the same one thing."""


@dataclass(frozen=True)
class Judged:
    """Model B beside model A in the eyes of a judge."""

    a: str
    b: str
    judge: str
    n: int
    """Rows judged in both orders."""
    clusters: int
    wins: int
    """Of B."""
    ties: int
    losses: int
    win_rate: Rate
    """Of B, a tie being half a win."""
    p: float
    """Two-sided sign test of wins against losses; of clusters, where rows belong together."""
    controlled: Rate | None
    """Win rate of B at equal length; None where one model's answers are never the longer ones."""
    consistent: float
    """Share of the rows judged the same in both orders."""
    first_preferred: float
    """Share of the choices that fell on the answer shown first; 0.5 is no preference. Ties are left out."""
    longer_preferred: float
    """The same for the longer answer."""
    unclear: tuple[str, ...]
    """Rows that are left out: a reply held no clear choice."""
    agreement: Agreement | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"unclear": list(self.unclear)}


def judge_pairs(
    judge: Judge,
    answers: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    inputs: Sequence[str] | None = None,
    *,
    groups: Sequence[Hashable] | None = None,
    human: Sequence[str] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Judged:
    """Has two models' answers judged.

    Args:
        judge: Who is asked, twice a row.
        answers: Of model A and of model B, by name, row by row.
        references: Of each row.
        inputs: What was asked in each row.
        groups: Per row: what it is resampled with; itself where left out.
        human: Per row ``A``, ``B`` or ``tie`` (or the models' names): what people chose.
        confidence: Of the intervals.
        seed: Of the resamples.

    Raises:
        BadInput: Lengths differ, a human label is none, the judge cannot be asked, or no reply held a choice.
    """
    (a, first), (b, second) = answers.items()
    count = len(first)
    for place, rows in (("inputs", inputs), ("groups", groups), ("human", human), (b, second)):
        if rows is not None and len(rows) != count:
            raise BadInput("evaluate.lengths_differ", place=place, predictions=len(rows), records=count)
    people = [_label(label, row, a, b) for row, label in enumerate(human or (), start=1)]
    choices = _asked(judge, first, second, references, inputs)
    found = {row: pair for row, pair in enumerate(choices) if None not in pair}
    if not found:
        raise BadInput("evaluate.judge_unclear", place=judge.name, count=2 * count)
    outcomes = np.array([_outcome(*pair) for pair in found.values()])
    longer = np.array([len(second[row]) - len(first[row]) for row in found], dtype=np.float64)
    clusters = [groups[row] if groups is not None else row for row in found]
    rate = interval(means(outcomes.tolist()), clusters, Ratio(), confidence=confidence, seed=seed)
    told = Counter(outcomes.tolist())
    return Judged(
        a=a,
        b=b,
        judge=judge.name,
        n=len(found),
        clusters=rate.clusters,
        wins=told[1.0],
        ties=told[0.5],
        losses=told[0.0],
        win_rate=Rate(rate.value, rate.lower, rate.upper),
        p=_sign_test(outcomes, clusters),
        controlled=controlled(outcomes, longer, clusters, confidence, seed),
        consistent=float(np.mean([_same(*pair) for pair in found.values()])),
        first_preferred=_share(chain.from_iterable(found.values()), "1"),
        longer_preferred=_longer(found, longer),
        unclear=tuple(str(row + 1) for row in range(count) if row not in found),
        agreement=_agreement([_OUTCOMES[value] for value in outcomes], [people[row] for row in found])
        if people
        else None,
    )


def controlled(
    outcomes: Reals, longer: Reals, clusters: Sequence[Hashable], confidence: float = 0.95, seed: int = 0
) -> Rate | None:
    """Win rate at equal length (Dubois et al. 2024, eq. 2, without the term of the instruction).

    A logistic regression of the outcome on tanh of the difference in length over its standard deviation; what it says
    where the difference is 0. The interval is the wider, on each side, of the percentile bootstrap over clusters and
    the normal approximation: where length alone tells winners from losers, all resamples agree on a number that the
    rows do not know, and only the curvature of the likelihood shows it.

    Args:
        outcomes: Per row 1, 0.5 or 0, shape (n,).
        longer: Per row by how many characters B is longer, shape (n,).
        clusters: Per row: what it is resampled with.
        confidence: Of the interval.
        seed: Of the resamples.

    Returns:
        None where only one of the models ever has the longer answer: nothing then says what equal lengths would give.
    """
    if not (longer > 0).any() or not (longer < 0).any():
        return None
    x = np.tanh(longer / longer.std())
    numbers = np.unique(np.array([str(each) for each in clusters]), return_inverse=True)[1]
    count = int(numbers.max()) + 1
    chance = np.random.default_rng(seed)
    drawn = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        times = chance.multinomial(count, np.full(count, 1 / count), size=_AT_ONCE)
        drawn.append(_fitted(x, outcomes, times[:, numbers].astype(np.float64))[0])
    rest = (1 - confidence) / 2
    (value,), (error,) = _fitted(x, outcomes, np.ones((1, len(x))))
    ends = np.quantile(np.concatenate(drawn), [rest, 1 - rest])
    reach = float(ndtri(1 - rest)) * error
    lower, upper = min(ends[0], value - reach), max(ends[1], value + reach)
    return Rate(float(expit(value)), float(expit(lower)), float(expit(upper)))


def _fitted(x: Reals, y: Reals, weights: Reals) -> tuple[Reals, Reals]:
    """Logistic regressions of ``y`` on ``x``, by Newton's method.

    Args:
        x: Shape (n,).
        y: Shape (n,), 0 to 1.
        weights: Of the rows in each regression, shape (regressions, n).

    Returns:
        The intercepts and their standard errors, each of shape (regressions,).
    """
    inner, slope = np.zeros(len(weights)), np.zeros(len(weights))
    variance = inner
    for _ in range(_STEPS):
        mean = expit(inner[:, None] + slope[:, None] * x)
        residual, spread = weights * (y - mean), weights * mean * (1 - mean)
        gradient = residual.sum(1) - _AT_EQUAL * inner, residual @ x - _OF_LENGTH * slope
        one, mixed, two = spread.sum(1) + _AT_EQUAL, spread @ x, spread @ (x * x) + _OF_LENGTH
        determinant = one * two - mixed * mixed
        steps = (two * gradient[0] - mixed * gradient[1], one * gradient[1] - mixed * gradient[0])
        first, second = (np.clip(step / determinant, -_LONGEST_STEP, _LONGEST_STEP) for step in steps)
        inner, slope, variance = inner + first, slope + second, two / determinant
        if max(np.abs(first).max(), np.abs(second).max()) < _SETTLED:
            break
    return inner, np.sqrt(variance)


def _asked(
    judge: Judge,
    first: Sequence[str],
    second: Sequence[str],
    references: Sequence[Sequence[str]],
    inputs: Sequence[str] | None,
) -> list[tuple[Choice | None, Choice | None]]:
    """Per row the choice with A shown first, and with B shown first."""
    ids, prompts = [], []
    for row, (one, other, wanted) in enumerate(zip(first, second, references, strict=True)):
        asked = inputs[row] if inputs else ""
        ids += [f"{row + 1}", f"{row + 1}, exchanged"]
        prompts += [choice_prompt(asked, wanted, one, other), choice_prompt(asked, wanted, other, one)]
    replies = judge.ask(ids, prompts)
    choices = [choice_of(reply) for reply in replies]
    for id, reply, choice in zip(ids, replies, choices, strict=True):
        if choice is None:
            judge.unclear(id, reply)
    return list(zip(choices[::2], choices[1::2], strict=True))


def _outcome(forward: Choice | None, backward: Choice | None) -> float:
    """1 where B is chosen in both orders, 0 where A is, else a tie."""
    return {("2", "1"): 1.0, ("1", "2"): 0.0}.get((str(forward), str(backward)), 0.5)


def _same(forward: Choice | None, backward: Choice | None) -> bool:
    return (forward, backward) in {("2", "1"), ("1", "2"), ("tie", "tie")}


def _share(choices: Any, wanted: str) -> float:
    """Of the choices that are no ties."""
    made = [choice for choice in choices if choice != "tie"]
    return sum(choice == wanted for choice in made) / len(made) if made else 0.5


def _longer(found: Mapping[int, tuple[Choice | None, Choice | None]], longer: Reals) -> float:
    """How often the longer answer was chosen, where lengths differ."""
    chosen = []
    for (forward, backward), difference in zip(found.values(), longer, strict=True):
        if difference:
            fell = ({"1": "A", "2": "B"}.get(str(forward)), {"1": "B", "2": "A"}.get(str(backward)))
            chosen += [one == ("B" if difference > 0 else "A") for one in fell if one]
    return float(np.mean(chosen)) if chosen else 0.5


def _sign_test(outcomes: Matrix, clusters: Sequence[Hashable]) -> float:
    """Two-sided and exact; the rows of a cluster vote together."""
    votes: dict[Hashable, float] = {}
    for cluster, outcome in zip(clusters, outcomes.tolist(), strict=True):
        votes[cluster] = votes.get(cluster, 0.0) + outcome - 0.5
    wins, losses = sum(vote > 0 for vote in votes.values()), sum(vote < 0 for vote in votes.values())
    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5))) if wins + losses else 1.0


def _label(said: str, row: int, a: str, b: str) -> str:
    known = {"a": "A", "b": "B", "tie": "tie", a.lower(): "A", b.lower(): "B"}
    if said.strip().lower() not in known:
        raise BadInput("evaluate.human_label", place=f"human, {row}", given=said[:40])
    return known[said.strip().lower()]


def _agreement(judged: Sequence[str], people: Sequence[str]) -> Agreement:
    count = len(judged)
    share = sum(one == other for one, other in zip(judged, people, strict=True)) / count
    mine, theirs = Counter(judged), Counter(people)
    chance = sum(mine[label] * theirs[label] for label in mine) / count**2
    return Agreement(count, share, None if chance == 1 else (share - chance) / (1 - chance))
