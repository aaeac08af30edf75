"""TorchSampler: text from any Hugging Face decoder or encoder-decoder, by a plain loop over its forward pass."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from escalade.errors import BadInput
from escalade.generate.choose import choose, draws, log_probability, rules_of
from escalade.generate.echo import Speller
from escalade.generate.likelihood import begin_token, width
from escalade.generate.reading import Reader, Reading
from escalade.generate.text import TextSoFar
from escalade.models.encoding import cut_prompt, decode, encode_completion, encode_prompt
from escalade.protocols import Echo, Generation, Piece, Prompt, Sampling
from escalade.values import Family

_WINDOW = 8
"""Batches that are sorted by length together: more saves padding, fewer gives the first outputs sooner."""


@dataclass
class _Output:
    """One output while it is made."""

    prompt: list[int]
    room: int
    uniform: Tensor
    rules: LogitsProcessorList
    before: list[int]
    """What stands before the first new token: the prompt, or the decoder's start token."""
    text: TextSoFar
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: Literal["stop", "length"] | None = None

    def add(self, token: int, logprob: float, ends: frozenset[int]) -> None:
        self.ids.append(token)
        self.logprobs.append(logprob)
        if token in ends or self.text.add(token):
            self.finish = "stop"
        elif len(self.ids) >= self.room:
            self.finish = "length"

    def done(self) -> Generation:
        return Generation(
            text=self.text.whole(),
            finish=self.finish or "length",
            prompt_tokens=len(self.prompt),
            completion_tokens=len(self.ids),
            logprobs=tuple(self.logprobs),
        )


