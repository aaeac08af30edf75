"""What two sequences have in common, beyond single grams: subsequences, stretches, and the union of subsequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from rapidfuzz.distance import LCSseq

from escalade.evaluate.corpus import Ragged, as_strings


def subsequences(first: Ragged, second: Ragged) -> list[int]:
    """Length of the longest common subsequence of each pair of rows."""
    return [LCSseq.similarity(one, two) for one, two in as_strings(first, second)]


def substring(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Length of the longest stretch that stands in both as it is."""
    places: dict[Hashable, list[int]] = {}
    for at, word in enumerate(second):
        places.setdefault(word, []).append(at)
    longest = 0
    ending: dict[int, int] = {}
    for word in first:
        # Length of the common stretch that ends here and at each place of the second.
        ending = {at: ending.get(at - 1, 0) + 1 for at in places.get(word, ())}
        longest = max(longest, max(ending.values(), default=0))
    return longest


def union(answer: Sequence[Sequence[int]], reference: Sequence[Sequence[int]]) -> int:
    """Words of the reference's sentences that a subsequence shared with any of the answer's sentences holds.

    Lin 2004, section 3.2; as in ROUGE 1.5.5 no word counts more often than either text has it.

    Args:
        answer: Its sentences.
        reference: Its sentences.
    """
    left = [Counter(word for sentence in text for word in sentence) for text in (answer, reference)]
    hits = 0
    for sentence in reference:
        for at in sorted(set().union(*(_subsequence(sentence, other) for other in answer))):
            word = sentence[at]
            if left[0][word] > 0 and left[1][word] > 0:
                hits += 1
                left[0][word] -= 1
                left[1][word] -= 1
    return hits


def _subsequence(first: Sequence[int], second: Sequence[int]) -> set[int]:
    """Positions in ``first`` of one longest common subsequence: the one that walking back finds, first before second.

    The table of lengths is kept as bits, a row per word of ``first`` (Hyyrö 2004, bit-parallel LCS): bit j is 0 where
    the length grows between column j and j + 1.
    """
    places: dict[int, int] = {}
    for at, word in enumerate(second):
        places[word] = places.get(word, 0) | 1 << at
    whole = (1 << len(second)) - 1
    rows = [whole]
    for word in first:
        last = rows[-1]
        same = last & places.get(word, 0)
        rows.append(((last + same) | (last - same)) & whole)

    def length(i: int, j: int) -> int:
        return j - (rows[i] & ((1 << j) - 1)).bit_count()

    found: set[int] = set()
    i, j = len(first), len(second)
    while i and j:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            found.add(i)
        elif length(i, j - 1) > length(i - 1, j):
            j -= 1
        else:
            i -= 1
    return found
