"""A batch of prompts read by a model, token after token, with a key-value cache.

Decoders are padded on the left, so that every row's next token stands in the same column; encoders on the right, so
that absolute positions count from the first token.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from escalade.models.heads import base_of
from escalade.values import Family


@contextmanager
def quiet(model: Any) -> Iterator[None]:
    """No gradients and no dropout inside; the model's mode is put back, since training may go on with it.

    Not ``inference_mode``: some models keep buffers (rotary tables) made in a forward pass, and training could not
    use such tensors afterwards.
    """
    training = model.training
    if training:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if training:
            model.train()


def padded(rows: Sequence[Sequence[int]], pad: int, left: bool, device: Any) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as one matrix.

    Returns:
        Token ids and attention mask, both (rows, longest).
    """
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row, dtype=torch.long)
        mask[i, place] = 1
    return ids.to(device), mask.to(device)


def positions(mask: Tensor) -> Tensor:
    """Position of each token among the tokens that are not padding; (rows, length)."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


@dataclass(frozen=True)
class Source:
    """What a decoder attends to: hidden states (rows, length, width), or ids (rows, length) still to be encoded."""

    mask: Tensor
    hidden: Tensor | None = None
    ids: Tensor | None = None

    def keep(self, rows: Tensor) -> Source:
        """Some of the rows."""
        pick = [None if part is None else part[rows] for part in (self.hidden, self.ids)]
        return Source(self.mask[rows], *pick)

    def arguments(self) -> dict[str, Any]:
        """As ``forward`` takes it."""
        if self.hidden is None:
            return {"input_ids": self.ids, "attention_mask": self.mask}
        return {"encoder_outputs": BaseModelOutput(last_hidden_state=self.hidden), "attention_mask": self.mask}


class Reader:
    """Knows how to call one model, whatever arguments its ``forward`` has.

    Args:
        model: A Hugging Face decoder or encoder-decoder with a language-modelling head.
        family: ``decoder`` or ``encoder-decoder``.
        pad: Token id for padding; it is masked, so any id will do.
    """

    def __init__(self, model: Any, family: Family, pad: int) -> None:
        self.model = model
        self.family = family
        self.pad = pad
        adapters = getattr(model, "peft_config", {})
        self.prompted = any(getattr(config, "is_prompt_learning", False) for config in adapters.values())
        """Learnt virtual tokens stand before the text: rows are read one by one, whole, at every step."""
        self._accepted = set(inspect.signature(base_of(model).forward).parameters)

    @property
    def device(self) -> Any:
        """Where the model lies."""
        return next(self.model.parameters()).device

    def start_token(self) -> int:
        """The token that a decoder of an encoder-decoder begins with."""
        for config in (getattr(self.model, "generation_config", None), self.model.config):
            for name in ("decoder_start_token_id", "bos_token_id"):
                if (token := getattr(config, name, None)) is not None:
                    return int(token)
        return self.pad

    def known(self, **arguments: Any) -> dict[str, Any]:
        """The arguments that the model's ``forward`` names; virtual tokens set positions and cache themselves."""
        refused = ("position_ids", "past_key_values") if self.prompted else ()
        return {name: value for name, value in arguments.items() if name in self._accepted and name not in refused}

    def call(self, **arguments: Any) -> Any:
        """One forward pass without gradients."""
        with quiet(self.model):
            return self.model(**arguments, return_dict=True)

    def encode(self, prompts: Sequence[Sequence[int]]) -> Source:
        """What the encoder makes of prompts; with virtual tokens the prompts themselves, for ``forward`` to encode."""
        ids, mask = padded(prompts, self.pad, left=False, device=self.device)
        if self.prompted:
            return Source(mask, ids=ids)
        with quiet(self.model):
            hidden = self.model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True).last_hidden_state
        return Source(mask, hidden=hidden)

    def predicted(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[Tensor]:
        """What the model expects at each token of a completion, given its prompt and the tokens before it.

        Args:
            pairs: Ids of prompt and completion, neither empty; both together (decoder) or each (encoder-decoder) fit
                the context.

        Returns:
            Per pair the raw logits, (tokens of the completion, vocabulary).
        """
        longest = max(len(completion) for _, completion in pairs)
        if self.family == "encoder-decoder":
            # The decoder reads the completion one place late, behind its start token.
            source = self.encode([prompt for prompt, _ in pairs])
            shifted = [[self.start_token(), *completion[:-1]] for _, completion in pairs]
            inputs, mask = padded(shifted, self.pad, left=False, device=self.device)
            known = self.known(decoder_attention_mask=mask, use_cache=False)
            logits = self.call(**source.arguments(), decoder_input_ids=inputs, **known).logits
            return [row[: len(completion)] for row, (_, completion) in zip(logits, pairs, strict=True)]
        # The completions stand at the right end of left-padded rows, so only their logits are needed.
        ids, mask = padded([[*p, *c] for p, c in pairs], self.pad, left=True, device=self.device)
        known = self.known(position_ids=positions(mask), logits_to_keep=longest + 1, use_cache=False)
        logits = self.call(input_ids=ids, attention_mask=mask, **known).logits[:, -longest - 1 : -1]
        return [row[longest - len(completion) :] for row, (_, completion) in zip(logits, pairs, strict=True)]

    def begin(self, prompts: Sequence[Sequence[int]]) -> Reading:
        """Reads prompts; the reading gives the logits of each next token."""
        return EncodedReading(self, prompts) if self.family == "encoder-decoder" else Reading(self, prompts)


class Reading:
    """A batch being decoded by a decoder-only model."""

    def __init__(self, reader: Reader, prompts: Sequence[Sequence[int]]) -> None:
        self.reader = reader
        self.cache: Any = None
        self.ids, self.mask = padded(prompts, reader.pad, left=True, device=reader.device)

    def logits(self) -> Tensor:
        """Logits of the next token, (rows, vocabulary) float32."""
        return self._read(self._arguments())

    def feed(self, tokens: Tensor) -> None:
        """Takes the next token of each row, (rows,)."""
        self.ids = torch.cat([self.ids, tokens.unsqueeze(1)], dim=1)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)

    def keep(self, rows: Tensor) -> None:
        """Goes on with some of the rows only."""
        self.ids, self.mask = self.ids[rows], self.mask[rows]
        if self.cache is not None:
            self.cache.batch_select_indices(rows)

    def _arguments(self) -> dict[str, Any]:
        unread = 1 if self.cache is not None else self.ids.shape[1]
        known = self.reader.known(position_ids=positions(self.mask)[:, -unread:], logits_to_keep=1)
        return {"input_ids": self.ids[:, -unread:], "attention_mask": self.mask, **known}

    def _read(self, arguments: dict[str, Any]) -> Tensor:
        with_cache = self.reader.known(past_key_values=self.cache, use_cache=not self.reader.prompted)
        output = self.reader.call(**arguments, **with_cache)
        cache = getattr(output, "past_key_values", None)
        # A model without a cache that can be thinned out (state spaces) reads everything again at each step.
        usable = hasattr(cache, "batch_select_indices") and not self.reader.prompted
        self.cache = cache if usable else None
        return output.logits[:, -1].float()


class EncodedReading(Reading):
    """A batch being decoded by an encoder-decoder; the encoder runs once."""

    def __init__(self, reader: Reader, prompts: Sequence[Sequence[int]]) -> None:
        super().__init__(reader, [[reader.start_token()]] * len(prompts))
        self.source = reader.encode(prompts)

    def keep(self, rows: Tensor) -> None:
        """Goes on with some of the rows only."""
        super().keep(rows)
        self.source = self.source.keep(rows)

    def _arguments(self) -> dict[str, Any]:
        unread = 1 if self.cache is not None else self.ids.shape[1]
        return {**self.source.arguments(), "decoder_input_ids": self.ids[:, -unread:]}
