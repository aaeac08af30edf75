"""Tiny pretrained bases that have learnt a little of the interpreter's documentation, made in seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from escalade import data
from escalade.models import presets
from escalade.models.describe import describe
from escalade.models.encoding import encode_plain
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.values import Base, Family

CONTEXT = 64
WIDTH = 48
"""Tokens of a training row."""


@cache
def prose() -> tuple[str, ...]:
    return tuple(text.text for text in data.documentation()[1])


def make_base(folder: Path, family: Family, steps: int = 60) -> Base:
    """Writes a base of about 100,000 parameters, with its family's own head, and describes it."""
    tokenizer = train_tokenizer(prose(), family, 400)
    model = presets.create(presets.preset(family, "100K", len(tokenizer), CONTEXT), seed=0)
    save_model(model, tokenizer, folder)
    model, tokenizer = load_model(folder, "mask" if family == "encoder" else "lm"), load_tokenizer(folder)
    learn(model, tokenizer, family, prose(), steps)
    save_model(model, tokenizer, folder)
    return describe(folder)


def learn(model: Any, tokenizer: Any, family: Family, texts: tuple[str, ...], steps: int, rate: float = 3e-3) -> None:
    """Plain training on running text, the seed fixed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows = torch.tensor([row for text in texts if len(row := encode_plain(tokenizer, text)[:WIDTH]) == WIDTH])
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=rate)
        model.train()
        for step in range(steps):
            some = rows[torch.randperm(len(rows))[:16]] if len(rows) > 16 else rows
            _loss(model, tokenizer, family, some, step).backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()


def _loss(model: Any, tokenizer: Any, family: Family, rows: torch.Tensor, step: int) -> torch.Tensor:
    if family == "decoder":
        return model(input_ids=rows, labels=rows).loss
    if family == "encoder-decoder":
        return model(input_ids=rows[:, : WIDTH // 2], labels=rows[:, WIDTH // 2 :].contiguous()).loss
    chosen = torch.rand(rows.shape, generator=torch.Generator().manual_seed(step)) < 0.15
    hidden = torch.where(chosen, tokenizer.mask_token_id, rows)
    return model(input_ids=hidden, labels=torch.where(chosen, rows, -100)).loss
