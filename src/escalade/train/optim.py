"""AdamW with decay on matrices only, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from escalade.train.recipe import Recipe

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that train, by name; tied ones once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def adamw(parameters: dict[str, nn.Parameter], recipe: Recipe) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), fused: one kernel for all parameters instead of several each."""
    matrices = [p for p in parameters.values() if p.ndim >= 2]
    vectors = [p for p in parameters.values() if p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    kept = [group for group in groups if group["params"]]
    return torch.optim.AdamW(kept, lr=recipe.learning_rate, betas=(0.9, recipe.beta2), eps=1e-8, fused=True)


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step 1..steps: a straight rise over the warm-up, and then as the schedule says.

    * ``cosine`` down to zero (Loshchilov & Hutter 2017, equation 5), which it would reach one step after the last;
    * ``wsd``: the highest, and a straight fall over the last ``decay`` of the steps (Hu et al. 2024, section 4);
    * ``constant``: the highest.
    """
    rise = math.ceil(recipe.warmup * steps)
    if step <= rise:
        return recipe.learning_rate * step / rise
    match recipe.schedule:
        case "constant":
            return recipe.learning_rate
        case "wsd":
            fall = round(recipe.decay * steps)
            return recipe.learning_rate * min(1.0, (steps - step + 1) / (fall + 1))
        case "cosine":
            share = (step - rise) / (steps - rise + 1)
            return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def state_of(optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimizer's moments as tensors by ``<parameter>/<moment>``; of parameters that have had a gradient."""
    return {
        f"{name}/{moment}": optimizer.state[parameter][moment]
        for name, parameter in parameters.items()
        if parameter in optimizer.state
        for moment in _MOMENTS
    }


def restore(optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], state: dict[str, Tensor]) -> None:
    """Puts back what ``state_of`` gave."""
    for name, parameter in parameters.items():
        if f"{name}/step" in state:
            # The step counter of a fused optimizer lies beside the parameter, as the moments do.
            optimizer.state[parameter] = {m: state[f"{name}/{m}"].to(parameter.device) for m in _MOMENTS}
