"""Tiny random models with real tokenizers; in double precision, so that rounding decides nothing."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from escalade.generate.local import TorchSampler

SIZE = 260
"""256 bytes, then pad, begin, end, unknown."""


def bytes_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, so that characters beyond ASCII are spread over several tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    vocabulary = {token: i for i, token in enumerate([*alphabet, *special])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


_SHARED: dict[str, Any] = {"vocab_size": SIZE, "pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 258}


def llama(**more: Any) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.5,
        **_SHARED,
        **more,
    )
    return LlamaForCausalLM(config).eval()


def gpt2() -> Any:
    torch.manual_seed(1)
    return GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, initializer_range=0.5, **_SHARED)
    ).eval()


def bart() -> Any:
    torch.manual_seed(1)
    config = BartConfig(
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=128,
        init_std=0.25,
        decoder_start_token_id=258,
        forced_eos_token_id=None,
        **_SHARED,
    )
    return BartForConditionalGeneration(config).eval()


def t5() -> Any:
    torch.manual_seed(2)
    config = T5Config(
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=256,
        tie_word_embeddings=False,
        initializer_factor=3.0,
        **_SHARED,
    )
    model = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():  # so that what is read matters more than the last token
        model.shared.weight.mul_(0.2)
        model.lm_head.weight.normal_(0, 0.5)
    return model


FAMILIES = {"llama": "decoder", "gpt2": "decoder", "bart": "encoder-decoder", "t5": "encoder-decoder"}
_MAKERS = {"llama": llama, "gpt2": gpt2, "bart": bart, "t5": t5}
_MADE: dict[str, Any] = {}


def model(name: str) -> Any:
    if name not in _MADE:
        _MADE[name] = _MAKERS[name]().double()
    return _MADE[name]


def sampler(name: str, **more: Any) -> TorchSampler:
    given: dict[str, Any] = {"context": 128} | more
    return TorchSampler(model(name), bytes_tokenizer(), FAMILIES[name], name, **given)  # type: ignore[arg-type]


def reference(model: Any, family: str, ids: list[int], tokens: int, **more: Any) -> list[int]:
    """What ``model.generate`` makes of one prompt, without what stands before it."""
    inputs = torch.tensor([ids])
    made = model.generate(
        input_ids=inputs,
        attention_mask=torch.ones_like(inputs),
        do_sample=False,
        num_beams=1,
        max_new_tokens=tokens,
        pad_token_id=model.config.pad_token_id or 0,
        **more,
    )[0].tolist()
    return made[1:] if family == "encoder-decoder" else made[len(ids) :]
