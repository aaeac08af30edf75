"""Models to train from scratch: one family, one dial for the size.

The size counts the parameters that work on every token, that is all but embeddings. Width is the multiple of 32 that
comes nearest to the size, with attention heads of 32; depth follows the published model:

* BERT, Llama: 12 L d^2 parameters in L layers of width d, d about 64 L as in BERT-base;
* ModernBERT: 8.5 L d^2, d about 35 L as in ModernBERT-base (Warner et al. 2024);
* T5 1.1, BART: 28 L d^2 in L + L layers, as the decoder's layers attend twice, d about 64 L.

Depths of one and two layers more are tried too, and the nearest to the size is taken, so that small sizes, where one
step of 32 is much, are still met within a quarter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from transformers import BartConfig, BertConfig, LlamaConfig, ModernBertConfig, PretrainedConfig, T5Config

from escalade.errors import BadInput
from escalade.models.heads import Head, auto_class, label_settings, native_head
from escalade.models.tokenizers import ARCHITECTURES, architecture_of, special_ids
from escalade.values import Family

SIZES = {"tiny": 0.5e6, "mini": 2e6, "small": 5e6}
"""Parameters without embeddings."""
_HEAD = 32
_STEP = 32
_PER_LAYER = {"bert": 12, "modernbert": 8.5, "llama": 12, "t5": 28, "bart": 28}
_WIDTH_OF_DEPTH = {"modernbert": 35}
_DROPOUTS = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "modernbert": ("embedding_dropout", "mlp_dropout", "attention_dropout"),
    "llama": ("attention_dropout",),
    "t5": ("dropout_rate",),
    "bart": ("dropout",),
}
"""Names of the settings; what they are where none is asked for is the published model's (0.1, 0, 0, 0.1, 0.1)."""


def preset(
    family: Family,
    size: str,
    vocabulary: int,
    context: int,
    architecture: str | None = None,
    dropout: float | None = None,
) -> PretrainedConfig:
    """The configuration of a model to train from scratch.

    Special tokens have the ids that ``train_tokenizer`` gives them for the same family and architecture.

    Args:
        family: Architecture family.
        size: ``tiny``, ``mini``, ``small``, or a number of parameters such as ``5M`` or ``120K``.
        vocabulary: Number of tokens.
        context: Longest input in tokens.
        architecture: ``bert`` or ``modernbert``; ``llama`` (tied embeddings); ``t5`` (1.1, tied) or ``bart``. The first
            of the family where left out.
        dropout: Share of activations dropped in training; the published model's where left out.

    Raises:
        BadInput: Not a size, or an architecture that the family does not have.
    """
    name = architecture_of(family, architecture)
    layers, width = shape(family, parameters(size), name)
    ids = {f"{role}_id": i for role, i in special_ids(family, name).items() if role not in ("unk_token", "mask_token")}
    rate = {} if dropout is None else dict.fromkeys(_DROPOUTS[name], dropout)
    config: PretrainedConfig = _MAKERS[name](layers, width, context, vocab_size=vocabulary, **ids, **rate)
    return config


def _bert(layers: int, width: int, context: int, **more: Any) -> BertConfig:
    # BERT's configuration knows the padding only.
    more = {name: value for name, value in more.items() if name not in ("cls_token_id", "sep_token_id")}
    return BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // _HEAD,
        intermediate_size=4 * width,
        max_position_embeddings=context,
        **more,
    )


def _modernbert(layers: int, width: int, context: int, **more: Any) -> ModernBertConfig:
    return ModernBertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // _HEAD,
        intermediate_size=3 * width // 2,
        max_position_embeddings=context,
        bos_token_id=more["cls_token_id"],
        eos_token_id=more["sep_token_id"],
        **more,
    )


def _llama(layers: int, width: int, context: int, **more: Any) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // _HEAD,
        num_key_value_heads=width // _HEAD,
        intermediate_size=_gated(width),
        max_position_embeddings=context,
        tie_word_embeddings=True,
        **more,
    )


def _t5(layers: int, width: int, context: int, **more: Any) -> T5Config:
    return T5Config(
        d_model=width,
        d_kv=_HEAD,
        d_ff=_gated(width),
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=width // _HEAD,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=True,
        n_positions=context,
        decoder_start_token_id=more["pad_token_id"],
        **more,
    )


def _bart(layers: int, width: int, context: int, **more: Any) -> BartConfig:
    return BartConfig(
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=width // _HEAD,
        decoder_attention_heads=width // _HEAD,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_position_embeddings=context,
        # The decoder reads "<s> A B" and writes "A B </s>" (Lewis et al. 2020, figure 1). An answer that is cut at
        # its longest has no end token: none is forced on it.
        decoder_start_token_id=more["bos_token_id"],
        forced_eos_token_id=None,
        **more,
    )


_MAKERS = {"bert": _bert, "modernbert": _modernbert, "llama": _llama, "t5": _t5, "bart": _bart}


def _gated(width: int) -> int:
    """Inner width of a gated layer with as many parameters as a plain one of four times the width."""
    return round(8 * width / 3 / _STEP) * _STEP


def create(config: PretrainedConfig, seed: int, head: Head | None = None, labels: Sequence[str] = ()) -> Any:
    """A model with random weights that depend on ``seed`` alone; its family's own head where none is named.

    Raises:
        BadInput: The family or the architecture has no such head.
    """
    family = family_of_config(config)
    wanted = head or native_head(family)
    if labels:
        config.update(label_settings(labels))
    made = auto_class(family, wanted)
    if type(config) not in made._model_mapping:
        raise BadInput("models.no_head", place=config.model_type, family=config.model_type, head=wanted)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return made.from_config(config).eval()


def family_of_config(config: PretrainedConfig) -> Family:
    """The family of a preset's configuration."""
    families: tuple[Family, ...] = ("encoder", "decoder", "encoder-decoder")
    return next(family for family in families if config.model_type in ARCHITECTURES[family])


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


def shape(family: Family, count: float, architecture: str | None = None) -> tuple[int, int]:
    """Layers (of each stack) and width for a number of parameters."""
    name = architecture_of(family, architecture)
    per_layer = _PER_LAYER[name]
    depth = max(1, round((count / (per_layer * _WIDTH_OF_DEPTH.get(name, 64) ** 2)) ** (1 / 3)))
    made = []
    for layers in (depth, depth + 1, depth + 2):
        width = max(_STEP, round(math.sqrt(count / (per_layer * layers)) / _STEP) * _STEP)
        made.append((abs(math.log(per_layer * layers * width**2 / count)), layers, width))
    _, layers, width = min(made)
    return layers, width
