"""How to train, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run. The same recipe, rows, model and build give the same weights, bit for bit.

    A step learns from ``batch_rows`` rows, or from as many as make ``batch_tokens`` padded tokens; it is worked off in
    micro-batches of ``micro_tokens``, which change the memory it takes and nothing else but what dropout drops.
    """

    learning_rate: float
    """The highest; reached at the end of the warm-up."""
    epochs: float | None = None
    """Passes over the rows; parts of one are allowed."""
    steps: int | None = None
    """Steps instead of epochs."""
    seconds: float | None = None
    """Seconds of training instead of epochs: the schedule then follows the clock, which stands still while
    the run does. The weights depend on how fast the machine is."""
    batch_rows: int | None = None
    batch_tokens: int | None = None
    micro_tokens: int = 4096
    warmup: float = 0.06
    """Share of the steps over which the learning rate rises in a straight line."""
    schedule: Literal["cosine", "constant", "wsd"] = "cosine"
    """``wsd`` (warm-up, stable, decay) stays at the highest until ``decay`` of the run is left."""
    decay: float = 0.2
    """Share of the run over which ``wsd`` falls in a straight line to zero."""
    beta2: float = 0.999
    """Of AdamW: how long squared gradients are remembered."""
    weight_decay: float = 0.01
    """Of matrices; vectors (biases, norms) never decay."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 switches clipping off."""
    seed: int = 0
    eval_every: float = 1.0
    """Epochs between validations; there is always one at the end."""
    patience: int | None = None
    """Validations without a better one before training stops; None never stops."""
    checkpoint_seconds: float = 60.0
    compiled: bool | None = None
    """Whether the layers are compiled; decided by the length of the run where None."""
    packed: bool | None = None
    """Whether rows are packed; done where the objective and the model allow it where None."""
    recompute: bool = False
    """Activation checkpointing: each layer's activations are computed again in the backward pass instead of kept."""

    def __post_init__(self) -> None:
        """Exactly one length and one batch size."""
        if sum(length is not None for length in (self.epochs, self.steps, self.seconds)) != 1:
            raise ValueError("a recipe has one of epochs, steps and seconds")
        if (self.batch_rows is None) == (self.batch_tokens is None):
            raise ValueError("a recipe has either batch_rows or batch_tokens")


@dataclass(frozen=True)
class Fitted:
    """What training gave, beside the weights in the model."""

    steps: int
    """Steps taken; fewer than planned where patience ran out."""
    losses: list[tuple[int, float]]
    """Step and the loss it optimised."""
    validation: list[tuple[int, float]]
    """Step and validation loss."""
    best_step: int
    """The step whose weights the model now has."""
    cut_rows: list[str]
    """Ids of records, of train and validation, that were too long and were cut."""
    empty_rows: list[str]
    """Ids of records with nothing to learn."""
    tokens: int
    """Tokens learnt from, padding not counted."""
    trainable: int
    """Parameters that trained."""
    kernels: dict[str, bool] = field(default_factory=dict)
    """What it ran on: ``bf16``, ``compiled``, ``packed``, ``lean``, ``recompute``."""
