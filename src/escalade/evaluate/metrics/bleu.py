"""BLEU (Papineni et al. 2002) as sacrebleu computes it (Post 2018): of a corpus, and averaged over its sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from escalade.errors import BadInput
from escalade.evaluate.bleu_tokens import splitting, tokenizer_of
from escalade.evaluate.corpus import Coded, Corpus, Numbers, Ragged, corpus_of, references_of
from escalade.evaluate.grams import gram_counts, shared_grams
from escalade.evaluate.metric import Matrix, Setting, means, ratio
from escalade.protocols import Prediction
from escalade.records import Record

_ORDERS = (1, 2, 3, 4)
_SMOOTHING = {"exp": None, "floor": 0.1, "add-k": 1.0, "none": None}
"""Each way to smooth with its usual value (Chen & Cherry 2014)."""


class Bleu:
    """Statistics: length, reference length, matches and n-grams of each order; 10 columns.

    The script of the references chooses the tokenizer where none is named: ``zh`` for Chinese, ``char`` for other
    scripts without blanks, ``13a`` for all others. Of several references the length nearest to the answer's counts.
    """

    name = "bleu"
    low = 0.0
    high = 100.0

    def __init__(self, setting: Setting) -> None:
        options = {"tok": "auto", "smooth": "exp", "value": "", "effective": "no"} | dict(setting.options)
        references = [references_of(record) for record in setting.records]
        self._tokenizer = options["tok"]
        if self._tokenizer == "auto":
            self._tokenizer = tokenizer_of([text for given in references for text in given], setting.facts.language)
        self._smooth, self._smoothing = options["smooth"], _value(options["smooth"], options["value"])
        self._effective = options["effective"] == "yes"
        smooth = self._smooth if self._smoothing is None else f"{self._smooth}[{self._smoothing:.2f}]"
        self.signature = (
            f"nrefs:{number_of_references(references)}|case:mixed|eff:{options['effective']}"
            f"|tok:{self._tokenizer}|smooth:{smooth}"
        )
        self._shared = setting.corpus

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 10)."""
        corpus = corpus_of(self._shared, predictions, records)
        found = corpus.split(self._tokenizer, lambda: splitting(self._tokenizer))
        matches = shared_grams(found.answers, _by_place(corpus, found), _ORDERS)
        lengths = found.answers.lengths
        nearest = _nearest(corpus, lengths, found.references.lengths)
        rows = np.column_stack([lengths, nearest, matches, gram_counts(found.answers, _ORDERS)])
        return rows.astype(np.float64)

    def value(self, sums: Matrix) -> Matrix:
        """Geometric mean of the precisions with the brevity penalty, 0 to 100."""
        return bleu(sums, self._smooth, self._smoothing, self._effective)

    def details(self, sums: Matrix) -> dict[str, float]:
        """Precision of each order before smoothing, 0 to 100; the brevity penalty; how long the answers are."""
        precisions = 100 * ratio(sums[2:6], sums[6:10])
        found = {f"precision{order}": float(each) for order, each in zip(_ORDERS, precisions, strict=True)}
        lengths = float(ratio(sums[0], sums[1]))
        return found | {"brevity_penalty": float(_brevity(sums)), "length_ratio": lengths}


class SentenceBleu(Bleu):
    """Mean of the sentences' BLEU, orders that a sentence is too short for left out. Statistics: (score, 1)."""

    name = "sentence_bleu"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.signature += "|average:item"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        return means(super().value(super().statistics(predictions, records)).tolist())

    def value(self, sums: Matrix) -> Matrix:
        """Mean over the items."""
        return ratio(sums[..., 0], sums[..., -1])

    def details(self, sums: Matrix) -> dict[str, float]:
        """None: a mean of sentences has no precisions of its own."""
        return {}


def bleu(sums: Matrix, smooth: str, smoothing: float | None, effective: bool) -> Matrix:
    """BLEU of summed statistics, 0 to 100.

    Args:
        sums: Length, reference length, matches and n-grams of each order, shape (..., 10).
        smooth: ``exp``: an order without a match gets 1 / 2^k of one, k counting such orders from the lowest;
            ``floor``: ``smoothing`` of one; ``add-k``: ``smoothing`` is added to matches and n-grams above the first
            order; ``none``.
        smoothing: The value that ``floor`` and ``add-k`` need.
        effective: Leave out the orders that there are no n-grams of; else they make the score 0.

    Returns:
        Shape (...); 0 where nothing matches.
    """
    matches, grams = sums[..., 2:6], sums[..., 6:10]
    some = (matches > 0).any(-1)
    if smooth == "add-k":
        more = np.array([0.0, 1.0, 1.0, 1.0]) * (smoothing or 0.0)
        matches, grams = matches + more, grams + more
    # Orders above the first that has no n-grams do not count, even where add-k gives them some.
    there = np.logical_and.accumulate(grams > 0, axis=-1)
    none = matches == 0
    if smooth == "exp":
        matches = np.where(none, 0.5 ** np.cumsum(none & there, axis=-1), matches)
    elif smooth == "floor":
        matches = np.where(none, smoothing or 0.0, matches)
    counted = there if effective else np.ones_like(there)
    scored = some & (np.where(there, matches, 0.0) > 0).all(-1, where=counted)
    known = counted & np.expand_dims(scored, -1)
    logs = np.log(np.divide(matches, grams, out=np.ones_like(matches, dtype=np.float64), where=known))
    mean = np.exp(ratio(logs.sum(-1), counted.sum(-1).astype(np.float64)))
    return np.where(scored, 100 * _brevity(sums) * mean, 0.0)


def number_of_references(references: Sequence[Sequence[str]]) -> str:
    """How many references each item has, as signatures print it: ``1``, or ``var`` where it differs."""
    numbers = {len(given) for given in references} or {1}
    return str(numbers.pop()) if len(numbers) == 1 else "var"


def _brevity(sums: Matrix) -> Matrix:
    length, wanted = sums[..., 0], sums[..., 1]
    penalty = np.exp(np.minimum(0.0, 1 - ratio(wanted, length)))
    return np.where((length > 0) | (wanted == 0), penalty, 0.0)


def _value(smooth: str, given: str) -> float | None:
    usual = _SMOOTHING[smooth]
    if not given:
        return usual
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if usual is None or not 0 <= value < float("inf"):
        raise BadInput("evaluate.smoothing_value", place="bleu", given=given, smooth=smooth)
    return value


def _by_place(corpus: Corpus, found: Coded) -> list[Ragged]:
    """The first reference of every item, the second, and so on; rows are empty where an item has fewer."""
    most = int(corpus.counts.max(initial=1))
    if most == 1:
        return [found.references]
    starts = np.cumsum(corpus.counts) - corpus.counts
    empty = Ragged(found.references.codes, np.append(found.references.starts, found.references.starts[-1]))
    none = len(corpus.owner)
    return [empty.take(np.where(place < corpus.counts, starts + place, none)) for place in range(most)]


def _nearest(corpus: Corpus, lengths: Numbers, wanted: Numbers) -> Numbers:
    """The reference length nearest to the answer's, the shorter of equally near ones."""
    distance = np.abs(wanted - lengths[corpus.owner])
    order = np.lexsort((wanted, distance, corpus.owner))
    return wanted[order[np.cumsum(corpus.counts) - corpus.counts]]
