"""Token classification: a tag a word, read at the word's first token (Devlin et al. 2019, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from escalade.errors import BadInput
from escalade.models.encoding import cut_words, encode_words
from escalade.protocols import Batch, Row
from escalade.records import Record, Tagged
from escalade.train.losses import IGNORE
from escalade.train.objectives.matrix import filled, matrix
from escalade.train.objectives.token import TokenObjective


class Tag(TokenObjective):
    """The first token of each word carries its tag; the others, and special tokens, are not learnt.

    Args:
        tokenizer: The model's tokenizer.
        labels: Names of the model's outputs, in their order.
        context: Longest input in tokens; what stands behind it is cut.
    """

    def __init__(self, tokenizer: Any, labels: Sequence[str], context: int) -> None:
        super().__init__(tokenizer, "encoder", context)
        self.labels = {label: i for i, label in enumerate(labels)}

    def encode(self, record: Record) -> Row | None:
        """The words' ids with role 1 where a word begins; the target holds the tags of these in order.

        Raises:
            BadInput: The record has no words, or a tag that the model does not have.
        """
        if not isinstance(record, Tagged):
            raise BadInput("train.wrong_record", place=record.id, given=type(record).__name__, wanted="Tagged")
        for tag in record.tags:
            if tag not in self.labels:
                raise BadInput("train.unknown_label", place=record.id, label=tag, known=", ".join(self.labels))
        if not record.tokens:
            return None
        whole, firsts = encode_words(self.tokenizer, record.tokens)
        ids, firsts = cut_words(self.tokenizer, whole, firsts, self.context)
        if len(ids) < len(whole):
            self.cut.append(record.id)
        if not firsts:
            return None
        at = set(firsts)
        tags = tuple(self.labels[tag] for tag, _ in zip(record.tags, firsts, strict=False))
        return Row(record.id, tuple(ids), roles=tuple(int(i in at) for i in range(len(ids))), target=tags)

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Words and tags; nothing is random."""
        ids = [row.ids for row in rows]
        return {
            "ids": matrix(ids, self.pad),
            "mask": filled(ids),
            "labels": matrix([_spread(row) for row in rows], IGNORE),
        }


def _spread(row: Row) -> list[int]:
    """The row's tags at the places with role 1, IGNORE elsewhere."""
    tags = iter(row.target)
    return [next(tags) if role else IGNORE for role in row.roles]
