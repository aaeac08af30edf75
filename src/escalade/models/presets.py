"""Models to train from scratch: one family, one dial for the size.

The size counts the parameters that work on every token, that is all but embeddings. Depth follows BERT-base, whose
width is 64 times its depth; width is the multiple of 32 that comes nearest to the size, with attention heads of 32:

* encoder and decoder: 12 L d^2 parameters in L layers of width d, so L is about (size / 49152)^(1/3);
* encoder-decoder: 28 L d^2 in L + L layers, as the decoder's layers attend twice.

Depths of one and two layers more are tried too, and the nearest to the size is taken, so that small sizes, where one
step of 32 is much, are still met within a quarter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from transformers import BertConfig, LlamaConfig, PretrainedConfig, T5Config

from escalade.errors import BadInput
from escalade.models.heads import Head, auto_class, label_settings, native_head
from escalade.models.tokenizers import SPECIAL
from escalade.values import Family

SIZES = {"tiny": 0.5e6, "mini": 2e6, "small": 5e6}
"""Parameters without embeddings."""
_HEAD = 32
_STEP = 32
_PER_LAYER = {"encoder": 12, "decoder": 12, "encoder-decoder": 28}


def preset(family: Family, size: str, vocabulary: int, context: int) -> PretrainedConfig:
    """The configuration of a model to train from scratch.

    Special tokens have the ids that ``train_tokenizer`` gives them.

    Args:
        family: ``encoder`` (BERT), ``decoder`` (Llama, tied embeddings) or ``encoder-decoder`` (T5 1.1, tied).
        size: ``tiny``, ``mini``, ``small``, or a number of parameters such as ``5M`` or ``120K``.
        vocabulary: Number of tokens.
        context: Longest input in tokens.

    Raises:
        BadInput: Not a size.
    """
    layers, width = shape(family, parameters(size))
    heads = width // _HEAD
    ids = {f"{name}_id": i for i, name in enumerate(SPECIAL[family]) if name in ("pad_token", "bos_token", "eos_token")}
    if family == "encoder":
        return BertConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            max_position_embeddings=context,
            **ids,
        )
    gated = round(8 * width / 3 / _STEP) * _STEP
    if family == "decoder":
        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            intermediate_size=gated,
            max_position_embeddings=context,
            tie_word_embeddings=True,
            **ids,
        )
    return T5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=_HEAD,
        d_ff=gated,
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=heads,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=True,
        n_positions=context,
        decoder_start_token_id=ids["pad_token_id"],
        **ids,
    )


def create(config: PretrainedConfig, seed: int, head: Head | None = None, labels: Sequence[str] = ()) -> Any:
    """A model with random weights that depend on ``seed`` alone; its family's own head where none is named."""
    family = family_of_config(config)
    if labels:
        config.update(label_settings(labels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return auto_class(family, head or native_head(family)).from_config(config).eval()


def family_of_config(config: PretrainedConfig) -> Family:
    """The family of a preset's configuration."""
    if config.is_encoder_decoder:
        return "encoder-decoder"
    return "encoder" if config.model_type == "bert" else "decoder"


def parameters(size: str) -> float:
    """A size as a number of parameters.

    Raises:
        BadInput: Not a size.
    """
    if size in SIZES:
        return SIZES[size]
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([KMB])", size):
        return float(match[1]) * {"K": 1e3, "M": 1e6, "B": 1e9}[match[2]]
    raise BadInput("models.not_a_size", place=size, known=", ".join(SIZES))


def shape(family: Family, count: float) -> tuple[int, int]:
    """Layers (of each stack) and width for a number of parameters."""
    per_layer = _PER_LAYER[family]
    depth = max(1, round((count / (per_layer * 64**2)) ** (1 / 3)))
    made = []
    for layers in (depth, depth + 1, depth + 2):
        width = max(_STEP, round(math.sqrt(count / (per_layer * layers)) / _STEP) * _STEP)
        made.append((abs(math.log(per_layer * layers * width**2 / count)), layers, width))
    _, layers, width = min(made)
    return layers, width
