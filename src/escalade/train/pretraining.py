"""A base from nothing but text: tokenizer, network and weights of one family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.models.encoding import pieces
from escalade.models.presets import create, preset
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Text
from escalade.train.engine import fit
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.mlm import Mlm
from escalade.train.objectives.span import Span
from escalade.train.recipe import Fitted, Recipe
from escalade.values import Family

OBJECTIVES: dict[Family, tuple[str, Any]] = {
    "encoder": ("mlm", Mlm),
    "decoder": ("clm", Clm),
    "encoder-decoder": ("span", Span),
}
"""The objective a family is pretrained with: its name and its class, made from tokenizer and context."""
HELD_OUT = 20
"""One piece of text in so many is kept for validation."""


@dataclass(frozen=True)
class Pretraining:
    """What to make.

    Args:
        family: Architecture family.
        size: ``tiny``, ``mini``, ``small`` or a number of parameters such as ``5M``.
        vocabulary: Tokens of the new tokenizer.
        context: Longest input in tokens.
        epochs: Passes over the text.
        learning_rate: The highest.
        seed: Of weights, batches and what is hidden.
    """

    family: Family
    size: str
    vocabulary: int
    context: int
    epochs: float
    learning_rate: float
    seed: int


def pretrain(
    texts: Sequence[str],
    wanted: Pretraining,
    out: Path,
    work: Path,
    on_event: Callable[[dict[str, Any]], None],
    should_stop: Callable[[], str | None],
) -> tuple[Fitted, int]:
    """Trains tokenizer and network on ``texts`` and saves both into ``out``.

    Returns:
        What training gave, and the number of parameters.
    """
    tokenizer = train_tokenizer(texts, wanted.family, wanted.vocabulary)
    config = preset(wanted.family, wanted.size, len(tokenizer), wanted.context)
    model = create(config, wanted.seed)
    _, objective = OBJECTIVES[wanted.family]
    # Two tokens of room for a beginning and an end.
    parts = [part for text in texts for part in pieces(tokenizer, text, wanted.context - 2)]
    records = [Text(f"text:{i}", part) for i, part in enumerate(parts)]
    held = [r for i, r in enumerate(records) if i % HELD_OUT == HELD_OUT - 1]
    kept = [r for i, r in enumerate(records) if i % HELD_OUT != HELD_OUT - 1]
    recipe = Recipe(
        learning_rate=wanted.learning_rate, epochs=wanted.epochs, batch_tokens=16 * wanted.context, seed=wanted.seed
    )
    fitted = fit(
        objective(tokenizer, wanted.context),
        {"policy": model},
        kept,
        held,
        recipe,
        work=work,
        on_event=on_event,
        should_stop=should_stop,
    )
    save_model(model, tokenizer, out)
    return fitted, sum(p.numel() for p in model.parameters())
