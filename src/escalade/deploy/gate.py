"""The release gate: what ships must answer as what was evaluated did.

A merge, an export or a copy can go wrong without an error: another chat template, a swapped label map, a lost
adapter. So a hundred prompts, chosen to be hard on such faults, are answered again and compared.
"""

from __future__ import annotations

import math
import random
import unicodedata
from collections.abc import Sequence

from escalade import messages
from escalade.protocols import Prediction
from escalade.records import Record, Tagged, input_text, output_text
from escalade.values import Gate

PROMPTS = 100
ALLOWED_GAP = 1e-4
"""Largest difference of a log-probability in float32; merging and another batch shape stay well below."""


def choose(records: Sequence[Record], seed: int, count: int = PROMPTS) -> list[int]:
    """Places of at most ``count`` records: the longest, non-Latin ones, and the rest spread over length and label."""
    if len(records) <= count:
        return list(range(len(records)))
    texts = [input_text(record) for record in records]
    by_length = sorted(range(len(records)), key=lambda i: (len(texts[i]), i))
    chosen = dict.fromkeys(by_length[-count // 10 :])
    foreign = [i for i in range(len(records)) if i not in chosen and _non_latin(texts[i])]
    chosen.update(dict.fromkeys(foreign[: count // 10]))
    quarter = {place: rank * 4 // len(records) for rank, place in enumerate(by_length)}
    strata: dict[tuple[str, int], list[int]] = {}
    for i, record in enumerate(records):
        label = "" if isinstance(record, Tagged) else output_text(record)[:40]
        strata.setdefault((label, quarter[i]), []).append(i)
    chance = random.Random(seed)
    queues = [chance.sample(strata[key], len(strata[key])) for key in sorted(strata)]
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.setdefault(queue.pop())
    return sorted(chosen)


def compare(expected: Sequence[Prediction], found: Sequence[Prediction]) -> Gate:
    """The verdict on the answers of a release beside the evaluated ones.

    Outputs must be equal. Log-probabilities must agree too: where few outputs differ from each other (two labels,
    say) equal outputs alone prove little.
    """
    differing = sum(_output(a) != _output(b) for a, b in zip(expected, found, strict=True))
    gaps: list[float] = []
    lengths_differ = False
    for a, b in zip(expected, found, strict=True):
        one, other = _logprobs(a), _logprobs(b)
        if len(one) != len(other):
            lengths_differ = True
        gaps += [abs(x - y) for x, y in zip(one, other, strict=False)]
    # NaN compares as neither less nor more, so that a plain maximum may miss it.
    gap = math.nan if any(map(math.isnan, gaps)) else max(gaps, default=None)
    reason = ""
    if differing:
        reason = messages.text("stages.gate_outputs", differing=differing, prompts=len(expected))
    elif lengths_differ:
        reason = messages.text("stages.gate_lengths")
    elif gap is not None and not gap <= ALLOWED_GAP:
        reason = messages.text("stages.gate_gap", gap=gap, allowed=ALLOWED_GAP)
    return Gate(
        passed=not reason,
        prompts=len(expected),
        differing=differing,
        largest_gap=None if gap is None or math.isnan(gap) else float(f"{gap:.1e}"),
        reason=reason,
    )


def _output(prediction: Prediction) -> object:
    return (prediction.label, prediction.tags, prediction.text)


def _logprobs(prediction: Prediction) -> tuple[float, ...]:
    """What is compared number by number: token log-probabilities, all labels' probabilities, or the vector."""
    shares = prediction.probabilities or {}
    return (*(prediction.logprobs or ()), *(shares[label] for label in sorted(shares)), *(prediction.vector or ()))


def _non_latin(text: str) -> bool:
    return any(char.isalpha() and not unicodedata.name(char, "").startswith("LATIN") for char in text)
