"""The situation a rung is asked about, and arithmetic that cards share. No torch."""

from __future__ import annotations

import math

from escalade.values import Base, Facts, Value

TEXT_KINDS = ("question-answering", "summarization", "translation", "generation", "chat")
LABEL_KINDS = ("classification", "relation-extraction")

PER_TOKEN = 2e-5
"""Seconds a token takes whatever the model's size (measured on models of half a million parameters)."""
SCRATCH_CONTEXT = 512
"""Longest input of a model that is trained from scratch, in tokens."""
LOADING = 4.0
"""Seconds to load a small model and its tokenizer."""
SCRATCH_PARAMETERS = {"tiny": 0.5e6, "mini": 2e6, "small": 5e6}
"""Parameters without embeddings of the named sizes."""


class Situation(Value):
    """All that a rung's card may look at: what is asked, with which base, on how much data, in how much time."""

    facts: Facts
    base: Base
    rows: int
    validation_rows: int
    input_tokens: float
    """Mean tokens of an input, by a rule of thumb from its characters."""
    output_tokens: float
    longest_output: float
    """95th percentile of the output's tokens."""
    preferences: int = 0
    seconds: float | None = None
    """What one attempt may take; None where there is no budget."""
    cores: int = 2
    flops_per_core: float = 27e9
    """Operations a second that one core reaches (``catalogue.hardware``)."""
    input_limit: int | None = None
    """Longest input in tokens that the project allows."""

    @property
    def parameters(self) -> float:
        """Parameters that work on every token: all but embeddings, which the families that write use as their head."""
        if self.base.parameters is None:
            return SCRATCH_PARAMETERS["tiny"]
        looked_up = (self.base.embedded or 0) if self.base.family == "encoder" else 0
        return float(max(1, self.base.parameters - looked_up))

    @property
    def generative(self) -> bool:
        """True where the base writes text."""
        return self.base.family in ("decoder", "encoder-decoder")

    @property
    def row_tokens(self) -> float:
        """Mean tokens of a row, input and output, as far as they are read."""
        return self.read_tokens + self.output_tokens

    @property
    def read_tokens(self) -> float:
        """Mean tokens of an input after it was cut to the project's limit and the model's context."""
        context = self.base.context or (SCRATCH_CONTEXT if self.base.source == "scratch" else None)
        return min([self.input_tokens, *(limit for limit in (self.input_limit, context) if limit)])

    def forward_seconds(self, tokens: float) -> float:
        """Time of a forward pass over so many tokens: arithmetic, and what each token takes in the smallest models."""
        return tokens * (2 * self.parameters / (self.flops_per_core * self.cores) + PER_TOKEN)

    def training_seconds(self, rows: float, factor: float = 3.0) -> float:
        """Time of one pass over ``rows`` rows at ``factor`` forwards each, and what each step takes by itself."""
        steps = math.ceil(rows / 16)
        return factor * self.forward_seconds(rows * self.row_tokens) + 0.05 * steps

    def answering_seconds(self, rows: int, prompt_tokens: float | None = None) -> float:
        """Time to answer ``rows`` records: labels by one reading each, texts token by token in batches of 32."""
        prompt = min(prompt_tokens or self.read_tokens, self.base.context or math.inf)
        if not self.generative:
            return self.forward_seconds(rows * prompt)
        if self.facts.kind in LABEL_KINDS:
            return self.forward_seconds(rows * (prompt + 4) * max(1, len(self.facts.labels)))
        steps = math.ceil(rows / 32) * self.longest_output
        return self.forward_seconds(rows * (prompt + self.longest_output)) + 0.02 * steps
