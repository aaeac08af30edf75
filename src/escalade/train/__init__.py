"""Training: one engine for every objective. ``fit`` is the way in; ``objectives`` says what can be learnt."""

from escalade.train.engine import fit
from escalade.train.recipe import Fitted, Recipe

__all__ = ["Fitted", "Recipe", "fit"]
