"""Which token comes next: greedy or sampled, under the rules that the model's own generation config sets."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    EncoderNoRepeatNGramLogitsProcessor,
    EncoderRepetitionPenaltyLogitsProcessor,
    ForcedBOSTokenLogitsProcessor,
    LogitsProcessorList,
    MinLengthLogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from escalade.protocols import Sampling

# Each maker gets the setting's value, the prompt (1, n), the length of what stands before the first new token, and
# the end tokens. The order is the one in which transformers applies them.
_Maker = Callable[[Any, Tensor, int, list[int]], Any]
_RULES: dict[str, _Maker] = {
    "encoder_repetition_penalty": lambda v, prompt, n, ends: EncoderRepetitionPenaltyLogitsProcessor(v, prompt),
    "repetition_penalty": lambda v, prompt, n, ends: RepetitionPenaltyLogitsProcessor(v),
    "no_repeat_ngram_size": lambda v, prompt, n, ends: NoRepeatNGramLogitsProcessor(v),
    "encoder_no_repeat_ngram_size": lambda v, prompt, n, ends: EncoderNoRepeatNGramLogitsProcessor(v, prompt),
    "bad_words_ids": lambda v, prompt, n, ends: NoBadWordsLogitsProcessor(v, ends),
    "min_length": lambda v, prompt, n, ends: MinLengthLogitsProcessor(v, ends),
    "min_new_tokens": lambda v, prompt, n, ends: MinNewTokensLengthLogitsProcessor(n, v, ends),
    "forced_bos_token_id": lambda v, prompt, n, ends: ForcedBOSTokenLogitsProcessor(v),
    "suppress_tokens": lambda v, prompt, n, ends: SuppressTokensLogitsProcessor(v),
    "begin_suppress_tokens": lambda v, prompt, n, ends: SuppressTokensAtBeginLogitsProcessor(v, n),
}
_NEUTRAL: dict[str, tuple[Any, ...]] = {"encoder_repetition_penalty": (1.0,), "repetition_penalty": (1.0,)}
_NEEDS_END = ("bad_words_ids", "min_length", "min_new_tokens")


def rules_of(config: Any, prompt: Sequence[int], before: int, ends: Sequence[int]) -> LogitsProcessorList:
    """The rules of a generation config, for one row.

    Row by row, not for the batch, because padding would count as text in the rules that look back.

    Args:
        config: The model's ``generation_config``, or None.
        prompt: Token ids of the prompt, without padding.
        before: Number of tokens that stand before the first new one (the prompt, or the decoder's start token).
        ends: Token ids that end an output.
    """
    rules = LogitsProcessorList()
    for name, make in _RULES.items():
        value = getattr(config, name, None)
        if value is None or value in _NEUTRAL.get(name, (0,)) or value == []:
            continue
        if name in _NEEDS_END and not ends:
            continue
        start = before + 1 if name == "begin_suppress_tokens" and _forces_first(config, before) else before
        rules.append(make(value, torch.tensor([prompt]), start, list(ends)))
    return rules


def _forces_first(config: Any, before: int) -> bool:
    return before <= 1 and getattr(config, "forced_bos_token_id", None) is not None


def draws(sampling: Sampling, index: int, count: int) -> Tensor:
    """The uniform numbers that prompt ``index`` will use, one a token, drawn from a generator of its own.

    Returns:
        (count,) float64 in [0, 1); empty where decoding is greedy.
    """
    if sampling.temperature == 0:
        return torch.empty(0, dtype=torch.float64)
    seed = secrets.randbits(63) if sampling.seed is None else (sampling.seed + index) % 2**63
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator, dtype=torch.float64)


def choose(scores: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """The next token of each row.

    Sampling is by inversion: tokens sorted by probability, and the first whose cumulated probability exceeds the
    row's uniform number. ``top_p`` keeps the smallest set of most probable tokens whose probability reaches it
    (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1).

    Args:
        scores: (rows, vocabulary) float32 logits.
        sampling: Temperature and top_p.
        uniform: (rows,) float64 in [0, 1); not read where decoding is greedy.

    Returns:
        (rows,) token ids.
    """
    if sampling.temperature == 0:
        return scores.argmax(dim=-1)
    probabilities, tokens = torch.softmax(scores.double() / sampling.temperature, dim=-1).sort(descending=True, dim=-1)
    cumulated = probabilities.cumsum(dim=-1)
    kept = cumulated - probabilities < sampling.top_p
    kept[:, 0] = True
    mass = (probabilities * kept).sum(dim=-1, keepdim=True)
    reached = torch.searchsorted(cumulated, uniform.to(scores.device).unsqueeze(1) * mass, right=True)
    last = kept.sum(dim=-1, keepdim=True) - 1
    return tokens.gather(1, torch.minimum(reached, last)).squeeze(1)


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-softmax of float32 raw logits at ``tokens``.

    Args:
        logits: (..., vocabulary).
        tokens: (...) token ids.

    Returns:
        (...) float32.
    """
    logits = logits.float()
    return logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - torch.logsumexp(logits, dim=-1)
