"""A model folder that opens anywhere: safetensors, configuration, tokenizer; the same model gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from escalade.models.load import quiet

_PATHS = ("_name_or_path", "name_or_path")
"""Entries that name where a model or tokenizer was loaded from: of this machine, so not part of what is saved."""


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes a model and its tokenizer so that the Auto classes load both.

    The generation config is made to agree with what was trained: outputs end with the tokenizer's end token.

    Args:
        model: A Hugging Face model without adapters (``adapters.merge`` first).
        tokenizer: Its tokenizer.
        folder: Where to; made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _agree(model, tokenizer)
    with quiet():
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        if (path := folder / name).is_file():
            said = json.loads(path.read_text(encoding="utf-8"))
            kept = {key: value for key, value in said.items() if key not in _PATHS}
            path.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _agree(model: Any, tokenizer: Any) -> None:
    """Padding, end and start tokens as the tokenizer has them."""
    model.config.pad_token_id = tokenizer.pad_token_id
    if not model.can_generate() or getattr(model, "generation_config", None) is None:
        return
    generation: GenerationConfig = model.generation_config
    generation.pad_token_id = tokenizer.pad_token_id
    said = generation.eos_token_id
    ends = said if isinstance(said, list) else [said] if said is not None else []
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        generation.eos_token_id = [*ends, tokenizer.eos_token_id] if ends else tokenizer.eos_token_id
    if model.config.is_encoder_decoder and generation.decoder_start_token_id is None:
        generation.decoder_start_token_id = model.config.decoder_start_token_id
