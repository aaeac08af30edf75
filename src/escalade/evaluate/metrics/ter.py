"""TER (Snover et al. 2006) as sacrebleu computes it: edits per word of the reference, a moved run being one edit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from escalade.evaluate.corpus import Splitting, as_strings, corpus_of, references_of
from escalade.evaluate.edit_rate import edits
from escalade.evaluate.metric import Matrix, Setting, ratio
from escalade.evaluate.metrics.bleu import number_of_references
from escalade.evaluate.metrics.texts import style_in
from escalade.evaluate.script import splitter
from escalade.protocols import Prediction
from escalade.records import Record


class TER:
    """Statistics: the fewest edits to any reference, and the references' mean length.

    Words are what stands between blanks, in lower case; in scripts without blanks they are characters. Answers much
    longer than their references go above 100.
    """

    name = "ter"
    low = 0.0
    high = 100.0

    def __init__(self, setting: Setting) -> None:
        references = [references_of(record) for record in setting.records]
        self._tokenizer = setting.options.get("tok", "auto")
        if self._tokenizer == "auto":
            self._tokenizer = "characters" if style_in(setting) == "characters" else "tercom"
        number = number_of_references(references)
        self.signature = f"nrefs:{number}|case:lc|tok:{self._tokenizer}|norm:no|punct:yes|asian:no"
        self._shared = setting.corpus

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        corpus = corpus_of(self._shared, predictions, records)
        answers, references = corpus.split(("ter", self._tokenizer), self._splitting).pairs()
        found = np.array([edits(*pair) for pair in as_strings(answers, references)])
        starts = np.cumsum(corpus.counts) - corpus.counts
        fewest = np.minimum.reduceat(found, starts)
        lengths = np.add.reduceat(references.lengths, starts) / corpus.counts
        return np.column_stack([fewest, lengths]).astype(np.float64)

    def value(self, sums: Matrix) -> Matrix:
        """Edits per word, 100 being one each; where no reference has a word, 100 for any edit."""
        found, length = sums[..., 0], sums[..., 1]
        return 100 * np.where(length > 0, ratio(found, length), (found > 0).astype(np.float64))

    def _splitting(self) -> Splitting:
        if self._tokenizer == "characters":
            return Splitting(splitter("characters"))
        return Splitting(lambda stretch: [stretch.lower()])
