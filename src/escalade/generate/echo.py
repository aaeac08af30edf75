"""What a decoder reads, told token by token: pieces of text, log-probabilities, and what would have been likelier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from escalade.generate.likelihood import Ids, batches, width
from escalade.generate.reading import Reader
from escalade.generate.text import REPLACEMENT
from escalade.models.encoding import encode_plain
from escalade.protocols import Echo, Generation

_NOTHING = Generation("", "length", 0, 0)


class Speller:
    """Says tokens as texts, and how likely a decoder finds them.

    Args:
        tokenizer: Of the model.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}
        # Alone, a token that begins a word loses its blank in some tokenizers; behind another one it keeps it.
        self._before: Ids = encode_plain(tokenizer, "a")

    def piece(self, token: int) -> str:
        """The text of one token; the vocabulary's name of a special one, and of one that is a part of a character."""
        text = self._whole(token)
        return str(self._tokenizer.convert_ids_to_tokens(token)) if REPLACEMENT in text else text

    def read(self, reader: Reader, rows: Sequence[Ids], top: int) -> list[Echo]:
        """What a decoder finds of rows of tokens; prompt and output are left empty.

        Args:
            reader: Of the decoder.
            rows: Each with one token at least.
            top: How many of the likeliest tokens are told in each place.
        """
        numbers: list[list[tuple[float, dict[str, float]]]] = [[] for _ in rows]
        places = [i for i, row in enumerate(rows) if len(row) > 1]
        for some in batches(places, lambda i: len(rows[i]), width(reader.model)):
            logits = reader.predicted([(rows[i][:1], rows[i][1:]) for i in some])
            for i, row in zip(some, logits, strict=True):
                numbers[i] = list(self._likely(row, rows[i][1:], top))
        return [self._told(row, found) for row, found in zip(rows, numbers, strict=True)]

    def _likely(self, logits: torch.Tensor, ids: Ids, top: int) -> Iterator[tuple[float, dict[str, float]]]:
        """Each token's log-probability, and the likeliest tokens of its place with it among them."""
        logprobs = logits.float().log_softmax(-1)
        own = logprobs[range(len(ids)), ids].tolist()
        values, tokens = (found.tolist() for found in logprobs.topk(min(top, logprobs.shape[-1])))
        for token, logprob, best, likeliest in zip(ids, own, values, tokens, strict=True):
            # Two tokens may have one text ("a" as a letter and as a byte, say); the likelier one is told.
            found = {self.piece(other): value for other, value in reversed(list(zip(likeliest, best, strict=True)))}
            yield logprob, {self.piece(token): logprob} | found

    def _told(self, ids: Ids, numbers: Sequence[tuple[float, dict[str, float]]]) -> Echo:
        return Echo(
            prompt="",
            done=_NOTHING,
            tokens=tuple(self.piece(token) for token in ids),
            offsets=tuple(self._offsets(ids)),
            logprobs=(None, *(logprob for logprob, _ in numbers)),
            top=(None, *(likeliest for _, likeliest in numbers)),
        )

    def _offsets(self, ids: Ids) -> Iterator[int]:
        """Where each token begins; those that share a character all begin where it does."""
        special, at, known = set(self._tokenizer.all_special_ids), 0, len(self._text(self._before))
        parts: Ids = []
        for token in ids:
            text = self._whole(token)
            yield at
            if REPLACEMENT in text:
                parts.append(token)
                text = self._text([*self._before, *parts])[known:]
                if REPLACEMENT in text:
                    continue
            parts = []
            at += 0 if token in special else len(text)

    def _whole(self, token: int) -> str:
        """The text of one token, with U+FFFD where it is no whole character."""
        if token not in self._known:
            self._known[token] = self._text([*self._before, token])[len(self._text(self._before)) :]
        return self._known[token]

    def _text(self, ids: Ids) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
