"""fill-mask: what an encoder's own head puts in the place of a mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from escalade.errors import BadInput
from escalade.models.load import load_model, load_tokenizer
from escalade.rungs.features import encode_text


def fill(folder: Path, text: str, count: int) -> list[dict[str, Any]]:
    """For each mask of ``text``: its ``count`` likeliest tokens with their probabilities.

    ``[MASK]`` and ``<mask>`` stand for the tokenizer's own mask.

    Raises:
        BadInput: The model has no masked-language head, the tokenizer no mask, or the text none.
    """
    tokenizer = load_tokenizer(folder)
    if tokenizer.mask_token is None:
        raise BadInput("rungs.no_mask_token", place=folder)
    for written in ("[MASK]", "<mask>"):
        text = text.replace(written, tokenizer.mask_token)
    if tokenizer.mask_token not in text:
        raise BadInput("rungs.no_mask_in_text", place=text[:60])
    model = load_model(folder, "mask")
    ids = torch.tensor([encode_text(tokenizer, text, model.config.max_position_embeddings)])
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].float()
    found = []
    for place in (ids[0] == tokenizer.mask_token_id).nonzero().flatten().tolist():
        shares, tokens = logits[place].softmax(-1).topk(min(count, logits.shape[-1]))
        candidates = [
            {"token": tokenizer.decode([token]).strip(), "probability": round(share, 6)}
            for share, token in zip(shares.tolist(), tokens.tolist(), strict=True)
        ]
        found.append({"position": place, "candidates": candidates})
    return found
