"""Causal language modelling: every token from those before it (Radford et al. 2018, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from escalade.models.encoding import encode_completion, encode_prompt
from escalade.protocols import Batch, Row
from escalade.records import Piece, Record, input_text
from escalade.train.objectives.token import TokenObjective, check_context


class Clm(TokenObjective):
    """Running text between a beginning and an end token.

    A text longer than the context is cut at its end, and then has no end token. Cut long texts into records with
    ``models.encoding.pieces`` to lose nothing.

    Raises:
        BadInput: The context has no room for a token and the one that follows it.
    """

    def __init__(self, tokenizer: Any, context: int) -> None:
        super().__init__(tokenizer, "decoder", context)
        check_context(self, context, 2)
        self._begin = encode_prompt(tokenizer, "decoder", "")

    def encode(self, record: Record) -> Row | None:
        """The text's ids; None where there is nothing to foretell."""
        text = input_text(record)
        ids = [*self._begin, *encode_completion(self.tokenizer, text)] if text else []
        if isinstance(record, Piece):
            # No end is learnt where there is none.
            ids = ids[:-1]
        if len(ids) > self.context:
            self.cut.append(record.id)
            ids = ids[: self.context]
        if len(ids) < 2:
            return None
        return Row(record.id, tuple(ids), roles=(1,) * len(ids))

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Labels are the next tokens."""
        return self.causal(rows)
