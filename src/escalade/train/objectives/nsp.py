"""Masked language modelling and next-sentence prediction at once (Devlin et al. 2019, section 3.1 and appendix A.2)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from escalade.data.sentences import joined
from escalade.errors import BadInput
from escalade.models.encoding import encode_offsets, encode_plain
from escalade.protocols import Batch, Row
from escalade.records import Record, Segments
from escalade.train.losses import IGNORE, cross_entropy_sum
from escalade.train.objectives.matrix import matrix
from escalade.train.objectives.mlm import Mlm

RANDOM_NEXT = 0.5
SHORT = 0.1
"""Share of the documents that are cut into shorter segments."""
_AROUND = 3
"""``[CLS] A [SEP] B [SEP]``"""


class Nsp(Mlm):
    """Two terms: ``token`` as ``Mlm`` has it, and ``pair``, whether the second segment follows the first.

    Each is averaged over what it counts, and both weigh the same, as in the authors' code. The model is a
    ``BertForPreTraining`` (head ``pretrain``). Options are those of ``Mlm``.

    Raises:
        BadInput: The tokenizer has no mask token, or no tokens that begin and part segments.
    """

    weights: Mapping[str, float] = {"token": 1.0, "pair": 1.0}
    _around = _AROUND + 1
    """So that each segment has a token."""

    def __init__(self, tokenizer: Any, context: int, **options: Any) -> None:
        super().__init__(tokenizer, context, **options)
        self._first, self._part = _marks(tokenizer)

    def encode(self, record: Record) -> Row | None:
        """Both segments; ``group`` is the place of the second one's first token, ``target`` 1 for a random one.

        Segments that do not fit are cut at random from either end, the longer one first, as ``instances`` does.

        Raises:
            BadInput: The record is not one of Segments.
        """
        if not isinstance(record, Segments):
            raise BadInput("train.wrong_record", place=record.id, given=type(record).__name__, wanted="Segments")
        one, two = encode_plain(self.tokenizer, record.first), encode_plain(self.tokenizer, record.second)
        if not one or not two:
            return None
        room = self.context - _AROUND
        if len(one) + len(two) > room:
            self.cut.append(record.id)
            cuts = _bounds(len(one), len(two), room, random.Random(record.id))
            one, two = one[slice(*cuts[0])], two[slice(*cuts[1])]
        row = self.row(record.id, [self._first, *one, self._part, *two, self._part])
        if row is None:
            return None
        return Row(row.id, row.ids, row.roles, target=(int(not record.follows),), group=len(one) + 2)

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """What ``Mlm`` gives, the segment of each token (``types``), and per row whether the second is random."""
        types = matrix([[0] * row.group + [1] * (len(row.ids) - row.group) for row in rows], 0)
        return {
            **super().collate(rows, seeds),
            "types": types,
            "random": torch.tensor([row.target[0] for row in rows]),
        }

    def counts(self, batch: Batch) -> dict[str, int]:
        """Hidden tokens, and pairs."""
        return {**super().counts(batch), "pair": len(batch["random"])}

    def totals(self, models: Mapping[str, Any], batch: Batch) -> dict[str, Tensor]:
        """Summed cross-entropy in nats of the hidden tokens and of the pairs.

        Raises:
            BadInput: The model has no head for pairs.
        """
        tokens, pairs = logits(models["policy"], batch)
        return {
            "token": cross_entropy_sum(tokens, batch["labels"][batch["labels"] != IGNORE]),
            "pair": cross_entropy_sum(pairs, batch["random"]),
        }


def logits(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """(hidden tokens, vocabulary) at the places that are learnt, and (rows, 2).

    Raises:
        BadInput: The model has no head for pairs.
    """
    learnt = batch["labels"] != IGNORE
    # The output layer is handed the learnt places only: it is most of the work of a small model.
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0][learnt],))
    try:
        said = model(input_ids=batch["ids"], attention_mask=batch["mask"], token_type_ids=batch["types"])
    finally:
        hook.remove()
    if getattr(said, "seq_relationship_logits", None) is None:
        raise BadInput("train.no_pair_head", place=type(model).__name__)
    return said.prediction_logits, said.seq_relationship_logits


# -- pairs from documents ---------------------------------------------------------------------------------------------


def instances(
    documents: Sequence[Sequence[str]], tokenizer: Any, context: int, seed: int, copies: int = 1
) -> list[Segments]:
    """Pairs of segments made from documents as BERT's were.

    Sentences of a document are gathered until they reach the target length, ``context`` less three, in one document
    of ten a uniformly random one from 2 to that. The first 1 to n - 1 of n, at random, are segment A. B is the rest of
    them, or with probability 0.5 (and always where there is one sentence) running sentences from a random place of
    another document; those that B did not use are then put back. What is too long is cut a token at a time from the
    longer segment, at its front or its end with the same probability.

    Args:
        documents: Each as its sentences, such as ``data.sentences.sentences`` gives them.
        tokenizer: The encoder's tokenizer.
        context: Longest input in tokens.
        seed: Everything random follows from it.
        copies: How often each document is gone through, with other pairs every time (BERT's dupe factor).

    Returns:
        Records in the order of copies and documents; ``group`` names the document of A.

    Raises:
        BadInput: Fewer than two documents have any text, or the context has no room for two segments.
    """
    _marks(tokenizer)
    if context < _AROUND + 2:
        raise BadInput("train.context_small", place="instances", given=context, least=_AROUND + 2)
    counted = [[(s, n) for s in document if (n := len(encode_plain(tokenizer, s)))] for document in documents]
    kept = [(i, document) for i, document in enumerate(counted) if document]
    if len(kept) < 2:
        raise BadInput("train.one_document", place="documents", given=len(kept))
    draw, made = random.Random(seed), list[Segments]()
    texts = [document for _, document in kept]
    for copy in range(copies):
        for at, (name, _) in enumerate(kept):
            pairs = _of_document(texts, at, context - _AROUND, draw)
            for k, (first, second, follows) in enumerate(pairs):
                one, two = _short(tokenizer, first, second, context - _AROUND, draw)
                made.append(Segments(f"{copy}:{name}:{k}", one, two, follows, group=f"document:{name}"))
    return made


_Sentence = tuple[str, int]
"""Its text and its number of tokens."""


def _of_document(
    documents: Sequence[Sequence[_Sentence]], at: int, longest: int, draw: random.Random
) -> list[tuple[list[str], list[str], bool]]:
    """Segments A and B of one document, and whether B follows A."""
    document = documents[at]
    target = draw.randint(2, longest) if draw.random() < SHORT else longest
    made: list[tuple[list[str], list[str], bool]] = []
    start = 0
    while start < len(document):
        stop = _reach(document, start, target)
        count = stop - start
        seam = start + (draw.randint(1, count - 1) if count > 1 else 1)
        first = document[start:seam]
        follows = not (count == 1 or draw.random() < RANDOM_NEXT)
        if follows:
            second = document[seam:stop]
        else:
            second = _random_next(documents, at, target - sum(n for _, n in first), draw)
        made.append(([text for text, _ in first], [text for text, _ in second], follows))
        start = stop if follows else seam
    return made


def _reach(document: Sequence[_Sentence], start: int, target: int) -> int:
    """Behind the sentence with which those from ``start`` on have ``target`` tokens, or behind the last one."""
    length = 0
    for i in range(start, len(document)):
        length += document[i][1]
        if length >= target:
            return i + 1
    return len(document)


def _random_next(
    documents: Sequence[Sequence[_Sentence]], at: int, wanted: int, draw: random.Random
) -> Sequence[_Sentence]:
    """Sentences from a random place of another document, until they have the tokens wanted; one at least."""
    other = draw.randrange(len(documents) - 1)
    document = documents[other + (other >= at)]
    start = draw.randrange(len(document))
    return document[start : max(start + 1, _reach(document, start, wanted))]


def _short(tokenizer: Any, first: list[str], second: list[str], room: int, draw: random.Random) -> tuple[str, str]:
    """Both segments as texts that have ``room`` tokens together at most."""
    one, two = joined(first), joined(second)
    places = [encode_offsets(tokenizer, text)[1] for text in (one, two)]
    cuts = _bounds(len(places[0]), len(places[1]), room, draw)
    return _slice(one, places[0], *cuts[0]), _slice(two, places[1], *cuts[1])


def _bounds(one: int, two: int, room: int, draw: random.Random) -> list[tuple[int, int]]:
    """From where to where each of two segments of so many tokens is kept, so that both have ``room`` at most."""
    kept = [[0, one], [0, two]]
    for _ in range(one + two - room):
        longer = kept[0] if kept[0][1] - kept[0][0] > kept[1][1] - kept[1][0] else kept[1]
        if draw.random() < 0.5:
            longer[0] += 1
        else:
            longer[1] -= 1
    return [(left, right) for left, right in kept]


def _slice(text: str, places: Sequence[tuple[int, int]], left: int, right: int) -> str:
    """The text of the tokens from ``left`` to ``right``, the whole of it where none is gone."""
    start = places[left][0] if left else 0
    return text[start : places[right - 1][1]] if right < len(places) else text[start:]


def _marks(tokenizer: Any) -> tuple[int, int]:
    """The tokens that begin a row and end a segment.

    Raises:
        BadInput: The tokenizer has none.
    """
    if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        raise BadInput("train.no_pair_tokens", place=tokenizer.name_or_path)
    return int(tokenizer.cls_token_id), int(tokenizer.sep_token_id)
