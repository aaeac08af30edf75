"""What likelihoods say of forgetting: bits per byte of a text, how it changed, and the divergence per token.

Both are ratios of sums, so the paired cluster bootstrap of :mod:`escalade.evaluate.statistics` bounds them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from escalade.evaluate.metric import Matrix, ratio
from escalade.evaluate.resample import Valuer
from escalade.evaluate.statistics import Paired, paired
from escalade.values import Change, Divergence

CONFIDENCE = 0.95
_SPAN = 8.0
"""Bits per byte of a model that knows nothing: the reach of a change where a single cluster says nothing of others."""


def bits_per_byte(sums: Matrix) -> Matrix:
    """Nats as bits, over UTF-8 bytes: (..., 2) sums of (nats, bytes) to (...).

    Per byte rather than per token, so that it does not depend on how a tokenizer cuts (Gao et al. 2020, The Pile,
    section 3.1): bits = nats / ln 2.
    """
    return ratio(sums[..., 0], sums[..., 1]) / math.log(2)


def per_token(sums: Matrix) -> Matrix:
    """Nats per token: (..., 2) sums of (nats, tokens) to (...)."""
    return ratio(sums[..., 0], sums[..., 1])


def change(
    base: Matrix, adapted: Matrix, clusters: Sequence[Hashable], *, texts: str, signature: str, seed: int
) -> Change:
    """How many bits per byte worse the adapted model finds the same texts than its base.

    Args:
        base: (texts, 2) nats and bytes under the base.
        adapted: (texts, 2) the same under the adapted model.
        clusters: Per text: what it is resampled with.
        texts: Digest of the texts.
        signature: What was computed.
        seed: Of the bootstrap.

    Returns:
        Adapted minus base with its 95 % interval, and the one-sided 95 % upper bound that a limit is held against.

    Raises:
        BadInput: The two have different lengths, or a number is not finite.
    """
    two_sided = _differing(base, adapted, clusters, CONFIDENCE, seed)
    one_sided = _differing(base, adapted, clusters, 2 * CONFIDENCE - 1, seed)
    return Change(
        texts=texts,
        base=float(bits_per_byte(base.sum(0))),
        adapted=float(bits_per_byte(adapted.sum(0))),
        difference=two_sided.difference,
        lower=two_sided.lower,
        upper=two_sided.upper,
        bound=one_sided.upper,
        confidence=CONFIDENCE,
        n=two_sided.n,
        clusters=two_sided.clusters,
        seed=seed,
        signature=signature,
    )


def divergence(nats: Matrix, clusters: Sequence[Hashable], *, signature: str, seed: int) -> Divergence:
    """Mean KL divergence in nats per token with its 95 % interval; the base's from itself is nought everywhere.

    Args:
        nats: (records, 2) summed divergence and number of tokens.
        clusters: Per record: what it is resampled with.
        signature: What was computed.
        seed: Of the bootstrap.
    """
    none = nats * np.array([0.0, 1.0])
    found = _paired(none, nats, clusters, per_token, CONFIDENCE, seed)
    return Divergence(
        value=found.difference,
        lower=max(0.0, found.lower),
        upper=found.upper,
        confidence=CONFIDENCE,
        tokens=int(nats[:, 1].sum()),
        n=found.n,
        clusters=found.clusters,
        seed=seed,
        signature=signature,
    )


def _differing(base: Matrix, adapted: Matrix, clusters: Sequence[Hashable], confidence: float, seed: int) -> Paired:
    return _paired(base, adapted, clusters, bits_per_byte, confidence, seed)


def _paired(
    first: Matrix, second: Matrix, clusters: Sequence[Hashable], value: Valuer, confidence: float, seed: int
) -> Paired:
    """The paired bootstrap; where nothing differs at all, nothing is uncertain.

    A likelihood is a sum over many tokens of a continuous function of the weights: it is the same to the last digit
    on every text only where the function is, unlike a share of right answers, which may be the same by chance.
    """
    found = paired(first, second, clusters, value, confidence=confidence, seed=seed, span=_SPAN)
    if np.array_equal(first, second):
        return replace(found, difference=0.0, lower=0.0, upper=0.0)
    return found
