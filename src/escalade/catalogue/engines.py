"""Cards of engines: programs of others, run in environments of their own so that their pins never meet ours."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from escalade.errors import BadInput


@dataclass(frozen=True)
class EngineCard:
    """A program that is installed apart."""

    name: str
    packages: tuple[str, ...]
    """What pip installs, with versions."""
    module: str
    """What is run with ``python -m``."""
    about: str
    """Key of what it is for."""


LM_EVAL = EngineCard(
    name="lm-eval",
    # Without torch: it asks our server, and needs transformers for the tokenizer only.
    packages=("lm_eval[api]==0.4.13", "transformers==5.23.0"),
    module="lm_eval",
    about="stages.engine_lm_eval",
)
"""The Language Model Evaluation Harness (Gao et al. 2024; Biderman et al. 2024): public benchmarks as published."""

ENGINES: dict[str, EngineCard] = {card.name: card for card in (LM_EVAL,)}


def engine(name: str) -> EngineCard:
    """The card of a name.

    Raises:
        BadInput: There is none.
    """
    if name in ENGINES:
        return ENGINES[name]
    if close := difflib.get_close_matches(name, ENGINES, n=1):
        raise BadInput("stages.engine_close", place=name, close=close[0])
    raise BadInput("stages.engine_unknown", place=name, known=", ".join(ENGINES))
