"""Gap sentences: a text's principal sentences are written from the others (Zhang et al. 2020, PEGASUS, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from escalade.protocols import Batch, Row
from escalade.records import Record, input_text
from escalade.train.objectives.token import Restoring, check_share
from escalade.train.objectives.words import encode_sentences

RATIO = 0.3


class Gap(Restoring):
    """Each principal sentence is replaced by one mask token; the target is all of them in the order of the text.

    Of n sentences clip(round(ratio x n), 1, n - 1) are taken, those with the highest ROUGE-1 F1 against the rest of the
    text, each judged by itself and every repetition of a unigram counted ("Ind-Orig"). Unigrams are token ids, so that
    the measure is the same for any script. Nothing is random, and no other token is masked, as in the large model.

    A sentence that the context cuts is read, but never taken: its end could not be written.

    Args:
        tokenizer: The model's tokenizer.
        context: Longest source and target in tokens.
        ratio: Share of the sentences that is taken.

    Raises:
        BadInput: The tokenizer has no mask token, the context is too small, or the ratio is no share.
    """

    def __init__(self, tokenizer: Any, context: int, ratio: float = RATIO) -> None:
        super().__init__(tokenizer, context)
        check_share("ratio", ratio)
        self.ratio = ratio

    def encode(self, record: Record) -> Row | None:
        """Source and target; None where the context holds fewer than two sentences."""
        ids, firsts = encode_sentences(self.tokenizer, input_text(record))
        bounds = [*firsts, len(ids)]
        if len(ids) > self.room:
            self.cut.append(record.id)
            bounds = [bound for bound in bounds if bound < self.room] + [self.room]
        parts = [ids[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
        if len(parts) < 2:
            return None
        whole = len(parts) - (bounds[-1] < len(ids) and self.room not in firsts)
        taken = set(principal(parts, self.ratio, whole))
        source = [token for i, part in enumerate(parts) for token in ([self.mask] if i in taken else part)]
        target = [token for i in sorted(taken) for token in parts[i]]
        return Row(record.id, tuple(self.framed(source).tolist()), target=(*target, *self.end))

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Sources and targets; nothing is random."""
        return self.paired([row.ids for row in rows], [row.target for row in rows])


def principal(sentences: Sequence[Sequence[int]], ratio: float, whole: int | None = None) -> list[int]:
    """Indices of the principal sentences among the first ``whole`` ones, best first; of equals, the former.

    At least one is taken, and at least one is left.
    """
    candidates = len(sentences) if whole is None else whole
    count = min(max(1, round(ratio * len(sentences))), len(sentences) - 1, candidates)
    return np.argsort(-overlap_f1(sentences)[:candidates], kind="stable")[:count].tolist()


def overlap_f1(sentences: Sequence[Sequence[int]]) -> np.ndarray:
    """(sentences,): ROUGE-1 F1 (Lin 2004) of each against all the others together.

    With c unigrams shared (each as often as both have it), precision c / n and recall c / m, F1 is 2 c / (n + m), and
    n + m is the length of the text.
    """
    owner = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    _, kinds = np.unique(np.concatenate([np.asarray(sentence) for sentence in sentences]), return_inverse=True)
    counts = np.zeros((len(sentences), int(kinds.max()) + 1), dtype=np.int64)
    np.add.at(counts, (owner, kinds), 1)
    shared = np.minimum(counts, counts.sum(axis=0) - counts).sum(axis=1)
    return np.asarray(2 * shared / len(owner))
