"""Pairs of texts that may be alike: MinHash signatures and locality-sensitive hashing, vectorised.

A text is the set of its character 5-grams. One-permutation hashing (Li, Owen and Zhang 2012) reads each of them once;
bins left empty borrow from filled ones in an order common to all texts (Shrivastava 2017, "Optimal Densification for
Fast and Accurate Minwise Hashing"), so that two texts agree in a bin with a probability near their Jaccard
similarity. Bands of the signature are the hash-table keys (Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", chapter 3): at a similarity of 0.8, with 21 bands of 6, a pair is missed about twice in a thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

GRAM = 5
BINS = 128
BANDS, ROWS = 21, 6
_CHUNK = 4_000_000
_LONGEST_RUN = 32
_EMPTY = np.uint64(2**64 - 1)

Hashes = NDArray[np.uint64]


def shingles(text: str) -> set[str]:
    """The set of character 5-grams of a text; of a shorter one, itself."""
    return {text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1))}


def jaccard(first: set[str], second: set[str]) -> float:
    """Size of the intersection over size of the union."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def candidates(texts: Sequence[str], sides: Sequence[int], seed: int) -> Iterator[tuple[int, int]]:
    """Pairs (i, j) of texts of different sides that share a band, ``sides[i] < sides[j]``, each once, in order of j.

    In a crowd of texts that share a band only the first 32 of a side are paired with each of the others.
    """
    if len(texts) < 2:
        return
    signature = signatures(texts, seed)
    sided = np.asarray(sides)
    found: set[tuple[int, int]] = set()
    for band in range(BANDS):
        key = _mix(signature[:, band * ROWS : (band + 1) * ROWS], seed + band)
        order = np.argsort(key, kind="stable")
        starts = np.concatenate([[0], np.flatnonzero(np.diff(key[order])) + 1])
        ends = np.append(starts[1:], len(order))
        low, high = (extreme.reduceat(sided[order], starts) for extreme in (np.minimum, np.maximum))
        for start, end in zip(starts[low < high], ends[low < high], strict=True):
            found.update(_across(order[start:end], sided))
    yield from sorted(found, key=lambda pair: (pair[1], pair[0]))


def _across(run: NDArray[np.intp], sides: NDArray[np.int_]) -> Iterator[tuple[int, int]]:
    by_side: dict[int, list[int]] = {}
    for i in run.tolist():
        by_side.setdefault(int(sides[i]), []).append(i)
    for low in sorted(by_side):
        for high in sorted(by_side):
            if low < high:
                yield from ((i, j) for j in by_side[high] for i in by_side[low][:_LONGEST_RUN])


def signatures(texts: Sequence[str], seed: int) -> Hashes:
    """MinHash signatures, (texts, 128)."""
    filled = np.full((len(texts), BINS), _EMPTY)
    start = 0
    while start < len(texts):
        end, size = start, 0
        while end < len(texts) and (size == 0 or size + len(texts[end]) < _CHUNK):
            size += len(texts[end]) + GRAM
            end += 1
        _fill(filled[start:end], texts[start:end], seed)
        start = end
    return _densified(filled, seed)


def _fill(bins: Hashes, texts: Sequence[str], seed: int) -> None:
    """The smallest hash of each bin; the hash's high bits name the bin."""
    padded = [text.ljust(GRAM) for text in texts]
    lengths = np.asarray([len(text) for text in padded])
    codes = np.frombuffer("".join(padded).encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32)
    windows = np.zeros(len(codes) - GRAM + 1, dtype=np.uint64)
    for i in range(GRAM):
        windows = windows * np.uint64(1_000_003) + codes[i : i + len(windows)]
    hashes = _scrambled(windows + np.uint64(seed % 2**32))
    owner = np.repeat(np.arange(len(padded)), lengths)[: len(windows)]
    place = np.arange(len(windows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)[: len(windows)]
    inside = place <= lengths[owner] - GRAM
    hashes, owner = hashes[inside], owner[inside]
    slot = owner * BINS + (hashes >> np.uint64(57)).astype(np.int64)
    flat = bins.reshape(-1)
    np.minimum.at(flat, slot, hashes)


def _densified(bins: Hashes, seed: int) -> Hashes:
    order = np.stack([np.random.default_rng([seed % 2**32, i]).permutation(BINS) for i in range(BINS)])
    full, source = bins != _EMPTY, bins.copy()
    for attempt in range(BINS):
        empty = source == _EMPTY
        if not empty.any():
            break
        rows, columns = np.nonzero(empty)
        lender = order[columns, attempt]
        lends = full[rows, lender]
        source[rows[lends], columns[lends]] = bins[rows[lends], lender[lends]]
    return source


def _mix(columns: Hashes, salt: int) -> Hashes:
    key = np.full(len(columns), np.uint64(salt % 2**32))
    for i in range(columns.shape[1]):
        key = _scrambled(key ^ columns[:, i])
    return key


def _scrambled(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every input bit moves every output bit."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
