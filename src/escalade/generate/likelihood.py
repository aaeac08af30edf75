"""How likely a model finds whole texts, and how far apart two models expect the next token to be.

What "the likelihood of a text" is depends on the family:

* decoder: the negative log-likelihood of all its tokens, the first given the beginning token. A text that is longer
  than the context is read in windows, each behind a beginning token of its own.
* encoder-decoder: that of its second half, given the first half as input. Such a model has no distribution over whole
  texts; it is one over continuations of what its encoder reads. Splitting a text into a prefix that is read and a
  target that is written is prefix language modelling (Raffel et al. 2020, section 3.3.1; Lester et al. 2021, section
  3.2, adapt T5 by it), and unlike the corruption of spans it needs no tokens that only some of these models have.
* encoder: the pseudo-log-likelihood (Salazar et al. 2020, "Masked Language Model Scoring", equation 2): each token
  given all the others, it alone masked. One pass for each token is dear, so every k-th token is masked in one pass, and
  k passes with the offsets 0 to k - 1 would reach every token once. One of those passes is made (``passes``), and its
  mean stands for the other tokens; which, turns from text to text, so that over all texts every offset is used alike.
  With all passes, and k at least the number of tokens, that is equation 2 itself. Tokens masked together do not see
  each other, so the values are somewhat higher; base and adapted model are measured alike.

The end token is never counted: a sample of a text does not end where the text does. Bytes are those of the text that
is predicted, so tokens a tokenizer does not know count with the bytes they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escalade.errors import BadInput
from escalade.generate.choose import log_probability
from escalade.generate.reading import Reader, padded, quiet
from escalade.models.encoding import cut_prompt, encode_plain, encode_prompt, frame
from escalade.values import Family

STRIDE = 7
"""Every 7th token is masked at a time: 14 %, about the share of masks that such heads were trained with (15 %)."""
PASSES = 1
"""Passes over each text, so that an encoder takes no more time than a decoder. More texts in one pass tell more than
fewer texts in several, since it is texts that are independent."""
_NUMBERS = 1 << 24
"""Most logits held at once: 64 MB."""
_BATCH = 16
_WHOLE_HALF = 0.25
"""How far from the middle, as a share of the text, a blank is looked for."""

Ids = list[int]
Row = TypeVar("Row")
Matrix = NDArray[np.float64]
OnBatch = Callable[[], None]


def signature(family: Family, context: int) -> str:
    """What :func:`text_nats` computes, in the words that stand beside a score."""
    return {
        "decoder": f"nll:whole text|windows:{context}",
        "encoder-decoder": f"nll:second half given first|windows:{context}",
    }.get(family, f"pll:every {STRIDE}th token masked per pass, {PASSES} of {STRIDE} offsets|windows:{context}")


def text_nats(
    reader: Reader, tokenizer: Any, texts: Sequence[str], context: int, on_batch: OnBatch = lambda: None
) -> Matrix:
    """Negative log-likelihood of texts under a decoder or encoder-decoder.

    Args:
        reader: Of the model.
        tokenizer: Of the model.
        texts: None of them empty.
        context: Longest input, and longest output, in tokens.
        on_batch: Called before each forward pass; what it raises ends the work.

    Returns:
        (texts, 2): nats, and the UTF-8 bytes that were predicted.

    Raises:
        BadInput: The model's logits are not numbers.
    """
    found = np.zeros((len(texts), 2))
    rows: list[tuple[int, Ids, Ids]] = []
    for place, text in enumerate(texts):
        given, target, found[place, 1] = _parts(tokenizer, reader, text, context)
        rows += [(place, given, target[i : i + context - 1]) for i in range(0, len(target), context - 1)]
    for some in batches(rows, lambda row: len(row[1]) + len(row[2]), width(reader.model)):
        on_batch()
        pairs = [(given, target) for _, given, target in some]
        for (place, _, target), logits in zip(some, reader.predicted(pairs), strict=True):
            found[place, 0] -= _total(logits, torch.tensor(target, device=logits.device))
    return _finite(found, reader.model)


def masked_nats(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    context: int,
    stride: int = STRIDE,
    passes: int | None = PASSES,
    on_batch: OnBatch = lambda: None,
) -> Matrix:
    """Negative pseudo-log-likelihood of texts under an encoder with a masked-language head.

    Args:
        model: Gives logits (rows, tokens, vocabulary).
        tokenizer: Of the model, with a mask token.
        texts: None of them empty.
        context: Longest input in tokens, special ones included; longer texts are read in windows.
        stride: Every how many tokens one is masked in the same pass.
        passes: How many of the ``stride`` offsets are read; None for all.
        on_batch: Called before each forward pass; what it raises ends the work.

    Returns:
        (texts, 2): nats, and UTF-8 bytes.

    Raises:
        BadInput: The model's logits are not numbers.
    """
    found = np.array([[0.0, len(text.encode())] for text in texts]).reshape(-1, 2)
    rows: list[tuple[int, Ids, list[int]]] = []
    tokens, read = np.zeros(len(texts)), np.zeros(len(texts))
    for place, text in enumerate(texts):
        for ids, places in _windows(tokenizer, text, context):
            tokens[place] += len(places)
            rows += [(place, ids, places[i::stride]) for i in _offsets(min(stride, len(places)), passes, len(rows))]
    device = next(model.parameters()).device
    for some in batches(rows, lambda row: len(row[1]), width(model)):
        on_batch()
        hidden = [with_masks(said, masked, tokenizer) for _, said, masked in some]
        batch, mask = padded(hidden, tokenizer.pad_token_id, left=False, device=device)
        with quiet(model):
            logits = model(input_ids=batch, attention_mask=mask).logits
        for (place, said, masked), row in zip(some, logits, strict=True):
            found[place, 0] -= _total(row[masked], torch.tensor([said[i] for i in masked], device=device))
            read[place] += len(masked)
    found[:, 0] *= tokens / np.maximum(read, 1)
    return _finite(found, model)


def divergences(
    base: Reader, adapted: Reader, pairs: Sequence[tuple[Ids, Ids]], on_batch: OnBatch = lambda: None
) -> Matrix:
    """KL(base || adapted) of the next token, summed over the tokens of each completion, both models reading the same.

    Args:
        base: Of the base.
        adapted: Of the adapted model, with the same vocabulary.
        pairs: Ids of prompt and completion, neither empty, which fit the context.
        on_batch: Called before each pair of forward passes; what it raises ends the work.

    Returns:
        (pairs, 2): nats, and the number of tokens.

    Raises:
        BadInput: A model's logits are not numbers.
    """
    found = np.array([[0.0, len(completion)] for _, completion in pairs]).reshape(-1, 2)
    rows = list(enumerate(pairs))
    for some in batches(rows, lambda row: len(row[1][0]) + len(row[1][1]), 2 * width(base.model)):
        on_batch()
        read = [pair for _, pair in some]
        for (place, _), one, other in zip(some, base.predicted(read), adapted.predicted(read), strict=True):
            found[place, 0] = _kl(one, other)
    return _finite(found, adapted.model)


def halves(text: str) -> tuple[str, str]:
    """A text in two: at the blank nearest to its middle, or in the middle of a text that has none nearby."""
    middle = len(text) // 2
    blanks = [i for i, letter in enumerate(text) if letter.isspace() and abs(i - middle) <= _WHOLE_HALF * len(text)]
    at = min(blanks, key=lambda i: (abs(i - middle), i), default=middle)
    return text[:at].rstrip(), text[at:].lstrip()


def begin_token(tokenizer: Any, pad: int) -> int:
    """What a text begins behind: the beginning token, else the end token of the text before."""
    begins = (tokenizer.bos_token_id, tokenizer.eos_token_id, pad)
    return int(next(token for token in begins if token is not None))


def _parts(tokenizer: Any, reader: Reader, text: str, context: int) -> tuple[Ids, Ids, int]:
    """What is given, the tokens that are predicted, and their bytes."""
    if reader.family == "encoder-decoder":
        first, second = halves(text)
        given = cut_prompt(tokenizer, reader.family, encode_prompt(tokenizer, reader.family, first), context)
        # A text of one character has no first half, and a model cannot read nothing.
        return given or [reader.pad], encode_plain(tokenizer, second), len(second.encode())
    return [begin_token(tokenizer, reader.pad)], encode_plain(tokenizer, text), len(text.encode())


def _windows(tokenizer: Any, text: str, context: int) -> Iterator[tuple[Ids, list[int]]]:
    """Ids with their special tokens, and the places of the others."""
    before, after = frame(tokenizer)
    ids, room = encode_plain(tokenizer, text), context - len(before) - len(after)
    for start in range(0, len(ids), room):
        some = ids[start : start + room]
        yield [*before, *some, *after], list(range(len(before), len(before) + len(some)))


def _offsets(count: int, passes: int | None, turn: int) -> list[int]:
    """Some of the offsets 0 to ``count - 1``, spread evenly, beginning elsewhere at each turn."""
    some = min(count, passes or count)
    return [(turn + i * count // some) % count for i in range(some)]


def with_masks(ids: Ids, places: Sequence[int], tokenizer: Any) -> Ids:
    """The ids with the mask token at some places."""
    hidden = list(ids)
    for place in places:
        hidden[place] = tokenizer.mask_token_id
    return hidden


def batches(rows: Sequence[Row], length: Callable[[Row], int], width: int) -> Iterator[list[Row]]:
    """Rows of similar length together, as many as the logits have room for; always the same for the same rows."""
    batch: list[Row] = []
    for row in sorted(rows, key=length, reverse=True):
        most = max(1, min(_BATCH, _NUMBERS // max(1, length(batch[0] if batch else row) * width)))
        if len(batch) >= most:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def width(model: Any) -> int:
    """Numbers of one token's logits."""
    return int(model.get_input_embeddings().weight.shape[0])


def _total(logits: Tensor, tokens: Tensor) -> float:
    return float(log_probability(logits, tokens).double().sum())


def _kl(base: Tensor, adapted: Tensor) -> float:
    """Sum over the tokens, (tokens, vocabulary) each; in double precision, since it is a small difference."""
    p, q = base.double().log_softmax(-1), adapted.double().log_softmax(-1)
    # A token that the base finds impossible counts nothing, whatever the other says of it.
    return float(torch.where(p.isneginf(), 0.0, p.exp() * (p - q)).sum())


def _finite(found: Matrix, model: Any) -> Matrix:
    if not np.isfinite(found).all():
        raise BadInput("generate.not_finite", place=type(model).__name__)
    return found