class TorchSampler:
    """Greedy and sampled text from a model in memory.

    Greedy results are those of ``model.generate(do_sample=False, num_beams=1)``: the rules in the model's generation
    config (n-grams that may not repeat, forced or suppressed tokens) are kept, beams are not. The output for a
    prompt and a seed does not depend on the prompts beside it, up to the rounding of the matrix products.
    Not safe to use from two threads at once.

    Args:
        model: The model; its mode (train or eval) is left as found.
        tokenizer: Its tokenizer.
        family: ``decoder`` or ``encoder-decoder``.
        name: What the sampler is called.
        context: Most tokens of prompt and output together (decoder), or of each (encoder-decoder).
        batch: Most prompts read together.
        reserve: Tokens kept free for the output: a longer prompt is cut as in training (``cut_prompt``), down to a
            quarter of the context. None: a prompt longer than the context is an error, as a server owes its clients.

    Raises:
        BadInput: The family makes no text.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        family: Family,
        name: str,
        context: int,
        batch: int = 16,
        reserve: int | None = None,
    ) -> None:
        if family not in ("decoder", "encoder-decoder"):
            raise BadInput("generate.no_text", place=name, family=family)
        self.name = name
        self.family = family
        self.context = context
        self.reserve = reserve
        self.tokenizer = tokenizer
        pad = next((t for t in (tokenizer.pad_token_id, tokenizer.eos_token_id) if t is not None), 0)
        self.reader = Reader(model, family, pad)
        self.batch = 1 if self.reader.prompted else batch
        self._speller = Speller(tokenizer)
        self._ends = _end_tokens(model, tokenizer)
        vocabulary = tokenizer.get_vocab()
        fallback = {vocabulary[name] for name in (f"<0x{i:02X}>" for i in range(256)) if name in vocabulary}
        self._open = fallback | set(tokenizer.all_special_ids) if fallback else fallback

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """One output per prompt, in order; prompt i uses seed + i.

        Raises:
            BadInput: A prompt is empty or longer than the context (before anything is generated), or the model's
                logits are not numbers.
        """
        outputs = [self._output(prompt, sampling, i) for i, prompt in enumerate(prompts)]
        for start in range(0, len(outputs), self.batch * _WINDOW):
            window = outputs[start : start + self.batch * _WINDOW]
            by_length = sorted(window, key=lambda output: len(output.prompt), reverse=True)
            for first in range(0, len(by_length), self.batch):
                for _ in self._steps(by_length[first : first + self.batch], sampling):
                    pass
            yield from (output.done() for output in window)

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[Piece]:
        """The output of ``generate([prompt])`` in pieces; a character or stop text is never shown in part.

        Raises:
            BadInput: As ``generate``.
        """
        output = self._output(prompt, sampling, 0)
        for _ in self._steps([output], sampling):
            if output.finish is None and (piece := output.text.ready()):
                yield Piece(piece)
        yield Piece(output.text.rest(), output.done())

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        """Log-probability of each token of each completion (end token included) given its prompt.

        A completion behind an empty prompt is a whole text, and read behind what such texts begin with.

        Raises:
            BadInput: A prompt with its completion is longer than the context, or there are not as many of both.
        """
        if len(prompts) != len(completions):
            raise BadInput("generate.uneven", place=self.name, prompts=len(prompts), completions=len(completions))
        pairs = [
            (self._prompt(prompt) if prompt else self._nothing(), encode_completion(self.tokenizer, completion))
            for prompt, completion in zip(prompts, completions, strict=True)
        ]
        for place, (prompt, completion) in enumerate(pairs):
            self._must_fit(place, prompt, completion)
        # The same tokens are read once: beside other rows they would score otherwise in the last digits.
        keys = [(tuple(prompt), tuple(completion)) for prompt, completion in pairs]
        first_of = {key: i for i, key in reversed(list(enumerate(keys)))}
        scores: dict[int, tuple[float, ...]] = {}
        by_length = sorted(first_of.values(), key=lambda i: (-sum(map(len, pairs[i])), i))
        for first in range(0, len(by_length), self.batch):
            rows = by_length[first : first + self.batch]
            scores |= zip(rows, self._score_rows([pairs[i] for i in rows]), strict=True)
        return [scores[first_of[key]] for key in keys]

    def echo(self, prompts: Sequence[Prompt], sampling: Sampling, top: int = 0) -> Iterator[Echo]:
        """Prompts with what follows them, token by token.

        Args:
            prompts: Texts, or token ids that are read exactly as they are.
            sampling: Of what follows; with ``max_tokens`` 0, nothing does.
            top: How many of the likeliest tokens are told in each place.

        Raises:
            BadInput: The model is no decoder, or as for ``generate``.
        """
        if self.family != "decoder":
            raise BadInput("generate.no_echo", place=self.name)
        outputs = [self._output(prompt, sampling, i) for i, prompt in enumerate(prompts)]
        for first in range(0, len(outputs), self.batch):
            some = outputs[first : first + self.batch]
            for _ in self._steps(some, sampling):
                pass
            told = self._speller.read(self.reader, [[*output.prompt, *output.ids] for output in some], top)
            for given, output, one in zip(prompts[first : first + self.batch], some, told, strict=True):
                self._checked([number for number in one.logprobs if number is not None])
                text = given if isinstance(given, str) else decode(self.tokenizer, given)
                yield replace(one, prompt=text, done=output.done())

    def count(self, text: str) -> int:
        """Number of tokens of a text, special tokens not counted."""
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def strict(self) -> TorchSampler:
        """The same sampler, refusing prompts that are too long instead of cutting them."""
        twin = copy.copy(self)
        twin.reserve = None
        return twin

    def _prompt(self, given: Prompt) -> list[int]:
        if isinstance(given, str):
            ids = encode_prompt(self.tokenizer, self.family, given, self.context)
        else:
            ids = list(given)
            if ids and not 0 <= min(ids) <= max(ids) < width(self.reader.model):
                raise BadInput("generate.token_unknown", place=self.name, known=width(self.reader.model))
        if not ids:
            raise BadInput("generate.prompt_empty", place=self.name)
        if self.reserve is not None:
            free = self.reserve if self.family == "decoder" else 0
            ids = cut_prompt(self.tokenizer, self.family, ids, max(self.context // 4, self.context - free))
        if len(ids) > self.context:
            raise BadInput("generate.prompt_too_long", place=self.name, length=len(ids), context=self.context)
        return ids

    def _nothing(self) -> list[int]:
        """What an empty prompt is read as, where the tokenizer itself makes nothing of it."""
        ids = encode_prompt(self.tokenizer, self.family, "")
        return ids or [begin_token(self.tokenizer, self.reader.pad)]

    def _must_fit(self, place: int, prompt: list[int], completion: list[int]) -> None:
        length = len(completion) if self.family == "encoder-decoder" else len(prompt) + len(completion)
        if length > self.context:
            where = f"{self.name}, {place}"
            raise BadInput("generate.pair_too_long", place=where, length=length, context=self.context)

    def _output(self, prompt: Prompt, sampling: Sampling, index: int) -> _Output:
        ids = self._prompt(prompt)
        before = [self.reader.start_token()] if self.family == "encoder-decoder" else ids
        room = max(0, min(sampling.max_tokens, self.context - len(before)))
        config = getattr(self.reader.model, "generation_config", None)
        return _Output(
            prompt=ids,
            room=room,
            uniform=draws(sampling, index, room),
            rules=rules_of(config, ids, len(before), sorted(self._ends)),
            before=before,
            text=TextSoFar(partial(decode, self.tokenizer), self._open.__contains__, sampling.stop),
            finish=None if room else "length",
        )

    def _steps(self, outputs: Sequence[_Output], sampling: Sampling) -> Iterator[None]:
        """Adds one token to every unfinished output at each step, until none is left."""
        live = [output for output in outputs if output.finish is None]
        reading: Reading | None = self.reader.begin([output.prompt for output in live]) if live else None
        while reading is not None:
            tokens, logprobs = self._next(reading.logits(), live, sampling)
            for output, token, logprob in zip(live, tokens.tolist(), logprobs.tolist(), strict=True):
                output.add(token, logprob, self._ends)
            yield
            going = [i for i, output in enumerate(live) if output.finish is None]
            if not going:
                return
            reading.feed(tokens)
            if len(going) < len(live):
                reading.keep(torch.tensor(going, device=tokens.device))
                live = [live[i] for i in going]

    def _next(self, logits: Tensor, live: Sequence[_Output], sampling: Sampling) -> tuple[Tensor, Tensor]:
        """The next token of each row and its log-probability under the raw logits; both (rows,)."""
        scores = logits.clone() if any(output.rules for output in live) else logits
        for i, output in enumerate(live):
            if output.rules:
                so_far = torch.tensor([output.before + output.ids], device=logits.device)
                scores[i : i + 1] = output.rules(so_far, scores[i : i + 1])
        uniform = torch.stack([o.uniform[len(o.ids)] if len(o.uniform) else torch.zeros(()) for o in live])
        tokens = choose(scores, sampling, uniform)
        logprobs = log_probability(logits, tokens)
        if bool(logprobs.isnan().any()):
            raise BadInput("generate.not_finite", place=self.name)
        return tokens, logprobs

    def _score_rows(self, pairs: Sequence[tuple[list[int], list[int]]]) -> Iterator[tuple[float, ...]]:
        for logits, (_, completion) in zip(self.reader.predicted(pairs), pairs, strict=True):
            tokens = torch.tensor(completion, device=logits.device)
            yield self._checked(log_probability(logits, tokens).tolist())

    def _checked(self, logprobs: list[float]) -> tuple[float, ...]:
        if any(map(math.isnan, logprobs)):
            raise BadInput("generate.not_finite", place=self.name)
        return tuple(logprobs)


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an output: the model's own, and the one that completions are trained to end with."""
    said = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    of_model = said if isinstance(said, list) else [said]
    return frozenset(token for token in [*of_model, tokenizer.eos_token_id] if token is not None)
