"""Which choice a model finds likeliest: accuracy by log-probability, as for BLiMP, MMLU and other multiple choice.

Nothing is generated: every choice is scored behind its prompt, and the one with the highest score is picked. What a
score is has to be chosen, since a sum of log-probabilities favours short choices and common ones:

* ``sum``: the log-probability of the choice.
* ``token``: that by its number of tokens, which depends on the tokenizer.
* ``byte``: that by its UTF-8 bytes, which is comparable across tokenizers.
* ``calibrated``: that minus the log-probability of the same choice behind a prompt without content, so that what is
  likely anyway is no answer (pointwise mutual information: Holtzman et al. 2021, equation 2; content-free inputs: Zhao
  et al. 2021, section 5).

A model that finds two choices equally likely has not chosen. It gets the share that a fair draw among them would, never
the whole: else a model of constant scores would be always right where the right choice stands first, as in BLiMP.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from escalade.errors import BadInput
from escalade.evaluate.choice_rows import Item
from escalade.evaluate.metric import Matrix, Ratio, means
from escalade.evaluate.statistics import Interval, interval

Normalisation = Literal["sum", "token", "byte", "calibrated"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
METRIC = "choice_accuracy"
EQUAL = 1e-9
"""Scores that differ by no more than this share of the larger one are equal."""
_AT_ONCE = 64
"""Pairs given to the scorer at a time: several of its batches, and a report of progress after each."""
Pair = tuple[str, str]
OnProgress = Callable[[int, int], None]


class Scorer(Protocol):
    """Anything that finds given texts more or less likely; a ``protocols.Sampler`` is one."""

    name: str

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        """Log-probability of each token of each completion given its prompt."""
        ...


@dataclass(frozen=True)
class Chosen:
    """What a model made of one item."""

    item: Item
    scores: tuple[float, ...]
    """Of each choice, in nats, normalised."""
    best: tuple[int, ...]
    """The places of the highest score; several where they tie."""

    @property
    def share(self) -> float:
        """1 where the right choice alone is best, 1/k where it ties with k - 1 others, else 0."""
        return 1 / len(self.best) if self.item.answer in self.best else 0.0

    @property
    def margin(self) -> float:
        """The right choice's score minus the best of the others', in nats, normalised."""
        others = [score for i, score in enumerate(self.scores) if i != self.item.answer]
        return self.scores[self.item.answer] - max(others)

    def to_json(self) -> dict[str, Any]:
        """As a line of a file of items."""
        return {
            "place": self.item.place,
            "group": self.item.group,
            "answer": self.item.answer,
            "scores": list(self.scores),
            "best": list(self.best),
            "right": self.share,
        }


class ChoiceAccuracy(Ratio):
    """The mean share right; what the statistics need of a metric."""


def choose(
    scorer: Scorer,
    items: Sequence[Item],
    normalise: Normalisation = "sum",
    *,
    end: int = 1,
    on_progress: OnProgress = lambda done, total: None,
) -> list[Chosen]:
    """Scores every choice of every item and picks.

    Args:
        scorer: The model.
        items: None of them without choices.
        normalise: What is compared.
        end: How many tokens at the end of what ``scorer`` gives stand for the end of the output: 1 for a ``Sampler``, 0
            for a pseudo-likelihood. They are not counted: the choice is asked about, not whether the text ends there.
        on_progress: Told how many pairs are done, of how many; what it raises ends the work.

    Returns:
        One for each item, in order.

    Raises:
        BadInput: ``calibrated`` is asked of choices that have no prompt, a prompt is too long for the model, a choice
            has no tokens, or a score is not a finite number.
    """
    if normalise == "calibrated" and (bare := next((item for item in items if item.empty is None), None)):
        raise BadInput("evaluate.choices_no_prompt", place=bare.place)
    found = _scored(scorer, _portions(items, normalise == "calibrated"), end, on_progress)
    return [_chosen(item, found, normalise) for item in items]


def measure(chosen: Sequence[Chosen], what: str, *, confidence: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """Accuracy with its interval, over all and by group.

    Where there are several groups, they are what is resampled: items of one paradigm or subject are alike. A group by
    itself, and a file of one group, says something of its own kind only, so there the items are.

    Args:
        chosen: What :func:`choose` gives.
        what: What was computed; stands before the rest of the signature.
        confidence: Of the intervals.
        seed: Of the bootstrap.

    Returns:
        ``{"n", "clusters", "metrics": {"choice_accuracy": {"value", "lower", "upper", "signature"}}, "margin",
        "groups": [{"name", "n", "value", "lower", "upper"}], "ties"}``; ``margin`` is the mean of the items', and
        ``ties`` counts the items whose right choice is among several best ones.

    Raises:
        BadInput: Nothing is there.
    """
    names = [one.item.group for one in chosen]
    groups = sorted({name for name in names if name is not None})
    by_group = len(groups) > 1 and None not in names
    shares = means([one.share for one in chosen])
    whole = _interval(shares, names if by_group else range(len(chosen)), confidence, seed)
    listed = []
    for group in groups:
        part = shares[np.array([name == group for name in names])]
        inner = _interval(part, range(len(part)), confidence, seed)
        listed.append({"name": group, "n": inner.n, "value": inner.value, "lower": inner.lower, "upper": inner.upper})
    signature = f"{what}|ties:share|clusters:{'group' if by_group else 'item'}"
    value = {"value": whole.value, "lower": whole.lower, "upper": whole.upper, "signature": signature}
    return {
        "n": whole.n,
        "clusters": whole.clusters,
        "metrics": {METRIC: value},
        "margin": float(np.mean([one.margin for one in chosen])),
        "groups": listed,
        "ties": sum(len(one.best) > 1 and one.item.answer in one.best for one in chosen),
    }


def choice_score(
    scorer: Scorer,
    items: Sequence[Item],
    normalise: Normalisation = "sum",
    *,
    end: int = 1,
    likelihood: str = "next token",
    on_progress: OnProgress = lambda done, total: None,
) -> tuple[dict[str, Any], list[Chosen]]:
    """Picks and measures; arguments and errors as :func:`choose`, ``likelihood`` names what the scorer computes.

    Returns:
        What :func:`measure` gives, with ``"seconds"``, and the items one by one.
    """
    begun = time.perf_counter()
    chosen = choose(scorer, items, normalise, end=end, on_progress=on_progress)
    found = measure(chosen, f"likelihood:{likelihood}|normalise:{normalise}|end:no")
    return found | {"seconds": time.perf_counter() - begun}, chosen


def _portions(items: Sequence[Item], calibrated: bool) -> list[dict[Pair, str]]:
    """The pairs to score, each once, with the place it comes from, in portions.

    Longest first: rows of like length are read together, and what would not fit the context is refused at once. The
    choices of an item stay in one portion, so that a scorer can see that two of them are the same tokens.
    """
    by_length = sorted(items, key=lambda item: -len(item.prompt) - max(map(len, item.choices)))
    portions: list[dict[Pair, str]] = [{}]
    known: set[Pair] = set()
    for item in by_length:
        prompts = [item.prompt, *([item.empty or ""] if calibrated else [])]
        pairs = [pair for prompt in prompts for choice in item.choices if (pair := (prompt, choice)) not in known]
        if len(portions[-1]) >= _AT_ONCE:
            portions.append({})
        portions[-1] |= dict.fromkeys(pairs, item.place)
        known.update(pairs)
    return portions


def _scored(
    scorer: Scorer, portions: Sequence[Mapping[Pair, str]], end: int, on_progress: OnProgress
) -> dict[Pair, tuple[float, int]]:
    """Log-probability and number of tokens of each pair; arguments as for :func:`choose` and :func:`_portions`."""
    found: dict[Pair, tuple[float, int]] = {}
    total = sum(map(len, portions))
    on_progress(0, total)
    for some in portions:
        try:
            logprobs = scorer.score([prompt for prompt, _ in some], [completion for _, completion in some])
        except BadInput as error:
            raise _placed(error, scorer, some) from error
        for pair, tokens in zip(some, logprobs, strict=True):
            kept = tokens[: len(tokens) - end]
            found[pair] = (math.fsum(kept), len(kept))
        on_progress(len(found), total)
    return found


def _placed(error: BadInput, scorer: Scorer, places: Mapping[Pair, str]) -> BadInput:
    """The error at the row that it is about, such as one that is too long, rather than at a number in a batch."""
    for (prompt, completion), place in places.items():
        try:
            scorer.score([prompt], [completion])
        except BadInput as alone:
            return BadInput(alone.key, place=place, **alone.facts)
    return error


def _chosen(item: Item, found: dict[Pair, tuple[float, int]], normalise: Normalisation) -> Chosen:
    scores = tuple(_normalised(item, choice, found, normalise) for choice in item.choices)
    if not all(map(math.isfinite, scores)):
        raise BadInput("evaluate.choices_not_finite", place=item.place)
    highest = max(scores)
    best = tuple(i for i, score in enumerate(scores) if math.isclose(score, highest, rel_tol=EQUAL))
    return Chosen(item, scores, best)


def _normalised(item: Item, choice: str, found: dict[Pair, tuple[float, int]], normalise: Normalisation) -> float:
    total, tokens = found[item.prompt, choice]
    if tokens == 0:
        raise BadInput("evaluate.choices_no_tokens", place=item.place, choice=choice)
    if normalise == "token":
        return total / tokens
    if normalise == "byte":
        return total / len(choice.encode())
    if normalise == "calibrated":
        return total - found[item.empty or "", choice][0]
    return total


def _interval(shares: Matrix, clusters: Sequence[Any], confidence: float, seed: int) -> Interval:
    return interval(shares, clusters, ChoiceAccuracy(), confidence=confidence, seed=seed)
