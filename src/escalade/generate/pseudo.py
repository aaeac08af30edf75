"""PseudoScorer: how likely an encoder finds a text that stands behind another, by masking one token at a time.

An encoder has no distribution over continuations. What stands for one is the pseudo-log-likelihood (Salazar et al.
2020, "Masked Language Model Scoring", equation 2): each token of the completion given all other tokens, it alone
masked; the prompt is read and never masked. Every token costs a pass of its own, and all are made.

The rest of a word all but tells its token: masked alone, the pieces of rare words score too high. ``words`` therefore
also hides, from each token, the later tokens of its own word (PLL-word-l2r: Kauf & Ivanova 2023, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from escalade.errors import BadInput
from escalade.generate.choose import log_probability
from escalade.generate.likelihood import Ids, batches, width, with_masks
from escalade.generate.reading import padded, quiet
from escalade.models.encoding import encode_plain, frame


class _Row(NamedTuple):
    """One pass: what is read of a pair, with one token to be told."""

    ids: tuple[int, ...]
    place: int
    hidden: tuple[int, ...]


class PseudoScorer:
    """Pseudo-log-likelihoods of an encoder with a masked-language head.

    Not safe to use from two threads at once.

    Args:
        model: Gives logits (rows, tokens, vocabulary).
        tokenizer: Of the model.
        name: What the scorer is called.
        context: Longest input in tokens, special ones included.
        words: Hides the later tokens of a word from its earlier ones.

    Raises:
        BadInput: The tokenizer has no mask token.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, context: int, words: bool = False) -> None:
        if tokenizer.mask_token_id is None:
            raise BadInput("generate.no_mask_token", place=name)
        self.name = name
        self.context = context
        self.words = words
        self._model = model
        self._tokenizer = tokenizer
        self._before, self._after = frame(tokenizer)

    @property
    def signature(self) -> str:
        """What is computed, in the words that stand beside a score."""
        return "PLL-word-l2r" if self.words else "PLL"

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        """Pseudo-log-likelihood of each token of each completion given its prompt and the completion's other tokens.

        There is no end token: special tokens are read and never told (Salazar et al. 2020, section 2.1).

        Raises:
            BadInput: A prompt with its completion is longer than the context, there are not as many of both, or the
                model's logits are not numbers.
        """
        if len(prompts) != len(completions):
            raise BadInput("generate.uneven", place=self.name, prompts=len(prompts), completions=len(completions))
        pairs = list(zip(prompts, completions, strict=True))
        parts = [self._rows(place, *pair) for place, pair in enumerate(pairs)]
        # The same passes are made once: beside other rows they would score otherwise in the last digits.
        rows = list(dict.fromkeys(row for part in parts for row in part))
        found: dict[_Row, float] = {}
        for some in batches(rows, lambda row: len(row.ids), width(self._model)):
            found |= zip(some, self._read(some), strict=True)
        return [tuple(found[row] for row in part) for part in parts]

    def _rows(self, pair: int, prompt: str, completion: str) -> list[_Row]:
        """One pass for each token of the completion."""
        before = [*self._before, *encode_plain(self._tokenizer, prompt)]
        own, ends = self._words(completion)
        ids = (*before, *own, *self._after)
        if len(ids) > self.context:
            where = f"{self.name}, {pair}"
            raise BadInput("generate.pair_too_long", place=where, length=len(ids), context=self.context)
        rows = []
        for place, end in enumerate(ends, start=len(before)):
            last = len(before) + end if self.words else place + 1
            rows.append(_Row(ids, place, tuple(range(place, last))))
        return rows

    def _words(self, text: str) -> tuple[Ids, list[int]]:
        """The text's tokens, and for each where its word ends (behind its last token)."""
        made = self._tokenizer(text, add_special_tokens=False, verbose=False)
        words = made.word_ids()
        ends = list(range(1, len(words) + 1))
        for i in reversed(range(len(words) - 1)):
            if words[i] is not None and words[i] == words[i + 1]:
                ends[i] = ends[i + 1]
        return list(made["input_ids"]), ends

    def _read(self, rows: Sequence[_Row]) -> Iterator[float]:
        device = next(self._model.parameters()).device
        read = [with_masks(list(row.ids), row.hidden, self._tokenizer) for row in rows]
        ids, mask = padded(read, self._tokenizer.pad_token_id, left=False, device=device)
        with quiet(self._model):
            logits = self._model(input_ids=ids, attention_mask=mask).logits
        places = torch.tensor([row.place for row in rows], device=device)
        wanted = torch.tensor([row.ids[row.place] for row in rows], device=device)
        told = log_probability(logits[torch.arange(len(rows), device=device), places], wanted)
        if bool(told.isnan().any()):
            raise BadInput("generate.not_finite", place=self.name)
        yield from told.tolist()
